"""Scores documents as one would in Python around the same model: what e2e/bench compares inference with.

    contenders.py MODELS NAME fp32|int8      MODELS: the directory that models.py filled

Writes a line of versions. Then reads requests from standard input, a line each, and answers each with a line:

    {"way": "batches", "batch": 32, "threads": 2, "at_once": 1, "searches": [{"query": …, "docs": […]}, …]}
    {"milliseconds": 1870.2, "scores": [[…], …]}

The ways are the functions of Scorer, and "products". threads are ONNX Runtime's for one run, 0 its own choice; at_once is how many searches
are under way, each in a thread with a session of its own.
"""

import json
import os
import platform
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from queue import SimpleQueue

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import onnxruntime
import torch
from sentence_transformers import CrossEncoder

import padded


class Scorer:
    """One model, loaded once for one search at a time. What is loaded of it depends on the way."""

    def __init__(self, directory, precision, threads):
        self.directory = directory
        self.graph = "onnx/model.onnx" if precision == "fp32" else "onnx/model_quantized.onnx"
        self.threads = threads
        self.loaded = {}

    def batches(self, query, docs, size):
        """sentence-transformers, ONNX back end."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        settings = {"backend": "onnx", "model_kwargs": {"file_name": self.graph, "session_options": options, "provider": "CPUExecutionProvider"}}
        return self.predict(query, docs, size, settings)

    def reference(self, query, docs, size):
        """sentence-transformers, PyTorch."""
        return self.predict(query, docs, size, {})

    def predict(self, query, docs, size, settings):
        model = self.once("encoder", lambda: CrossEncoder(self.directory, local_files_only=True, **settings))
        pairs = [[query, doc] for doc in docs]
        return model.predict(pairs, batch_size=size, activation_fn=torch.nn.Identity(), show_progress_bar=False).tolist()

    def padded(self, query, docs, _):
        """One batch, padded to its longest pair, as FlashRank does."""
        return padded.one_batch(self.plain(), [[query, doc] for doc in docs])

    def single(self, query, docs, _):
        """One pair a run, as OpenSearch's local models do."""
        return padded.one_by_one(self.plain(), [[query, doc] for doc in docs])

    def plain(self):
        graph, tokenizer = os.path.join(self.directory, self.graph), os.path.join(self.directory, "tokenizer.json")
        return self.once("plain", lambda: padded.Model(graph, tokenizer, 512, self.threads))

    def once(self, name, load):
        if name not in self.loaded:
            self.loaded[name] = load()
        return self.loaded[name]


class Products:
    """The dense products of the model alone, two runs of one thread at once."""

    def __init__(self, graph):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.width = self.session.get_inputs()[0].shape[1]

    def run(self, rows):
        inputs = [np.random.default_rng(0).normal(0, 1, (n, self.width)).astype(np.float32) for n in rows]
        with ThreadPoolExecutor(2) as pool:
            began = time.perf_counter()
            list(pool.map(lambda x: self.session.run(None, {"x": x}) and None, inputs))
            return time.perf_counter() - began


class Contenders:
    def __init__(self, models, name, precision):
        self.directory, self.precision = os.path.join(models, name), precision
        self.products = Products(os.path.join(models, "products", f"{name}_{precision}.onnx"))
        self.scorers = {}  # by way and threads, as many as were ever at work at once

    def answer(self, request):
        if request["way"] == "products":
            return {"milliseconds": 1000 * self.products.run(request["rows"])}
        free = self.free(request)

        def search(s):
            scorer = free.get()
            try:
                return getattr(scorer, request["way"])(s["query"], s["docs"], request.get("batch", 0))
            finally:
                free.put(scorer)

        with ThreadPoolExecutor(request["at_once"]) as pool:
            began = time.perf_counter()
            scores = list(pool.map(search, request["searches"]))
            return {"milliseconds": 1000 * (time.perf_counter() - began), "scores": scores}

    def free(self, request):
        """As many warm scorers as are wanted at once."""
        scorers = self.scorers.setdefault((request["way"], request["threads"]), [])
        while len(scorers) < request["at_once"]:
            scorer = Scorer(self.directory, self.precision, request["threads"])
            getattr(scorer, request["way"])("warm up", ["a document of a few words"] * 4, 4)
            scorers.append(scorer)
        free = SimpleQueue()
        for scorer in scorers[: request["at_once"]]:
            free.put(scorer)
        return free


def main():
    contenders = Contenders(*sys.argv[1:])
    packages = ["sentence-transformers", "transformers", "torch", "onnxruntime", "tokenizers"]
    print(json.dumps(", ".join([f"Python {platform.python_version()}"] + [f"{p} {version(p)}" for p in packages])), flush=True)
    for line in sys.stdin:
        print(json.dumps(contenders.answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()

"""Ranks as one would in Python around the same model: the comparison of e2e/bench.

Reads rounds from standard input, a line each: [{"query": …, "docs": […]}, …]. Writes a line of versions, then a line for each round: for
every way its mean milliseconds a search, processor and wall, and its scores. ONNX Runtime has its default threads.
"""

import json
import platform
import sys
import time

import numpy as np
import onnxruntime
import tokenizers


class Model:
    def __init__(self, graph, tokenizer, max_length, threads=0):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads  # 0 is its own choice
        self.session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.tokenizer = tokenizers.Tokenizer.from_file(tokenizer)
        self.tokenizer.enable_truncation(max_length, strategy="longest_first")
        self.tokenizer.enable_padding()
        self.inputs = {i.name for i in self.session.get_inputs()}

    def score(self, pairs):
        """Scores pairs in one run, padded to the longest of them."""
        encoded = self.tokenizer.encode_batch(pairs)
        feed = {
            "input_ids": np.array([e.ids for e in encoded], dtype=np.int64),
            "attention_mask": np.array([e.attention_mask for e in encoded], dtype=np.int64),
            "token_type_ids": np.array([e.type_ids for e in encoded], dtype=np.int64),
        }
        logits = self.session.run(None, {name: feed[name] for name in self.inputs})[0]
        return logits.reshape(len(pairs), -1)[:, 0].tolist()


def one_batch(model, pairs):
    return model.score(pairs)


def sorted_batches(model, pairs, size=32):
    order = sorted(range(len(pairs)), key=lambda i: -len(pairs[i][1]))
    scores = [0.0] * len(pairs)
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        for i, score in zip(chosen, model.score([pairs[i] for i in chosen])):
            scores[i] = score
    return scores


def one_by_one(model, pairs):
    return [model.score([pair])[0] for pair in pairs]


WAYS = {
    "Python: one padded batch (as FlashRank)": one_batch,
    "Python: batches of 32, longest first (as sentence-transformers)": sorted_batches,
    "Python: one pair a run, all threads on it": one_by_one,
}


def main():
    model = Model(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    versions = f"Python {platform.python_version()}, onnxruntime {onnxruntime.__version__}, tokenizers {tokenizers.__version__}"
    print(json.dumps(versions), flush=True)
    for way in WAYS.values():
        way(model, [["warm up", "a document of a few words"]] * 50)
    for line in sys.stdin:
        searches = json.loads(line)
        results = []
        for name, way in WAYS.items():
            cpu, wall, scores = time.process_time(), time.perf_counter(), []
            for search in searches:
                scores.append(way(model, [[search["query"], doc] for doc in search["docs"]]))
            each = 1000 / len(searches)
            results.append(
                {
                    "name": name,
                    "milliseconds": (time.perf_counter() - wall) * each,
                    "cpu": (time.process_time() - cpu) * each,
                    "scores": scores,
                }
            )
        print(json.dumps(results), flush=True)


if __name__ == "__main__":
    main()

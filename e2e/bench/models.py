"""Makes the models that `make bench-inference` measures, in the directory that is its argument. Nothing is downloaded.

What a run costs depends on a model's shape and on how texts become tokens, not on what it was taught. So the weights are random, in the
shapes of two models that people use, and the tokenizers are of the kinds that these have, learnt from the texts that come with Python:

    minilm   BERT as in cross-encoder/ms-marco-MiniLM-L6-v2, with a WordPiece tokenizer
    xsmall   DeBERTa-v2 as in mixedbread-ai/mxbai-rerank-xsmall-v1, with a SentencePiece Unigram tokenizer

Each is laid out as publishers do: PyTorch weights, tokenizer.json, and onnx/model.onnx (fp32) and onnx/model_quantized.onnx (int8), both made by
sentence-transformers' own functions. products/ has each model's dense matrix products and nothing else,
and texts.json the sentences that documents are put together from.
"""

import json
import os
import pydoc
import re
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import onnx
import sentencepiece
import tokenizers
import torch
from onnx import TensorProto, helper, numpy_helper
from pydoc_data.topics import topics
from sentence_transformers import CrossEncoder, export_dynamic_quantized_onnx_model
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast
from transformers import DebertaV2Config, DebertaV2ForSequenceClassification, DebertaV2TokenizerFast

MODULES = "argparse asyncio collections csv datetime decimal difflib email http logging os random re shutil socket sqlite3 statistics subprocess threading typing unittest"

# What both shapes have in common. Weights larger than a fresh model's (and a classifier larger still)
# spread the scores over some units, so that a wrong one shows.
SHAPE = {
    "hidden_size": 384,
    "intermediate_size": 1536,
    "max_position_embeddings": 512,
    "num_labels": 1,
    "initializer_range": 0.06,
}


def sentences():
    """English sentences: the language reference, and the documentation of some modules, that every Python has."""
    texts = list(topics.values()) + [pydoc.plain(pydoc.render_doc(name)) for name in MODULES.split()]
    words = re.sub(r"[\s|*=_-]+", " ", " ".join(texts))
    found = re.findall(r"[A-Z][a-z]*(?: [\w'(),:;\"-]+){4,40}\.(?= )", words)
    return sorted(set(found))


def wordpiece(texts, directory):
    trained = tokenizers.BertWordPieceTokenizer(lowercase=True)
    trained.train_from_iterator(texts, vocab_size=30522, show_progress=False)
    trained.save_model(directory)
    BertTokenizerFast(vocab_file=os.path.join(directory, "vocab.txt"), model_max_length=512).save_pretrained(directory)


def unigram(texts, directory):
    with tempfile.TemporaryDirectory() as scratch:
        prefix = os.path.join(scratch, "spm")
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts), model_prefix=prefix, vocab_size=12000, hard_vocab_limit=False, model_type="unigram",
            normalization_rule_name="nmt_nfkc", pad_id=0, bos_id=1, eos_id=2, unk_id=3,
            pad_piece="[PAD]", bos_piece="[CLS]", eos_piece="[SEP]", unk_piece="[UNK]", minloglevel=2, num_threads=1,
        )  # fmt: skip
        DebertaV2TokenizerFast(vocab_file=prefix + ".model", model_max_length=512).save_pretrained(directory)


def minilm():
    config = BertConfig(vocab_size=30522, num_hidden_layers=6, num_attention_heads=12, **SHAPE)
    return BertForSequenceClassification(config)


def xsmall():
    config = DebertaV2Config(
        vocab_size=128100, num_hidden_layers=12, num_attention_heads=6, type_vocab_size=0, layer_norm_eps=1e-7,
        relative_attention=True, max_relative_positions=-1, position_buckets=256, norm_rel_ebd="layer_norm", share_att_key=True,
        pos_att_type=["p2c", "c2p"], position_biased_input=False, pooler_hidden_size=384, pooler_dropout=0.0, pooler_hidden_act="gelu", **SHAPE,
    )  # fmt: skip
    return DebertaV2ForSequenceClassification(config)


def products(layers, int8, path):
    """Writes a graph of a model's dense products alone: query, key, value, output, and the two of the feed-forward part, in each layer.

    In int8 each is the one operator that ONNX Runtime makes of a dynamically quantised product, with a scale for each column.
    """
    random = np.random.default_rng(0)
    hidden, inner = SHAPE["hidden_size"], SHAPE["intermediate_size"]
    nodes, weights, at = [], [], "x"
    for i, (rows, columns) in enumerate(([(hidden, hidden)] * 4 + [(hidden, inner), (inner, hidden)]) * layers):
        weight, to = random.normal(0, rows**-0.5, (rows, columns)).astype(np.float32), f"y{i}"
        if int8:
            scale = np.abs(weight).max(axis=0) / 127
            parts = {f"w{i}": np.round(weight / scale).astype(np.int8), f"s{i}": scale, f"z{i}": np.zeros(columns, np.int8)}
            nodes.append(helper.make_node("DynamicQuantizeMatMul", [at, *parts], [to], domain="com.microsoft"))
        else:
            parts = {f"w{i}": weight}
            nodes.append(helper.make_node("MatMul", [at, *parts], [to]))
        weights += [numpy_helper.from_array(data, name) for name, data in parts.items()]
        at = to
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", hidden]) for name in ("x", at)]
    graph = helper.make_graph(nodes, "products", ends[:1], ends[1:], weights)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)


def make(name, model, tokenizer, texts, models):
    directory = os.path.join(models, name)
    os.makedirs(directory)
    torch.manual_seed(0)
    network = model().eval()
    with torch.no_grad():
        network.classifier.weight *= 20
    network.save_pretrained(directory)
    tokenizer(texts, directory)
    exported = CrossEncoder(directory, backend="onnx", local_files_only=True)
    exported.save_pretrained(directory)
    export_dynamic_quantized_onnx_model(exported, "avx512_vnni", directory)
    os.rename(os.path.join(directory, "onnx", "model_qint8_avx512_vnni.onnx"), os.path.join(directory, "onnx", "model_quantized.onnx"))
    for int8, precision in ((False, "fp32"), (True, "int8")):
        products(network.config.num_hidden_layers, int8, os.path.join(models, "products", f"{name}_{precision}.onnx"))
    print(f"models: {name}: {directory}", flush=True)


def main():
    directory = sys.argv[1]
    texts = sentences()
    os.makedirs(os.path.join(directory, "products"))
    make("minilm", minilm, wordpiece, texts, directory)
    make("xsmall", xsmall, unigram, texts, directory)
    with open(os.path.join(directory, "texts.json"), "w") as file:
        json.dump(texts, file)


if __name__ == "__main__":
    main()

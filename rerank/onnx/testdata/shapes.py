"""Makes models of the shape of published ones, with random weights, to measure with: as fast as the real ones, and of no other use.

    python rerank/onnx/testdata/shapes.py DIR          # in the environment of golden.py; about 2 GB of disk

DIR/minilm and DIR/mxbai-xsmall (MiniLM-L6; mxbai-rerank-xsmall-v1), each with onnx/model.onnx (fp32), onnx/model_quantized.onnx (int8:
quantize_dynamic, weights of each column by themselves, as published files are), config.json, and the tokenizer of a golden model: ids
beyond it have embeddings that nothing asks for.
"""

import json
import os
import shutil
import sys
import warnings
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")

import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from transformers import BertConfig, BertForSequenceClassification, DebertaV2Config, DebertaV2ForSequenceClassification

HERE = Path(__file__).parent


class Logits(torch.nn.Module):
    def __init__(self, model, names):
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs):
        return self.model(**dict(zip(self.names, inputs))).logits


def make(folder, model_class, config, golden, names):
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    config.pad_token_id = json.loads((HERE / golden / "config.json").read_text()).get("pad_token_id", 0)
    torch.manual_seed(24)
    model = model_class._from_config(config, attn_implementation="eager").float().eval()
    example = tuple(torch.ones(2, 9, dtype=torch.long) for _ in names)
    path = folder / "onnx" / "model.onnx"
    # The exporter by tracing, which published files were made with.
    torch.onnx.export(Logits(model, names), example, str(path), input_names=names, output_names=["logits"], opset_version=17, dynamo=False,
                      dynamic_axes={**{n: {0: "batch", 1: "sequence"} for n in names}, "logits": {0: "batch"}})
    quantize_dynamic(str(path), str(folder / "onnx" / "model_quantized.onnx"), weight_type=QuantType.QInt8, per_channel=True)
    (folder / "config.json").write_text(json.dumps(config.to_diff_dict(), indent=1, sort_keys=True) + "\n")
    shutil.copy(HERE / golden / "tokenizer.json", folder / "tokenizer.json")


if __name__ == "__main__":
    out = Path(sys.argv[1])
    make(out / "minilm", BertForSequenceClassification,
         BertConfig(vocab_size=30522, hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536, num_labels=1),
         "bert", ["input_ids", "attention_mask", "token_type_ids"])
    make(out / "mxbai-xsmall", DebertaV2ForSequenceClassification,
         DebertaV2Config(vocab_size=128100, hidden_size=384, num_hidden_layers=12, num_attention_heads=6, intermediate_size=1536, num_labels=1,
                         type_vocab_size=0, relative_attention=True, pos_att_type=["p2c", "c2p"], share_att_key=True, norm_rel_ebd="layer_norm",
                         position_biased_input=False, position_buckets=256, max_relative_positions=-1, pooler_hidden_size=384),
         "deberta", ["input_ids", "attention_mask"])

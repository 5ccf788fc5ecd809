"""Step 5: the graph. Writes model.onnx, tokenizer.json, config.json into --out: of int8 weights, or of float32 ones with --precision float32.

The graph is written operator by operator, out of standard ones (opset 17): it is the encoder's `pairs`, and nothing of the training's.
In int8, weights have a scale for each output (word pieces: for each piece), and activations are scaled as they come: smoothed over the inputs of
a product and levelled over the tokens.
"""

import argparse
import hashlib
import json
import pathlib
import tempfile

import numpy
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

import corpus
import encoder

OPSET = 17


class Graph:
    """Collects operators and constants; each method returns the name of what it makes."""

    def __init__(self) -> None:
        self.nodes, self.constants = [], {}

    def add(self, operator: str, *inputs: str, name: str = "", **attributes) -> str:
        output = name or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=f"/{output}", **attributes))
        return output

    def constant(self, name: str, value, dtype=numpy.float32) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(numpy.ascontiguousarray(numpy.asarray(value, dtype=dtype)), name)
        return name

    def linear(self, x: str, name: str, weight, bias, levelled: bool = False) -> str:
        """weight: [outputs, inputs], as torch has it. levelled: each row of x, a token, is divided by its largest size before the product, and the
        product multiplied by it after: where x is made int8, the steps are as fine for the tokens of small values as for those of large ones."""
        if levelled:
            largest = self.add("Max", self.add("ReduceMax", self.add("Abs", x), axes=[-1], keepdims=1), self.constant("least", 1e-6))
            x = self.add("Div", x, largest)
        product = self.add("MatMul", x, self.constant(f"{name}.weight", weight.T))
        if levelled:
            product = self.add("Mul", product, largest)
        return self.add("Add", product, self.constant(f"{name}.bias", bias))

    def norm(self, x: str, name: str, module) -> str:
        weight, bias = (self.constant(f"{name}.{part}", value) for part, value in (("weight", module.weight.detach()), ("bias", module.bias.detach())))
        return self.add("LayerNormalization", x, weight, bias, axis=-1, epsilon=1e-12)

    def gelu(self, x: str) -> str:
        error = self.add("Erf", self.add("Div", x, self.constant("sqrt2", 2**0.5)))
        return self.add("Mul", self.add("Mul", x, self.add("Add", error, self.constant("one", 1))), self.constant("half", 0.5))

    def heads(self, x: str, order: list[int]) -> str:
        """[batch, length, SIZE] to [batch, heads, length, per head], or with its last axes the other way."""
        split = self.add("Reshape", x, self.constant("heads", [0, 0, encoder.HEADS, encoder.SIZE // encoder.HEADS], numpy.int64))
        return self.add("Transpose", split, perm=order)

    def axes(self, *axes: int) -> str:
        return self.constant("axes" + "_".join(map(str, axes)), axes, numpy.int64)

    def words(self, model: encoder.Encoder, int8: bool) -> str:
        table = model.words.weight.detach().numpy()
        if not int8:
            return self.add("Gather", self.constant("words", table), "input_ids")
        scale = numpy.maximum(abs(table).max(1, keepdims=True), 1e-9) / 127
        pieces = self.add("Gather", self.constant("words", numpy.rint(table / scale), numpy.int8), "input_ids")
        return self.add("Mul", self.add("Cast", pieces, to=TensorProto.FLOAT), self.add("Gather", self.constant("words.scale", scale), "input_ids"))


def build(model: encoder.Encoder, int8: bool, largest: dict[str, torch.Tensor]) -> onnx.ModelProto:
    """largest: for products with weights, the largest size of each of their inputs. With it, what goes into a product is divided by a scale for
    each input, and the weights are multiplied by it, so that few large inputs do not leave the others few of the 256 steps: SmoothQuant
    (arXiv:2211.10438), for activations that are scaled as they come. Empty: nothing is divided."""
    g = Graph()

    def smoothed(x: str, name: str, *weights: torch.Tensor) -> tuple[str, list[torch.Tensor]]:
        if name not in largest:
            return x, list(weights)
        scale = balance(largest[name], *weights)
        return g.add("Mul", x, g.constant(f"{name}.smooth", 1 / scale)), [w * scale for w in weights]

    mask = g.add("Cast", "attention_mask", to=TensorProto.FLOAT)
    second = g.add("Cast", "token_type_ids", to=TensorProto.FLOAT)
    one = g.constant("one", 1)
    of_second = g.add("Mul", mask, second)
    of_first = g.add("Sub", mask, of_second)

    # Each text has positions from 0.
    shape = g.add("Shape", "input_ids")
    length = g.add("Gather", shape, g.constant("at1", 1, numpy.int64))
    places = g.add("Range", g.constant("zero_int", 0, numpy.int64), length, g.constant("one_int", 1, numpy.int64))
    before = g.add("Cast", g.add("ReduceSum", of_first, g.axes(1), keepdims=1), to=TensorProto.INT64)
    positions = g.add("Sub", places, g.add("Mul", "token_type_ids", before))

    # Two texts see each other through the gates alone. A softmax does not change when its logits all do by as much, so that the token's own
    # text need not be told from the other by more than this: gate · (1 − 2 · second of the row) · second of the column.
    row = g.add("Unsqueeze", g.add("Sub", one, g.add("Add", second, second)), g.axes(1, 3))
    across = g.add("Mul", row, g.add("Unsqueeze", second, g.axes(1, 2)))
    padding = g.add("Mul", g.add("Sub", g.add("Unsqueeze", mask, g.axes(1, 2)), one), g.constant("far", 1e4))

    x = g.add("Add", g.words(model, int8), g.add("Gather", g.constant("positions", model.positions.weight.detach()), positions))
    x = g.norm(x, "norm", model.norm)
    for i, layer in enumerate(model.layers):
        name = f"layers.{i}"
        weights = lambda part: getattr(layer, part).weight.detach()
        biases = lambda part: getattr(layer, part).bias.detach()
        y, (wq, wk, wv) = smoothed(x, f"{name}.query", weights("query"), weights("key"), weights("value"))
        scale = (encoder.SIZE // encoder.HEADS) ** -0.5
        bv, wo = biases("value"), weights("out")
        if f"{name}.out" in largest:  # what is attended to is a mean of values: they are divided where they are made
            by = balance(largest[f"{name}.out"], wo)
            wv, bv, wo = wv / by[:, None], bv / by, wo * by
        q = g.heads(g.linear(y, f"{name}.query", wq * scale, biases("query") * scale), [0, 2, 1, 3])
        k = g.heads(g.linear(y, f"{name}.key", wk, biases("key")), [0, 2, 3, 1])
        v = g.heads(g.linear(y, f"{name}.value", wv, bv), [0, 2, 1, 3])
        gate = g.constant(f"{name}.gate", layer.gate.detach().view(1, -1, 1, 1))
        scores = g.add("Add", g.add("Add", g.add("MatMul", q, k), g.add("Mul", across, gate)), padding)
        y = g.add("Transpose", g.add("MatMul", g.add("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
        y = g.add("Reshape", y, g.constant("joined", [0, 0, encoder.SIZE], numpy.int64))
        # What comes out of a norm has rows of one size; these two do not.
        x = g.norm(g.add("Add", g.linear(y, f"{name}.out", wo, biases("out"), levelled=int8), x), f"{name}.attention_norm", layer.attention_norm)
        y, (up,) = smoothed(x, f"{name}.up", weights("up"))
        y = g.gelu(g.linear(y, f"{name}.up", up, biases("up")))
        x = g.norm(g.add("Add", g.linear(y, f"{name}.down", weights("down"), biases("down"), levelled=int8), x), f"{name}.norm", layer.norm)

    texts = g.add("Concat", g.add("Unsqueeze", of_first, g.axes(1)), g.add("Unsqueeze", of_second, g.axes(1)), axis=1)
    # The length of a text makes no difference to the direction of its mean.
    sums = g.add("LpNormalization", g.add("MatMul", texts, x), axis=2, p=2)
    first, other = g.add("Split", sums, axis=1, name="first"), "other"
    g.nodes[-1].output.append("other")
    cosine = g.add("ReduceSum", g.add("Mul", first, other), g.axes(1, 2), keepdims=0)

    unit = g.add("LpNormalization", x, axis=2, p=2)
    likeness = g.add("MatMul", unit, g.add("Transpose", unit, perm=[0, 2, 1]))
    none = g.add("Mul", g.add("Sub", g.add("Unsqueeze", of_second, g.axes(1)), one), g.constant("two", 2))
    best = g.add("ReduceMax", g.add("Add", likeness, none), axes=[2], keepdims=0)
    late = g.add("Div", g.add("ReduceSum", g.add("Mul", best, of_first), g.axes(1), keepdims=0), g.add("ReduceSum", of_first, g.axes(1), keepdims=0))

    scale, middle, times = model.scale.item(), model.middle.item(), model.late.item()
    logit = g.add("Add", g.add("Mul", cosine, g.constant("scale", scale)), g.add("Mul", late, g.constant("late", times)))
    logit = g.add("Sub", logit, g.constant("offset", scale * middle + 0.5 * times))
    bend, slope, intercept = model.calibration.tolist()
    if bend:
        bent = g.add("Exp", g.add("Mul", logit, g.constant("bend", bend)))
        logit = g.add("Add", g.add("Mul", bent, g.constant("slope", slope)), g.constant("intercept", intercept))
    g.add("Unsqueeze", logit, g.axes(1), name="logits")

    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "length"]) for n in ("input_ids", "attention_mask", "token_type_ids")]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 1])
    graph = helper.make_graph(g.nodes, "rerankd", inputs, [output], list(g.constants.values()))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8, producer_name="rerankd")


SMOOTHING = 0.5
SAMPLES = 256


def balance(largest: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
    """The scale of each input that shares its size between activations and weights."""
    heaviest = torch.stack([w.abs().amax(0) for w in weights]).amax(0)
    return largest.clamp(min=1e-5) ** SMOOTHING / heaviest.clamp(min=1e-5) ** (1 - SMOOTHING)


def largest_inputs(model: encoder.Encoder, folder: pathlib.Path) -> dict[str, torch.Tensor]:
    """What goes into each product with weights, at most, over some pairs that were trained on."""
    texts, largest, hooks = corpus.read(folder / "texts.jsonl"), {}, []

    def watch(name: str):
        def hook(_module, inputs):
            size = inputs[0].abs().amax((0, 1))
            largest[name] = torch.maximum(largest[name], size) if name in largest else size

        return hook

    for i, layer in enumerate(model.layers):
        for part in ("query", "out", "up"):
            hooks.append(getattr(layer, part).register_forward_pre_hook(watch(f"layers.{i}.{part}")))
    tokens = encoder.tokenizer(encoder.LENGTH)
    with torch.no_grad():
        for pair in corpus.read(folder / "pairs.jsonl")[:SAMPLES]:
            ids = [tokens.encode(texts[pair[part]]).ids for part in ("question", "answer")]
            row = torch.tensor([ids[0] + ids[1]])
            second = torch.tensor([[0] * len(ids[0]) + [1] * len(ids[1])])
            model.states(row, torch.ones_like(row), second)
    for hook in hooks:
        hook.remove()
    return largest


def quantised(model: onnx.ModelProto) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder:
        plain, small = pathlib.Path(folder) / "plain.onnx", pathlib.Path(folder) / "small.onnx"
        onnx.save(model, plain)
        # Weights of 7 bits: processors without VNNI add two products of 8 bits in 16, which overflows.
        quantize_dynamic(
            plain, small, op_types_to_quantize=["MatMul"], per_channel=True, reduce_range=True, weight_type=QuantType.QInt8, extra_options={"MatMulConstBOnly": True}
        )
        return onnx.load(small)


def files(out: pathlib.Path) -> None:
    """The tokenizer, with the form of a pair; and what the program reads of the architecture."""
    tokenizer = json.loads((encoder.start() / "tokenizer.json").read_text())
    tokenizer["truncation"] = tokenizer["padding"] = None
    special = lambda token, kind: {"SpecialToken": {"id": token, "type_id": kind}}
    text = lambda name, kind: {"Sequence": {"id": name, "type_id": kind}}
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [special("[CLS]", 0), text("A", 0), special("[SEP]", 0)],
        "pair": [special("[CLS]", 0), text("A", 0), special("[SEP]", 0), special("[CLS]", 1), text("B", 1), special("[SEP]", 1)],
        "special_tokens": {token: {"id": token, "ids": [number], "tokens": [token]} for token, number in (("[CLS]", 101), ("[SEP]", 102))},
    }
    (out / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False, indent=1) + "\n")
    config = json.loads((encoder.start() / "config.json").read_text())
    kept = ("hidden_act", "hidden_size", "layer_norm_eps", "max_position_embeddings", "model_type", "num_attention_heads", "num_hidden_layers", "pad_token_id", "vocab_size")
    config = {key: config[key] for key in kept} | {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"}, "type_vocab_size": 2}
    (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=pathlib.Path, required=True, help="working folder")
    parser.add_argument("--run", help="the run whose model it is; all-MiniLM-L6-v2 as it came if none")
    parser.add_argument("--precision", choices=("int8", "float32"), default="int8")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder to write to")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    model = encoder.load(args.dir / args.run / "model.safetensors" if args.run else None).eval()
    int8 = args.precision == "int8"
    graph = build(model, int8, largest_inputs(model, args.dir) if int8 else {})
    if int8:
        graph = quantised(graph)
    onnx.checker.check_model(graph, full_check=True)
    path = args.out / "model.onnx"
    onnx.save(graph, path)
    files(args.out)
    data = path.read_bytes()
    print(f"{path}: {len(data):,} bytes, sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()

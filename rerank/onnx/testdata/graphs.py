"""Makes graphs/: tiny graphs, most of which rerankd has to refuse. Needs only onnx (see requirements.txt).

    python rerank/onnx/testdata/graphs.py
"""

import struct
from pathlib import Path

import onnx
from onnx import TensorProto as T
from onnx import helper as h

OUT = Path(__file__).parent / "graphs"
OUT.mkdir(exist_ok=True)

IDS = ("input_ids", T.INT64, ["batch", "length"])
LOGITS = ("logits", T.FLOAT, ["batch", 1])


def constant(name, kind, shape, values):
    return h.make_tensor(name, kind, shape, values)


def save(name, inputs, outputs, nodes, initializers=()):
    graph = h.make_graph(nodes, name, [h.make_tensor_value_info(*i) for i in inputs], [h.make_tensor_value_info(*o) for o in outputs], list(initializers))
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, OUT / (name + ".onnx"))


# The mean of the ids, times a weight: a model that is right in form.
AXES = {"axes": [1], "keepdims": 1}
WEIGHT = constant("weight", T.FLOAT, [1, 1], [1.0])
MEAN = [h.make_node("Cast", ["input_ids"], ["float"], to=T.FLOAT), h.make_node("ReduceMean", ["float"], ["mean"], **AXES)]


def mean(output="logits"):
    return MEAN + [h.make_node("Mul", ["mean", "weight"], [output])]


save("mean", [IDS], [LOGITS], mean(), [WEIGHT])
save("vector", [IDS], [("logits", T.FLOAT, ["batch"])], MEAN[:1] + [
    h.make_node("Mul", ["float", "weight"], ["weighted"]), h.make_node("ReduceMean", ["weighted"], ["logits"], axes=[1], keepdims=0)], [WEIGHT])
save("other_name", [IDS], [("score", T.FLOAT, ["batch", 1])], mean("score"), [WEIGHT])
save("two_labels", [IDS], [("logits", T.FLOAT, ["batch", 2])], MEAN + [h.make_node("MatMul", ["mean", "two"], ["logits"])],
     [constant("two", T.FLOAT, [1, 2], [1.0, 2.0])])
save("token_logits", [IDS], [("logits", T.FLOAT, ["batch", "length", 1])], MEAN[:1] + [
    h.make_node("Mul", ["float", "weight"], ["weighted"]), h.make_node("Unsqueeze", ["weighted", "axis"], ["logits"])],
    [WEIGHT, constant("axis", T.INT64, [1], [2])])
save("no_logits", [IDS], [("embedding", T.FLOAT, ["batch", 1]), ("norm", T.FLOAT, ["batch", 1])],
     mean("embedding") + [h.make_node("Abs", ["embedding"], ["norm"])], [WEIGHT])
save("position_ids", [IDS, ("position_ids", T.INT64, ["batch", "length"])], [LOGITS], [
    h.make_node("Add", ["input_ids", "position_ids"], ["sum"]), h.make_node("Cast", ["sum"], ["float"], to=T.FLOAT),
    h.make_node("ReduceMean", ["float"], ["mean"], **AXES), h.make_node("Mul", ["mean", "weight"], ["logits"])], [WEIGHT])
save("int32", [("input_ids", T.INT32, ["batch", "length"])], [LOGITS], mean(), [WEIGHT])
save("fixed_length", [("input_ids", T.INT64, [1, 128])], [("logits", T.FLOAT, [1, 1])], mean(), [WEIGHT])
save("no_ids", [("attention_mask", T.INT64, ["batch", "length"])], [LOGITS], [h.make_node("Cast", ["attention_mask"], ["float"], to=T.FLOAT)] + mean()[1:], [WEIGHT])
# It declares one number for a pair, and gives one for each token.
save("lying", [IDS], [("logits", T.FLOAT, ["batch", "labels"])], MEAN[:1] + [h.make_node("Mul", ["float", "weight"], ["logits"])], [WEIGHT])
# The logarithm of a pair's length less 4: of an empty pair, which has three tokens, not a number; of one token more, minus infinity.
LENGTH = [h.make_node("Shape", ["input_ids"], ["length1"], start=1, end=2)]
save("not_a_number", [IDS], [LOGITS], LENGTH + [
    h.make_node("Cast", ["length1"], ["float"], to=T.FLOAT), h.make_node("Sub", ["float", "four"], ["less"]), h.make_node("Log", ["less"], ["log"]),
    h.make_node("Unsqueeze", ["log", "axis"], ["logits"])], [constant("four", T.FLOAT, [1], [4.0]), constant("axis", T.INT64, [1], [0])])
# For each token beyond the three of an empty pair a thousand million rounds of a loop: a run that never ends by itself.
BODY = h.make_graph(
    [h.make_node("Identity", ["go_on"], ["go_on_out"]), h.make_node("Add", ["sum", "one"], ["sum_out"])], "round",
    [h.make_tensor_value_info("i", T.INT64, []), h.make_tensor_value_info("go_on", T.BOOL, []), h.make_tensor_value_info("sum", T.FLOAT, [1, 1])],
    [h.make_tensor_value_info("go_on_out", T.BOOL, []), h.make_tensor_value_info("sum_out", T.FLOAT, [1, 1])],
    [constant("one", T.FLOAT, [1, 1], [1.0])])
save("endless", [IDS], [("logits", T.FLOAT, [1, 1])], LENGTH + [
    h.make_node("Sub", ["length1", "three"], ["more"]), h.make_node("Mul", ["more", "many"], ["rounds1"]), h.make_node("Squeeze", ["rounds1"], ["rounds"]),
    h.make_node("Loop", ["rounds", "", "zero"], ["logits"], body=BODY)],
    [constant("three", T.INT64, [1], [3]), constant("many", T.INT64, [1], [10**9]), constant("zero", T.FLOAT, [1, 1], [0.0])])
# Memory for each token beyond the three of an empty pair that no machine can address.
save("too_large", [IDS], [("logits", T.FLOAT, [1, 1])], LENGTH + [
    h.make_node("Sub", ["length1", "three"], ["more"]), h.make_node("Mul", ["more", "many"], ["size"]), h.make_node("ConstantOfShape", ["size"], ["zeros"]),
    h.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=1), h.make_node("Unsqueeze", ["sum", "axis"], ["logits"])],
    [constant("three", T.INT64, [1], [3]), constant("many", T.INT64, [1], [2**46]), constant("axis", T.INT64, [1], [0])])
# Its weights are in a file beside it, as exporters write large models: a table of which each id takes a row.
ROWS, WIDTH = 1000, 16
save("beside", [IDS], [("logits", T.FLOAT, ["batch", 1])], [
    h.make_node("Gather", ["table", "input_ids"], ["rows"]), h.make_node("ReduceMean", ["rows"], ["mean"], axes=[1], keepdims=0),
    h.make_node("ReduceMean", ["mean"], ["logits"], axes=[1], keepdims=1)], [h.make_tensor("table", T.FLOAT, [ROWS, WIDTH], b"".join(struct.pack("<f", i // WIDTH) for i in range(ROWS * WIDTH)), raw=True)])
onnx.save(onnx.load(OUT / "beside.onnx"), OUT / "beside.onnx", save_as_external_data=True, location="beside.weights", size_threshold=1024)

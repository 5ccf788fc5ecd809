"""Makes bert/int8.onnx out of bert/model.onnx: weights in int8, activations scaled as they come. What golden.py needs is needed here.

    python rerank/onnx/testdata/quantise.py
"""

from pathlib import Path

from onnxruntime.quantization import QuantType, quantize_dynamic

BERT = Path(__file__).parent / "bert"

if __name__ == "__main__":
    quantize_dynamic(BERT / "model.onnx", BERT / "int8.onnx", per_channel=True, weight_type=QuantType.QInt8)

"""Step 4: calibration. Bends, stretches and moves the logit so that its sigmoid is the share of documents that are the answer, among the answer
and six that a lexical search put beside it: intercept + slope · exp(bend · logit). No order changes by that.

The bend matters to who blends: where both sides of a mean are stretched to run from 0 to 1, a document that the model finds far better than the
rest should stand out on the model's side, as it does in BM25's scores, which are few high ones above many low ones.

Slope and intercept are fitted on one half of the held-out packages' questions, and measured on the other. Writes the model into --out.
"""

import argparse
import pathlib

import numpy
import torch

import corpus
import encoder

QUESTIONS = 1500


def judged(model: encoder.Encoder, folder: pathlib.Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and labels, [questions, 7] each, of held-out pairs."""
    texts = corpus.read(folder / "texts-held.jsonl")
    pairs = corpus.read(folder / "pairs-held.jsonl")[:QUESTIONS]
    tokens = encoder.tokenizer(encoder.LENGTH)
    rows = [(tokens.encode(texts[p["question"]]).ids[:64], tokens.encode(texts[d]).ids) for p in pairs for d in (p["answer"], *p["negatives"])]
    with torch.no_grad():
        logits = encoder.judged(model, rows, 64)
    labels = torch.zeros(len(pairs), len(rows) // len(pairs))
    labels[:, 0] = 1
    return logits.view_as(labels), labels


def fit(logits: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    """Platt's slope and intercept, of the least cross-entropy."""
    slope, intercept = torch.tensor(0.1, requires_grad=True), torch.tensor(-3.0, requires_grad=True)
    optimiser = torch.optim.LBFGS([slope, intercept], max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(slope * logits + intercept, labels)
        loss.backward()
        return loss

    optimiser.step(closure)
    return slope.item(), intercept.item()


def report(probability: numpy.ndarray, labels: numpy.ndarray) -> None:
    """The expected calibration error over ten equal intervals (Naeini, Cooper and Hauskrecht, AAAI 2015), and what it is made of."""
    error = 0.0
    for low in numpy.arange(10) / 10:
        within = (probability >= low) & (probability < low + 0.1 + 1e-9 * (low == 0.9))
        if within.any():
            said, true = probability[within].mean(), labels[within].mean()
            error += within.mean() * abs(said - true)
            print(f"  {low:.1f} to {low + 0.1:.1f}: {within.sum():6,d} documents, said {said:.2f}, true {true:.2f}")
    print(f"  expected calibration error {error:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=pathlib.Path, required=True, help="working folder")
    parser.add_argument("--run", required=True)
    parser.add_argument("--out", required=True, help="name of the run to write")
    parser.add_argument("--bend", type=float, default=0.35)
    args = parser.parse_args()

    model = encoder.load(args.dir / args.run / "model.safetensors").eval()
    logits, labels = judged(model, args.dir)
    bent = torch.exp(args.bend * logits)
    half = len(labels) // 2
    slope, intercept = fit(bent[:half], labels[:half])
    print(f"slope {slope:.3f}, intercept {intercept:.3f}; on the other half:")
    report(torch.sigmoid(slope * bent[half:] + intercept).numpy(), labels[half:].numpy())
    model.calibration.copy_(torch.tensor([args.bend, slope, intercept]))
    (args.dir / args.out).mkdir(exist_ok=True)
    encoder.save(model, args.dir / args.out / "model.safetensors")


if __name__ == "__main__":
    main()

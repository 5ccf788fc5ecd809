"""Step 3: training. Reads what the steps before wrote, and writes run/model.safetensors at the end.

Two ways. `table` reads questions and documents apart, so that every document of a batch is a wrong answer to every other question: 32 questions
against 64 documents, of one domain. `pairs` reads question and document together, which is what trains the gates between them: 12 questions
against 6 documents each. Both have the same loss: the cross-entropy of the answer among the others, and the divergence from the teacher's
judgement of the same (all-MiniLM-L6-v2's cosines), where it is asked; and `table` holds each vector to the teacher's.

What a step sees is decided by --seed and its number alone; a run is resumed from run/state.pt where it was interrupted.
"""

import argparse
import functools
import pathlib
import random
import time

import torch
from torch.nn import functional as F

import corpus
import encoder

SHARPNESS = 20.0  # the teacher's cosines are a softmax's logits when multiplied by so much


class Texts:
    def __init__(self, folder: pathlib.Path, length: int) -> None:
        self.rows = [e.ids for e in encoder.tokenizer(length).encode_batch(corpus.read(folder / "texts.jsonl"))]
        self.teacher = encoder.load().eval()
        self.vectors = torch.zeros(len(self.rows), encoder.SIZE, dtype=torch.float16)
        self.known = torch.zeros(len(self.rows), dtype=torch.bool)

    def ids(self, i: int) -> list[int]:
        return self.rows[i]

    def taught(self, numbers: list[int]) -> torch.Tensor:
        """What the teacher makes of each text, of length 1, so that a product is the cosine. [texts, SIZE]."""
        asked = torch.tensor(numbers)
        if new := asked[~self.known[asked]].unique().tolist():
            with torch.no_grad():
                states, mask = read(self.teacher, [self.rows[i] for i in new])
            self.vectors[new] = F.normalize(encoder.mean(states, mask.float()), dim=1).half()
            self.known[new] = True
        return self.vectors[asked].float()


def of_packages(pair: dict) -> bool:
    return pair["kind"].startswith("debian")


class Batches:
    """The batches of a run, by the number of the step. Each is of one domain: packages, or everything else."""

    def __init__(self, pairs: list[dict], size: int, seed: int) -> None:
        self.size, self.seed = size, seed
        self.domains = [[p for p in pairs if of_packages(p)], [p for p in pairs if not of_packages(p)]]
        self.order = functools.cache(self.order)  # one a pass and domain, and not one a step

    def order(self, length: int, a_pass: int) -> list[int]:
        order = list(range(length))
        random.Random(f"{self.seed} {a_pass}").shuffle(order)
        return order

    def at(self, step: int) -> tuple[list[dict], random.Random]:
        domain, turn = self.domains[step % 2], step // 2
        a_pass, k = divmod(turn, len(domain) // self.size)
        return [domain[i] for i in self.order(len(domain), a_pass)[k * self.size : (k + 1) * self.size]], random.Random(f"{self.seed} {step}")


def divergence(logits: torch.Tensor, cosines: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    theirs = (SHARPNESS * cosines).masked_fill(~allowed, -1e4).log_softmax(1)
    ours = (SHARPNESS / 12 * logits).masked_fill(~allowed, -1e4).log_softmax(1)
    return F.kl_div(ours, theirs, reduction="batchmean", log_target=True)


def read(model: encoder.Encoder, rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """States and mask of texts."""
    runs, back = encoder.alike(rows, 16)
    parts = [encoder.padded([rows[i] for i in run]) for run in runs]
    longest = parts[-1][0].shape[1]
    with encoder.narrow_products():
        states = [F.pad(model.states(ids, mask), (0, 0, 0, longest - ids.shape[1])) for ids, mask in parts]
    return torch.cat(states)[back], torch.cat([F.pad(mask, (0, longest - mask.shape[1])) for _, mask in parts])[back]


def table_losses(model: encoder.Encoder, batch: list[dict], rng: random.Random, texts: Texts, taught: bool) -> dict[str, torch.Tensor]:
    documents = [p["answer"] for p in batch]
    for p in batch:
        documents.append(rng.choice(p["negatives"]))
    questions = [p["question"] for p in batch]
    groups = [p["group"] for p in batch]
    allowed = torch.ones(len(questions), len(documents), dtype=torch.bool)
    for i, p in enumerate(batch):
        for j in range(len(batch)):
            allowed[i, j] = i == j or (groups[i] != groups[j] and documents[j] != p["answer"])
        for j in range(len(batch), len(documents)):
            allowed[i, j] = documents[j] != p["answer"]
    logits, qv, dv = model.table(read(model, [texts.ids(i) for i in questions]), read(model, [texts.ids(i) for i in documents]))
    losses = {"answer": F.cross_entropy((SHARPNESS / 12 * logits).masked_fill(~allowed, -1e4), torch.arange(len(batch)))}
    if taught:
        tq, td = texts.taught(questions), texts.taught(documents)
        losses["teacher"] = divergence(logits, tq @ td.T, allowed)
        losses["vectors"] = 1 - (torch.cat([qv, dv]) * torch.cat([tq, td])).sum(1).mean()
    return losses


def pairs_losses(model: encoder.Encoder, batch: list[dict], rng: random.Random, texts: Texts, taught: bool) -> dict[str, torch.Tensor]:
    rows, asked = [], []
    for p in batch:
        others = [o["answer"] for o in batch if o["group"] != p["group"]]
        documents = [p["answer"], *rng.sample(p["negatives"], 4), rng.choice(others)]
        rows += [(texts.ids(p["question"])[:64], texts.ids(d)) for d in documents]
        asked.append((p["question"], documents))
    logits = encoder.judged(model, rows, 12).view(len(batch), -1)
    losses = {"answer": F.cross_entropy(SHARPNESS / 12 * logits, torch.zeros(len(batch), dtype=torch.long))}
    if taught:
        cosines = torch.cat([texts.taught([question]) @ texts.taught(documents).T for question, documents in asked])
        losses["teacher"] = divergence(logits, cosines, torch.ones_like(logits, dtype=torch.bool))
    return losses


WAYS = {"table": (table_losses, 32), "pairs": (pairs_losses, 12)}


def importance(model: encoder.Encoder, texts: Texts, numbers: list[int]) -> list[torch.Tensor]:
    """How much each feed-forward neuron adds to what is written back: its mean size, times the length of its column."""
    sizes = [torch.zeros(model.inner) for _ in model.layers]
    hooks = [
        layer.up.register_forward_hook(lambda _m, _i, out, size=size: size.add_(F.gelu(out.float()).abs().mean((0, 1))))
        for layer, size in zip(model.layers, sizes)
    ]
    with torch.no_grad():
        for i in range(0, len(numbers), 64):
            model.states(*encoder.padded([texts.ids(n) for n in numbers[i : i + 64]]))
    for hook in hooks:
        hook.remove()
    return [size * layer.down.weight.detach().norm(dim=0) for size, layer in zip(sizes, model.layers)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=pathlib.Path, required=True, help="working folder")
    parser.add_argument("--run", required=True, help="name of the run: a folder in the working folder")
    parser.add_argument("--way", choices=WAYS, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--length", type=int, default=encoder.LENGTH, help="tokens of a text that are read")
    parser.add_argument("--start", help="the run to go on from; all-MiniLM-L6-v2 if none")
    parser.add_argument("--inner", type=int, help="narrow the feed-forward layers to so many neurons first")
    parser.add_argument("--rate", type=float, default=1e-4, help="the highest learning rate")
    parser.add_argument("--teacher", type=float, default=1.0, help="weight of the teacher's judgement; the answer's is 1")
    parser.add_argument("--teacher-packages", type=float, help="the same where packages are asked for, which the teacher knows less well: 0 to ask it nothing of them; as --teacher if none")
    parser.add_argument("--vectors", type=float, default=2.0, help="weight of the distance to the teacher's vectors")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    run = args.dir / args.run
    run.mkdir(parents=True, exist_ok=True)

    torch.manual_seed(args.seed)
    texts, pairs = Texts(args.dir, args.length), corpus.read(args.dir / "pairs.jsonl")
    losses_of, size = WAYS[args.way]
    batches = Batches(pairs, size, args.seed)
    model = encoder.load(args.dir / args.start / "model.safetensors" if args.start else None)
    if args.inner:
        model.narrow(importance(model, texts, [p["answer"] for p in pairs[:512]]), args.inner)
    model.words.weight.requires_grad_(False)  # a vocabulary that was learned on a billion pairs is not learned anew on some thousand
    few = [p for name, p in model.named_parameters() if name.endswith("gate") or p.dim() == 0]
    many = [p for p in model.parameters() if p.requires_grad and not any(p is f for f in few)]
    optimiser = torch.optim.AdamW([{"params": many, "times": 1}, {"params": few, "times": 100, "weight_decay": 0}], betas=(0.9, 0.98), weight_decay=0.01, fused=True)

    first, state = 0, run / "state.pt"
    if state.exists():
        saved = torch.load(state)
        first = saved["step"]
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        print("resumed at step", first, flush=True)
    began, sums = time.time(), {}
    for step in range(first, args.steps):
        rate = args.rate * min((step + 1) / (0.05 * args.steps), (args.steps - step) / (0.95 * args.steps))
        for group in optimiser.param_groups:
            group["lr"] = rate * group["times"]
        batch, rng = batches.at(step)
        teacher = args.teacher_packages if of_packages(batch[0]) and args.teacher_packages is not None else args.teacher
        losses = losses_of(model, batch, rng, texts, taught=teacher > 0)
        weights = {"answer": 1.0, "teacher": teacher, "vectors": args.vectors}
        optimiser.zero_grad(set_to_none=True)
        sum(weights[name] * value for name, value in losses.items()).backward()
        torch.nn.utils.clip_grad_norm_(many, 1.0)
        optimiser.step()
        for name, value in losses.items():
            sums.setdefault(name, []).append(value.item())
        if step % 50 == 49:
            minutes = (time.time() - began) / 60
            told = "  ".join(f"{name} {sum(values) / len(values):.3f}" for name, values in sums.items())
            gates = torch.stack([layer.gate for layer in model.layers]).detach()
            print(
                f"step {step + 1:,} of {args.steps:,}  {told}  late {model.late.item():.2f}  scale {model.scale.item():.2f}  gates {gates.mean():.2f} to {gates.max():.2f}"
                f"  {minutes:.1f} min, {minutes / (step + 1 - first) * (args.steps - step - 1):.0f} to go",
                flush=True,
            )
            sums = {}
        if step % 100 == 99:
            part = state.with_suffix(".part")
            torch.save({"step": step + 1, "model": model.state_dict(), "optimiser": optimiser.state_dict()}, part)
            part.rename(state)
    encoder.save(model, run / "model.safetensors")


if __name__ == "__main__":
    main()

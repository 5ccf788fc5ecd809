"""Step 2: questions with their answers, and passages that a lexical search would put beside them. Writes into the working folder

    texts.jsonl    every text once, one JSON string a line; the others refer to them by line, from 0
    pairs.jsonl    question, answer, negatives (found by BM25, nearest first), group (two questions of one group have no wrong answers in
                   each other), kind

and texts-held.jsonl and pairs-held.jsonl alike, of the held-out packages, by which the trained model is calibrated.

Questions are what people type: what an upstream author calls the program, a synopsis, some keywords, a first sentence; headings, headwords, a
sentence out of a passage. The answer never holds the question word for word, unless it is a headword.
"""

import argparse
import collections
import math
import pathlib
import random
import re

import bm25s
import Stemmer

import corpus
import sources

STOP = frozenset(
    "a an and are as at be but by for from has have if in into is it its no not of on or such that the their then there these they this to was which will "
    "with you your can also other all using based".split()
)
WORD = re.compile(r"\w[\w+#.-]*[\w+#]|\w")
NEGATIVES = 6


def content(text: str) -> list[str]:
    return [w for w in WORD.findall(text) if w.lower() not in STOP]


class Lexical:
    """BM25 with the English analysis that search engines have by default, and the weight of a word."""

    def __init__(self, texts: list[str]) -> None:
        self.stem = Stemmer.Stemmer("english")
        self.index = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
        tokens = [self.words(t) for t in texts]
        self.index.index(tokens, show_progress=False)
        self.known = set(self.index.vocab_dict)
        self.frequency = collections.Counter(w for t in tokens for w in set(t))
        self.texts = len(texts)

    def words(self, text: str) -> list[str]:
        return self.stem.stemWords([w.lower() for w in re.findall(r"\w+", text) if w.lower() not in STOP])

    def weight(self, word: str) -> float:
        n = self.frequency[self.stem.stemWord(word.lower())]
        return math.log(1 + (self.texts - n + 0.5) / (n + 0.5))

    def keywords(self, text: str, rng: random.Random, least: int = 2, most: int = 5) -> str:
        """Some words of the text in its order, rare ones rather than common ones."""
        words = list(dict.fromkeys(content(text)))
        k = min(rng.randint(least, most), len(words))
        keyed = sorted(range(len(words)), key=lambda i: -(rng.random() ** (1 / (self.weight(words[i]) + 0.5))))
        return " ".join(words[i] for i in sorted(keyed[:k]))

    def near(self, questions: list[str], k: int) -> list[list[int]]:
        asked = [[w for w in self.words(q) if w in self.known] for q in questions]
        full = [i for i, q in enumerate(asked) if q]
        found, _ = self.index.retrieve([asked[i] for i in full], k=k, show_progress=False)
        answer: list[list[int]] = [[] for _ in questions]
        for i, ids in zip(full, found.tolist()):
            answer[i] = ids
        return answer


BORING = re.compile(r"transitional|dummy|meta-?package|debug(ging)? symbols|translation|language pack", re.I)


def debian(packages: list[dict], rng: random.Random):
    """Yields kind, question, answer, group, and the variant of the document that the answer and its negatives have."""
    answers = [p for p in packages if len(p["text"]) >= 80 and p["section"] not in ("debug", "localization", "oldlibs", "metapackages") and not BORING.search(p["synopsis"])]
    lexical = Lexical([f"{p['name']} {p['synopsis']} {p['text']}" for p in packages])
    of_source = collections.Counter()
    rng.shuffle(answers)
    for p in answers:
        for summary in p["summaries"][:2]:
            yield "summary", summary, p, "full"
        keywords = [k for k in dict.fromkeys(p["keywords"]) if len(k) > 2]
        if len(keywords) >= 3:
            yield "keywords", " ".join(rng.sample(keywords, rng.randint(2, 3))), p, "full"
        of_source[p["source"]] += 1
        if of_source[p["source"]] > 2 or (p["section"] in ("libdevel", "doc") and rng.random() > 0.3):
            continue
        synopsis = re.sub(r"^(a|an|the) ", "", p["synopsis"], flags=re.I)
        draw = rng.random()
        if draw < 0.3 and (parts := corpus.FIRST_SENTENCE.match(p["text"])):
            first, rest = parts.groups()
            question = first.rstrip(".") if rng.random() < 0.5 and len(first.split()) <= 25 else lexical.keywords(first, rng)
            yield "first sentence", question, p | {"text": rest}, "full"
        elif draw < 0.5:
            yield "synopsis", synopsis, p, rng.choice(("text", "name"))
        elif draw < 0.65:
            yield "synopsis", " ".join(content(synopsis)), p, rng.choice(("text", "name"))
        else:
            yield "keywords", lexical.keywords(synopsis, rng), p, rng.choice(("text", "name", "full"))


def document(package: dict, variant: str) -> str:
    """A package as one text. The synopsis, where it is the question, stands in none but the full variant."""
    text = package["text"]
    if variant == "full":
        return f"{package['name']}\n{package['synopsis']}\n{text}"[:700]
    start = text.lower().find(package["synopsis"].lower())
    if start >= 0 and package["synopsis"]:
        text = (text[:start] + text[start + len(package["synopsis"]) :]).strip(" .,:;-\n")
    return (f"{package['name']}: {text}" if variant == "name" else text)[:700]


DICTIONARIES = ("wordnet", "gcide")
ASKING = ("what is {}", "what does {} mean", "definition of {}", "meaning of {}", "{}")


def general(passages: list[dict], lexical: Lexical, rng: random.Random):
    """Yields kind, question, the number of the passage, and the answer's text."""
    sentence_end = re.compile(r"(?<=[.!?])\s+")
    for i, p in enumerate(passages):
        title, text = p["title"], p["text"]
        sentences = [s for s in sentence_end.split(text) if 4 <= len(s.split()) <= 22]
        headword = p["source"] in DICTIONARIES
        draw = rng.random()
        if draw < 0.45 and title and (headword or 3 <= len(title.split()) <= 15):
            if headword:
                yield "headword", rng.choice(ASKING).format(title.split(",")[0]), i, text
            else:
                yield "heading", title, i, text
        elif draw < 0.75 and len(sentences) >= 2:
            sentence = rng.choice(sentences)
            rest = text.replace(sentence, " ")
            yield "sentence", " ".join(sentence.rstrip(".").split()[:15]), i, sources.flat(rest) if len(rest) > 80 else text
        elif draw < 0.85 and sentences:
            yield "keywords", " ".join(content(rng.choice(sentences))[:10]), i, text
        else:
            yield "keywords", lexical.keywords(text, rng, 2, 6), i, text


def spread(near: list, rng: random.Random) -> list[int]:
    """Places of some of the nearest and of some of what is farther, of NEGATIVES at least, nearest first."""
    half = NEGATIVES // 2
    nearest = min(8, len(near) - (NEGATIVES - half))
    return sorted(rng.sample(range(nearest), half) + rng.sample(range(nearest, len(near)), NEGATIVES - half))


class Mined:
    """Pairs, and the texts that they refer to by number."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.texts: dict[str, int] = {}
        self.pairs: list[dict] = []

    def number(self, text: str) -> int:
        return self.texts.setdefault(text, len(self.texts))

    def add(self, kind: str, question: str, answer: str, negatives: list[str], group: str) -> None:
        numbers = [self.number(negatives[k]) for k in spread(negatives, self.rng)]
        self.pairs.append({"question": self.number(question), "answer": self.number(answer), "negatives": numbers, "group": group, "kind": kind})

    def mine_packages(self, packages: list[dict]) -> None:
        asked = list(debian(packages, self.rng))
        for variant in ("full", "name", "text"):
            documents = [document(p, variant) for p in packages]
            lexical = Lexical(documents)
            mine = [a for a in asked if a[3] == variant]
            for (kind, question, package, _), near in zip(mine, lexical.near([a[1] for a in mine], 40)):
                if self.rng.random() < 0.5:
                    question = question.lower()
                words = set(lexical.words(question))
                seen, negatives = {package["text"][:120]}, []
                for j in near:
                    other = packages[j]
                    if other["source"] == package["source"] or other["text"][:120] in seen:
                        continue
                    if len(words) <= 5 and words <= set(lexical.words(other["name"] + " " + other["synopsis"])):
                        continue  # as good an answer
                    seen.add(other["text"][:120])
                    negatives.append(documents[j])
                if words and len(negatives) >= NEGATIVES:
                    self.add("debian " + kind, question, document(package, variant), negatives, package["source"])

    def mine_passages(self, passages: list[dict]) -> None:
        lexical = Lexical([p["text"] for p in passages])
        titled = lambda p, text: f"{p['title']}. {text}" if p["title"] and sources.digest(text) % 10 < 3 else text
        asked = list(general(passages, lexical, self.rng))
        for (kind, question, i, answer), near in zip(asked, lexical.near([a[1] for a in asked], 40)):
            question = question.strip(" .¶")
            if self.rng.random() < 0.4:
                question = question.lower()
            negatives = [titled(passages[j], passages[j]["text"]) for j in near if j != i and passages[j]["title"] != passages[i]["title"]]
            if len(negatives) >= NEGATIVES:
                if kind != "heading":
                    answer = titled(passages[i], answer)
                self.add(kind, question, answer, negatives, f"{passages[i]['source']}: {passages[i]['title']}")

    def write(self, folder: pathlib.Path, suffix: str) -> None:
        self.rng.shuffle(self.pairs)
        corpus.write(folder / f"texts{suffix}.jsonl", self.texts)
        corpus.write(folder / f"pairs{suffix}.jsonl", self.pairs)
        print(f"pairs{suffix}.jsonl: {len(self.texts):,} texts")
        for kind, n in sorted(collections.Counter(p["kind"] for p in self.pairs).items()):
            print(f"{n:9,d} {kind}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=pathlib.Path, required=True, help="working folder")
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()

    packages = [p for p in corpus.read(args.dir / "packages.jsonl") if len(p["text"]) >= 40]
    held = Mined(random.Random(f"held {args.seed}"))
    held.mine_packages([p for p in packages if corpus.held_out(p["source"])])
    held.write(args.dir, "-held")

    trained = Mined(random.Random(args.seed))
    trained.mine_packages([p for p in packages if not corpus.held_out(p["source"])])
    trained.mine_passages(corpus.read(args.dir / "passages.jsonl"))
    trained.write(args.dir, "")


if __name__ == "__main__":
    main()

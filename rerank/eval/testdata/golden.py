"""Writes golden.json: what reference libraries say of rankings, for the tests of this package. Measures are trec_eval's (by pytrec_eval), RBO is the
rbo package's, Kendall's tau, the t-test and the randomisation test are scipy's. The cases are drawn with a fixed seed, and hold what data
holds in the field: ties, documents that nobody judged, negative and graded relevance, empty runs, more and fewer hits than are asked for.

    python3.11 -m venv venv && venv/bin/pip install -r requirements.txt && venv/bin/python golden.py
"""

import json
import pathlib
import random

import numpy
import pytrec_eval
import rbo
import scipy.stats

rng = random.Random(20240817)
CUTOFFS = (1, 3, 5, 10, 20, 100)
NAMES = {"ndcg_cut": "ndcg", "recall": "recall", "success": "accuracy", "map_cut": "map", "P": "precision"}


def scores(n, kind):
    match kind:
        case "distinct":
            return [float(x) for x in rng.sample(range(-5 * n, 5 * n), n)]
        case "ties":
            return [float(rng.randrange(3)) for _ in range(n)]
        case "one":
            return [1.5] * n
        case "near":  # apart as doubles and mostly the same as 32-bit floats
            return [1 + rng.randrange(6) * 1e-8 for _ in range(n)]
    return [rng.gauss(0, 10) for _ in range(n)]


def grades(kind):
    match kind:
        case "binary":
            return rng.randrange(2)
        case "negative":
            return rng.choice([-2, -1, 0, 0, 1, 2])
        case "none":
            return rng.choice([-1, 0])
        case "steep":
            return rng.choice([0, 0, 1, 10, 100])
    return rng.choice([0, 0, 0, 1, 2, 3])


def ids(kind, n):
    match kind:
        case "numbers":  # by characters, 9 comes after 10
            return [str(i) for i in range(n)]
        case "unicode":  # by bytes, as trec_eval's strcmp has it
            return [rng.choice("aäzZéж語😀～") + str(i) for i in range(n)]
    return ["doc%d" % i for i in range(n)]


def measured(qrel, run, level):
    names = {f"{m}.{','.join(map(str, CUTOFFS))}" for m in NAMES} | {"map", "recip_rank", "ndcg"}
    values = pytrec_eval.RelevanceEvaluator({"q": qrel}, names, relevance_level=level).evaluate({"q": run})["q"]
    out = {"map": values["map"], "mrr": values["recip_rank"], "ndcg": values["ndcg"]}
    for theirs, ours in NAMES.items():
        for k in CUTOFFS:
            out[f"{ours}@{k}"] = values[f"{theirs}_{k}"]
    # trec_eval has no cut for the reciprocal rank; that of a run cut after k hits is it.
    ranked = sorted(run, key=lambda d: (numpy.float32(run[d]), d.encode()), reverse=True)
    for k in CUTOFFS:
        cut = {d: float(len(ranked) - i) for i, d in enumerate(ranked[:k])}
        values = pytrec_eval.RelevanceEvaluator({"q": qrel}, {"recip_rank"}, relevance_level=level).evaluate({"q": cut})["q"]
        out[f"mrr@{k}"] = values["recip_rank"]
        # Judged@k as ir_measures defines it: the share of the hits shown that anybody has judged.
        out[f"judged@{k}"] = sum(d in qrel for d in ranked[:k]) / len(ranked[:k]) if ranked[:k] else 0.0
    return out


def measure_cases():
    cases = []
    for i in range(260):
        pool = ids(rng.choice(["numbers", "words", "words", "unicode"]), rng.choice([1, 2, 5, 15, 40, 150]))
        kind = rng.choice(["binary", "graded", "graded", "negative", "none", "steep"])
        judged = rng.sample(pool, rng.randint(1, len(pool)))
        qrel = {d: grades(kind) for d in judged}
        if max(qrel.values()) < 0:  # trec_eval's ndcg does not end where all grades are negative
            qrel[judged[0]] = 0
        found = rng.sample(pool, rng.randint(0 if i % 10 == 0 else 1, len(pool)))
        if i % 13 == 0:
            found = []
        run = dict(zip(found, scores(len(found), rng.choice(["distinct", "ties", "one", "near", "any"]))))
        level = rng.choice([1, 1, 1, 2])
        want = measured(qrel, run, level) if run else {}
        cases.append({"qrel": qrel, "run": run, "level": level, "want": want})
    return cases


def similarity_cases():
    cases = []
    for i in range(200):
        pool = [str(x) for x in range(rng.choice([3, 8, 20, 60]))]
        a = rng.sample(pool, rng.randint(0 if i < 20 else 1, len(pool)))
        b = rng.sample(pool, rng.randint(0 if i < 20 else 1, len(pool)))
        if i % 7 == 0:
            b = list(a)
            for _ in range(rng.randrange(4)):
                j = rng.randrange(len(b)) if b else 0
                b.insert(0, b.pop(j)) if b else None
        p = rng.choice([0.5, 0.8, 0.9, 0.95, 0.98])
        common = [x for x in a if x in b]
        tau = scipy.stats.kendalltau(range(len(common)), [b.index(x) for x in common]).statistic if len(common) > 1 else 0.0
        moves = [abs(a.index(x) - b.index(x)) for x in common]
        cases.append({
            "a": a, "b": b, "p": p, "rbo": float(rbo.RankingSimilarity(a, b).rbo_ext(p)), "tau": float(tau), "common": len(common),
            "moved": float(numpy.mean(moves)) if moves else 0.0, "greatest": max(moves, default=0),
        })
    return cases


def paired_cases():
    cases = []
    for i in range(60):
        n = rng.randint(2, 14)
        a = [round(rng.random(), 3) for _ in range(n)]
        b = [round(x + rng.gauss(0.1 * (i % 4), 0.2), 3) for x in a]
        if i % 5 == 0:
            a, b = [rng.choice([0, 0.5, 1]) for _ in range(n)], [rng.choice([0, 0.5, 1]) for _ in range(n)]
        if a == b or len({round(y - x, 9) for x, y in zip(a, b)}) == 1:
            continue  # without spread there is no t
        t = scipy.stats.ttest_rel(b, a)
        exact = scipy.stats.permutation_test((a, b), lambda x, y, axis: numpy.mean(y - x, axis=axis), permutation_type="samples", n_resamples=numpy.inf, vectorized=True)
        cases.append({"a": a, "b": b, "t": float(t.statistic), "p": float(t.pvalue), "randomisation": float(exact.pvalue)})
    for n in (30, 200):
        a = [round(rng.random(), 4) for _ in range(n)]
        b = [round(x + rng.gauss(0.02, 0.3), 4) for x in a]
        t = scipy.stats.ttest_rel(b, a)
        cases.append({"a": a, "b": b, "t": float(t.statistic), "p": float(t.pvalue)})
    return cases


golden = {"similarity": similarity_cases(), "measures": measure_cases(), "paired": paired_cases()}
lines = ",\n".join(json.dumps(k) + ": [\n" + ",\n".join(json.dumps(c, ensure_ascii=False, separators=(",", ":")) for c in v) + "\n]" for k, v in golden.items())
pathlib.Path(__file__).with_name("golden.json").write_text("{\n" + lines + "\n}\n", encoding="utf-8")

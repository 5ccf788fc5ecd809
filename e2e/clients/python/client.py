"""Does with the official Python clients what applications do, and prints what it saw as JSON, so that a test can compare two runs that differ
in the URL alone.

    client.py elasticsearch|elasticsearch7|opensearch URL INDEX

INDEX holds the shop of the tests. Whatever a client complains of (a deprecation, a warning of the server, a refused product check, a retry)
goes to stderr: run by `python -W always`, a program that is content writes nothing there.

The report has four parts:

    pages     the first four pages of one search, as whole responses: together they are the window of the tests' rule
    rerank    X-Rerank of each page, where the client shows headers
    searched  answers that rerankd may put in another order: by name, objects whose lists `hits` are in the order of the score
    passed    answers that come as the cluster gave them: in an order that was asked for, of an iteration, or no hits at all

Times and the handles of scrolls and points in time differ from run to run and are left out; everything else stays.
"""

import asyncio
import importlib
import json
import sys

WORDS = "warm and waterproof jacket for the mountains"
FIELDS = ["title", "body"]
QUERY = {"multi_match": {"query": WORDS, "fields": FIELDS}}

# What an application asks for beside the hits: facets, marked words, a part of the documents.
EXTRAS = {
    "aggs": {"categories": {"terms": {"field": "category"}, "aggs": {"price": {"stats": {"field": "price"}}, "best": {"top_hits": {"size": 2}}}}},
    "highlight": {"fields": {"title": {}, "body": {"number_of_fragments": 2}}},
    "_source": ["title", "price"],
    "post_filter": {"terms": {"category": ["clothing", "camping"]}},
    "track_total_hits": True,
    "size": 7,
}

# Searches by their bodies, one property of a search each.
SHAPES = {
    "extras": {"query": QUERY, **EXTRAS},
    "bool": {"query": {"bool": {"must": QUERY, "filter": {"range": {"price": {"lte": 300}}}, "should": {"match": {"title": "jacket"}}}}},
    "nested": {"query": {"nested": {"path": "reviews", "query": {"match": {"reviews.text": "rain on long walks"}}, "inner_hits": {"size": 1}}}},
    "query_string": {"query": {"query_string": {"query": "title:(jacket OR boots) AND warm", "default_operator": "or"}}},
    "collapse": {"query": QUERY, "collapse": {"field": "category", "inner_hits": {"name": "more", "size": 2}}},
    "fields": {"query": QUERY, "_source": False, "fields": ["title", "stock"], "docvalue_fields": ["price"], "version": True},
    "min_score": {"query": QUERY, "min_score": 3},
    "by score": {"query": QUERY, "sort": ["_score"], "track_scores": True},
    "deep": {"query": QUERY, "from": 35, "size": 20},
}

# Searches that rerankd leaves alone.
UNTOUCHED = {
    "by price": {"query": QUERY, "sort": [{"price": "asc"}], "size": 5},
    "counted": {"query": QUERY, "size": 0, "aggs": EXTRAS["aggs"]},
    "filtered": {"query": {"bool": {"filter": {"term": {"category": "books"}}}}, "sort": [{"price": "desc"}]},
}

def keywords(body, names):
    """A search's body as arguments by name, for clients that call some of its keys otherwise."""
    return {names.get(k, k): v for k, v in body.items()}


# Several searches in one request: a page, facets alone, a search of an index that is not there, a page of another search.
def several(index):
    return [
        {"index": index},
        {"query": QUERY, "size": 5},
        {"index": index, "preference": "_local"},
        {"query": QUERY, "size": 0, "aggs": EXTRAS["aggs"]},
        {"index": "e2e-nowhere"},
        {"query": QUERY},
        {"index": index, "search_type": "dfs_query_then_fetch"},
        {"query": {"match": {"title": "bicycle lock"}}, "from": 2, "size": 3, "highlight": {"fields": {"title": {}}}},
    ]


def documents(index, count=1200):
    """What is written: more than one request of a bulk helper holds."""
    return ({"_op_type": "index", "_index": index, "_id": str(n), "title": f"tea {n}", "price": n % 7} for n in range(count))


def seen(answer):
    """An answer without what differs from run to run."""
    if isinstance(answer, list):
        return [seen(a) for a in answer]
    if not isinstance(answer, dict):
        return answer
    kept = {k: v for k, v in answer.items() if k not in ("took", "_scroll_id", "pit_id")}
    if "responses" in kept:
        kept["responses"] = seen(kept["responses"])
    return kept


class Report(dict):
    def __init__(self):
        super().__init__(pages=[], rerank=[], searched={}, passed={})

    def searched(self, name, answer):
        self._add("searched", name, answer)

    def passed(self, name, answer):
        self._add("passed", name, answer)

    def _add(self, part, name, answer):
        assert name not in self[part], f"{name} is reported twice"
        self[part][name] = seen(answer)


def main(kind, url, index):
    report = Report()
    module = importlib.import_module("on_" + kind)
    module.run(report, url, index)
    asyncio.run(module.run_async(report, url, index))
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])

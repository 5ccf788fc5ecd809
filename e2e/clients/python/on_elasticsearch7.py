"""elasticsearch 7.17 for Python with its helpers, and elasticsearch_dsl 7 beside it. The client asks who is there before its first call."""

import dsl
import elasticsearch_dsl as language
import helping
from client import QUERY, SHAPES, UNTOUCHED, keywords, several
from elasticsearch import Elasticsearch, TransportError, helpers


def run(report, url, index):
    with Elasticsearch(url, http_compress=True) as es:
        report.passed("info", es.info())
        for start in (0, 10, 20, 30):
            page = es.search(index=index, query=QUERY, from_=start, size=10)
            report["pages"].append({k: v for k, v in page.items() if k != "took"})
        for name, body in SHAPES.items():
            report.searched(name, es.search(index=index, **keywords(body, {"from": "from_"})))
        for name, body in UNTOUCHED.items():
            report.passed(name, es.search(index=index, **keywords(body, {"from": "from_"})))
        report.searched("q", es.search(index=index, q="waterproof jacket", size=5, preference="_local", typed_keys=True, rest_total_hits_as_int=True))
        report.searched("filter_path", es.search(index=index, query=QUERY, filter_path=["hits.hits._id", "hits.hits._score", "hits.total"]))
        report.searched("msearch", es.msearch(body=several(index)))
        report.passed("count", es.count(index=index, body={"query": QUERY}))
        report.passed("mget", es.mget(index=index, body={"ids": ["3", "nobody"]}))
        mistakes = {
            "nowhere": lambda: es.search(index="e2e-nowhere"),
            "nobody": lambda: es.get(index=index, id="nobody"),
            "no such query": lambda: es.search(index=index, query={"no_such_query": {}}),
        }
        for name, make in mistakes.items():
            try:
                report.passed(name, make())
            except TransportError as e:
                report.passed(name, [type(e).__name__, e.status_code, e.info])
        helping.run(report, helpers, es, index)
        dsl.run(report, language, es, index)


async def run_async(report, url, index):
    """Nothing: the asynchronous client of 7.17 is not tried here."""

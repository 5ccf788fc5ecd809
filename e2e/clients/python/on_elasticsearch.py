"""elasticsearch 8 for Python, its helpers, its query language and its asynchronous client. The product check is in every call: the client
refuses an answer that does not carry Elastic's header."""

import asyncio

import dsl
import helping
from client import EXTRAS, QUERY, SHAPES, UNTOUCHED, keywords, several
from elasticsearch import ApiError, AsyncElasticsearch, Elasticsearch
from elasticsearch import dsl as language
from elasticsearch import helpers


def run(report, url, index):
    with Elasticsearch(url, http_compress=True) as es:
        for start in (0, 10, 20, 30):
            page = es.search(index=index, query=QUERY, from_=start, size=10)
            report["pages"].append({k: v for k, v in page.body.items() if k != "took"})
            report["rerank"].append(page.meta.headers.get("x-rerank", ""))
        for name, body in SHAPES.items():
            report.searched(name, es.search(index=index, **keywords(body, {"from": "from_", "_source": "source"})).body)
        for name, body in UNTOUCHED.items():
            report.passed(name, es.search(index=index, **body).body)
        report.searched("q", es.search(index=index, q="waterproof jacket", size=5, preference="_local", typed_keys=True).body)
        report.searched("filter_path", es.search(index=index, query=QUERY, filter_path=["hits.hits._id", "hits.hits._score", "hits.total"]).body)
        report.searched("options", es.options(request_timeout=30, opaque_id="a shop").search(index=index, query=QUERY, aggs=EXTRAS["aggs"], size=3).body)
        report.searched("msearch", es.msearch(searches=several(index)).body)
        report.searched("msearch of one index", es.msearch(index=index, searches=[{}, {"query": QUERY, "size": 4}, {}, {"query": {"match_all": {}}, "size": 1}]).body)
        report.passed("count", es.count(index=index, query=QUERY).body)
        report.passed("explain", es.explain(index=index, id="0", query=QUERY).body)
        report.passed("mget", es.mget(index=index, ids=["3", "nobody"]).body)

        scroll, scrolled = es.search(index=index, query=QUERY, scroll="1m", size=30), []
        while scroll["hits"]["hits"]:
            scrolled.extend(scroll["hits"]["hits"])
            scroll = es.scroll(scroll_id=scroll["_scroll_id"], scroll="1m")
        es.clear_scroll(scroll_id=scroll["_scroll_id"])
        report.passed("scroll", scrolled)

        pit, after, iterated = es.open_point_in_time(index=index, keep_alive="1m")["id"], None, []
        while True:
            page = es.search(pit={"id": pit, "keep_alive": "1m"}, query=QUERY, sort=["_score", "_doc"], search_after=after, size=30)
            if not page["hits"]["hits"]:
                break
            iterated.extend(page["hits"]["hits"])
            pit, after = page["pit_id"], iterated[-1]["sort"]
        es.close_point_in_time(id=pit)
        report.passed("search_after", iterated)

        mistakes = {
            "nowhere": lambda: es.search(index="e2e-nowhere"),
            "nobody": lambda: es.get(index=index, id="nobody"),
            "no such query": lambda: es.search(index=index, query={"no_such_query": {}}),
        }
        for name, make in mistakes.items():
            try:
                report.passed(name, make().body)
            except ApiError as e:
                report.passed(name, [type(e).__name__, e.status_code, e.body])
        helping.run(report, helpers, es, index)
        dsl.run(report, language, es, index)
        report.passed("dsl, iterate", dsl.hits(language.Search(using=es, index=index).query("multi_match", **QUERY["multi_match"]).sort("_score", "_doc").iterate()))


async def run_async(report, url, index):
    async with AsyncElasticsearch(url, http_compress=True) as es:
        searches = [es.search(index=index, query=QUERY, from_=start, size=10) for start in (0, 10, 20, 30)]  # all at once
        report.searched("async, at once", {"responses": [page.body for page in await asyncio.gather(*searches)]})
        report.searched("async msearch", (await es.msearch(searches=several(index))).body)
        found = await language.AsyncSearch(using=es, index=index).query("multi_match", **QUERY["multi_match"])[:12].execute()
        report.searched("async dsl", dsl.page(found))
        await helping.run_async(report, helpers, es, index)

"""opensearch-py, its helpers, its query language and its asynchronous client."""

import asyncio

import dsl
import helping
import opensearchpy
from client import QUERY, SHAPES, UNTOUCHED, several
from opensearchpy import AsyncOpenSearch, OpenSearch, RequestsHttpConnection, TransportError, helpers


def run(report, url, index):
    with OpenSearch(url, http_compress=True) as client:
        report.passed("info", client.info())
        for start in (0, 10, 20, 30):
            page = client.search(index=index, body={"query": QUERY, "from": start, "size": 10})
            report["pages"].append({k: v for k, v in page.items() if k != "took"})
        for name, body in SHAPES.items():
            report.searched(name, client.search(index=index, body=body))
        for name, body in UNTOUCHED.items():
            report.passed(name, client.search(index=index, body=body))
        report.searched("q", client.search(index=index, params={"q": "waterproof jacket", "size": 5, "preference": "_local", "typed_keys": "true"}))
        report.searched("filter_path", client.search(index=index, body={"query": QUERY}, filter_path=["hits.hits._id", "hits.hits._score", "hits.total"]))
        report.searched("msearch", client.msearch(body=several(index)))
        report.searched("msearch of one index", client.msearch(index=index, body=[{}, {"query": QUERY, "size": 4}, {}, {"query": {"match_all": {}}, "size": 1}]))
        report.passed("count", client.count(index=index, body={"query": QUERY}))
        report.passed("explain", client.explain(index=index, id="0", body={"query": QUERY}))
        report.passed("mget", client.mget(index=index, body={"ids": ["3", "nobody"]}))

        pit, after, iterated = client.create_pit(index=index, params={"keep_alive": "1m"})["pit_id"], {}, []
        while True:
            page = client.search(body={"pit": {"id": pit, "keep_alive": "1m"}, "query": QUERY, "sort": ["_score", {"price": "asc"}], "size": 30, **after})
            if not page["hits"]["hits"]:
                break
            iterated.extend(page["hits"]["hits"])
            after = {"search_after": iterated[-1]["sort"]}
        client.delete_pit(body={"pit_id": [pit]})
        report.passed("search_after", iterated)

        mistakes = {
            "nowhere": lambda: client.search(index="e2e-nowhere"),
            "nobody": lambda: client.get(index=index, id="nobody"),
            "no such query": lambda: client.search(index=index, body={"query": {"no_such_query": {}}}),
        }
        for name, make in mistakes.items():
            try:
                report.passed(name, make())
            except TransportError as e:
                report.passed(name, [type(e).__name__, e.status_code, e.info])
        helping.run(report, helpers, client, index)
        helping.reindex(report, helpers, client, index)
        dsl.run(report, opensearchpy, client, index)
    with OpenSearch(url, connection_class=RequestsHttpConnection) as client:
        report.searched("by requests", client.search(index=index, body={"query": QUERY, "size": 4}))


async def run_async(report, url, index):
    async with AsyncOpenSearch(url, http_compress=True) as client:
        searches = [client.search(index=index, body={"query": QUERY, "from": start, "size": 10}) for start in (0, 10, 20, 30)]  # all at once
        report.searched("async, at once", {"responses": list(await asyncio.gather(*searches))})
        report.searched("async msearch", await client.msearch(body=several(index)))
        await helping.run_async(report, helpers, client, index)

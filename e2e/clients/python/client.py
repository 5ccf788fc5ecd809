"""Does with the official Python clients what an application does, and prints what it got as JSON, so that a test can compare two runs that
differ in the URL alone.

    client.py elasticsearch|opensearch URL INDEX
"""

import json
import sys

WORDS = "warm and waterproof jacket for the mountains"
QUERY = {"multi_match": {"query": WORDS, "fields": ["title", "body"]}}


def elasticsearch(url, index):
    from elasticsearch import Elasticsearch, NotFoundError, helpers

    # The product check is in every call: the client refuses an answer that does not carry Elastic's header.
    es = Elasticsearch(url, http_compress=True)
    report = {"searches": [], "rerank": [], "written": ""}
    for start in (0, 10):
        result = es.search(index=index, query=QUERY, from_=start, size=10)
        report["searches"].append([hit["_id"] for hit in result["hits"]["hits"]])
        report["rerank"].append(result.meta.headers.get("x-rerank", ""))
    report["searches"].append([hit["_id"] for hit in helpers.scan(es, index=index, query={"query": QUERY}, preserve_order=True, size=10)])
    report["count"] = es.count(index=index)["count"]
    try:
        es.search(index="e2e-nowhere")
    except NotFoundError as e:
        report["missing"] = e.status_code
    made, errors = helpers.bulk(es, ({"_index": index + "-written", "title": "tea"} for _ in range(1200)), refresh=True)
    report["written"] = f"{made} of 1200, {len(errors)} errors"
    es.indices.delete(index=index + "-written")
    return report


def opensearch(url, index):
    from opensearchpy import NotFoundError, OpenSearch, helpers

    client = OpenSearch(url, http_compress=True)
    client.info()
    report = {"searches": [], "rerank": [], "written": ""}
    for start in (0, 10):
        result = client.search(index=index, body={"query": QUERY, "from": start, "size": 10})
        report["searches"].append([hit["_id"] for hit in result["hits"]["hits"]])
    report["searches"].append([hit["_id"] for hit in helpers.scan(client, index=index, query={"query": QUERY}, preserve_order=True, size=10)])
    report["count"] = client.count(index=index)["count"]
    try:
        client.search(index="e2e-nowhere")
    except NotFoundError as e:
        report["missing"] = e.status_code
    made, errors = helpers.bulk(client, ({"_index": index + "-written", "title": "tea"} for _ in range(1200)), refresh=True)
    report["written"] = f"{made} of 1200, {len(errors)} errors"
    client.indices.delete(index=index + "-written")
    return report


if __name__ == "__main__":
    kind, url, index = sys.argv[1:]
    print(json.dumps({"elasticsearch": elasticsearch, "opensearch": opensearch}[kind](url, index)))

"""Does what ../javascript/ubi.js does, with the official Python clients.

    ubi.py elasticsearch|elasticsearch7|opensearch URL INDEX
"""

import datetime
import importlib
import json
import sys
import time
import urllib.request


def main(kind, url, index):
    ubi = {"client_id": f"python-{kind}", "user_query": "hiking boots", "application": "shop", "object_id_field": "title", "query_attributes": {"page": "search"}}
    search = {"query": {"multi_match": {"query": ubi["user_query"], "fields": ["title", "body"]}}, "size": 5, "ext": {"ubi": ubi}}
    if kind == "opensearch":
        client = importlib.import_module("opensearchpy").OpenSearch(url)
    else:
        client = importlib.import_module("elasticsearch").Elasticsearch(url)
    header = rerank = None  # where the client shows no headers
    if kind == "elasticsearch":
        answer = client.search(index=index, **search)
        header, rerank = answer.meta.headers["x-rerank-query-id"], answer.meta.headers["x-rerank"]
        answer = answer.body
    else:
        answer = client.search(index=index, body=search)
    client.close()
    query = answer["ext"]["ubi"]["query_id"]

    def post(path, what):
        request = urllib.request.Request(f"{url}/{path}", json.dumps([what]).encode(), {"Content-type": "application/json", "Accept": "application/json"})
        with urllib.request.urlopen(request) as response:
            return [response.status, json.load(response)]

    title = answer["hits"]["hits"][1]["_source"]["title"]
    thing = {"object_id": title, "object_id_field": "title"}
    told = [
        post("ubi_queries", {"query_id": query, "user_query": ubi["user_query"], "client_id": ubi["client_id"], "timestamp": datetime.datetime.now(datetime.timezone.utc).isoformat()}),
        post("ubi_events", {"action_name": "click", "query_id": query, "client_id": ubi["client_id"], "timestamp": datetime.datetime.now().astimezone().isoformat(),
                            "event_attributes": {"object": {**thing, "description": None, "object_detail": {"price": 1.5}}}}),
        post("ubi_events", {"action_name": "add_to_cart", "query_id": query, "client_id": ubi["client_id"], "timestamp": int(time.time() * 1000), "event_attributes": {"object": thing, "position": {}}}),
        post("ubi_events", {"action_name": "purchase", "query_id": query, "client_id": ubi["client_id"], "timestamp": time.time(), "event_attributes": {"object": thing, "position": {"ordinal": 2}}}),
    ]
    json.dump({"client": ubi["client_id"], "id": query, "header": header, "rerank": rerank, "hits": [h["_source"]["title"] for h in answer["hits"]["hits"]], "told": told}, sys.stdout)


main(*sys.argv[1:])

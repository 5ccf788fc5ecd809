"""The helpers that all generations of the Python clients have."""

from client import QUERY, documents


def run(report, helpers, client, index):
    search = {"query": QUERY}
    report.passed("scan", list(helpers.scan(client, index=index, query=search, preserve_order=True, size=10)))
    report.passed("scan, in any order", sorted(hit["_id"] for hit in helpers.scan(client, index=index, query=search, size=50)))

    written = index + "-written"
    client.indices.delete(index=written, ignore_unavailable=True)
    client.indices.create(index=written)
    made, errors = helpers.bulk(client, documents(written), refresh=True)
    report.passed("bulk", [made, errors])
    report.passed("streaming_bulk", [[ok, doing] for ok, doing in helpers.streaming_bulk(client, documents(written, 60), chunk_size=25)])
    report.passed("parallel_bulk", sorted([ok, doing["index"]["_id"], doing["index"]["status"]] for ok, doing in helpers.parallel_bulk(client, documents(written, 40), chunk_size=10)))
    again = ({**d, "_op_type": "create"} for d in documents(written, 3))
    report.passed("bulk, refused", [[ok, doing["create"]["status"]] for ok, doing in helpers.streaming_bulk(client, again, raise_on_error=False)])
    client.indices.refresh(index=written)
    report.passed("get", client.get(index=written, id="7")["_source"])
    report.passed("exists", [bool(client.exists(index=written, id=id)) for id in ("7", "nobody")])
    client.indices.delete(index=written)


def reindex(report, helpers, client, index):
    """A scan into a bulk. Elastic's clients ask for data streams first, which the nodes of the tests lack."""
    copy = index + "-copied"
    client.indices.delete(index=copy, ignore_unavailable=True)
    report.passed("reindex", list(helpers.reindex(client, index, copy, query={"query": QUERY}, chunk_size=40)))
    client.indices.refresh(index=copy)
    report.searched("reindexed", client.search(index=copy, body={"query": QUERY, "size": 5}))
    client.indices.delete(index=copy)


async def run_async(report, helpers, client, index):
    search = {"query": QUERY}
    report.passed("async_scan", [hit async for hit in helpers.async_scan(client, index=index, query=search, preserve_order=True, size=10)])
    written = index + "-written"
    made, errors = await helpers.async_bulk(client, documents(written), refresh=True)
    report.passed("async_bulk", [made, errors])
    report.passed("async_streaming_bulk", [[ok, doing] async for ok, doing in helpers.async_streaming_bulk(client, documents(written, 60), chunk_size=25)])
    await client.indices.delete(index=written)

"""The query language in Python that elasticsearch.dsl, elasticsearch_dsl and opensearchpy share an ancestor of."""

from client import FIELDS, WORDS


def hits(found):
    """Hits as the language gives them: documents with attributes, and their meta data beside them."""
    return [{"source": hit.to_dict(), "meta": hit.meta.to_dict()} for hit in found]


def page(response):
    """A response of the language: what the cluster sent, but the hits as the language gives them."""
    found = {k: v for k, v in response.to_dict().items() if k not in ("took", "_faceted_search")}
    found["hits"] = {"total": found["hits"].get("total"), "max_score": response.hits.max_score, "hits": hits(response)}
    return found


def run(report, language, client, index):
    """language is the module: its names are Search, MultiSearch, Q, A, FacetedSearch, TermsFacet."""
    search = language.Search(using=client, index=index).query("multi_match", query=WORDS, fields=FIELDS)
    report.searched("dsl", page(search.execute()))
    report.searched("dsl, iterated", {"hits": hits(search)})
    report.searched("dsl, second page", page(search[10:20].execute()))
    composed = search.filter("range", price={"lte": 400}).exclude("term", category="books").source(["title"]).highlight("title", number_of_fragments=1)
    composed = composed.query(language.Q("match", title="jacket") | language.Q("match", body="rain")).extra(track_total_hits=True)
    composed.aggs.bucket("categories", "terms", field="category").metric("price", "avg", field="price")
    response = composed.execute()
    report.searched("dsl, composed", page(response))
    report.passed("dsl, buckets", [[b.key, b.doc_count, b.price.value] for b in response.aggregations.categories.buckets])
    report.passed("dsl, count", search.count())
    report.passed("dsl, scan", hits(search.params(preserve_order=True, size=25).scan()))
    report.passed("dsl, sorted", hits(search.sort("-price")[:5]))

    together = language.MultiSearch(using=client, index=index).add(search[:5]).add(search[:0]).add(search.sort("price")[5:8])
    report.searched("dsl, several", {"responses": [page(r) for r in together.execute()]})

    class Shop(language.FacetedSearch):
        fields = FIELDS
        facets = {"category": language.TermsFacet(field="category")}

        def search(self):
            return super().search().using(client).index(index)

    faceted = Shop(WORDS, {"category": ["clothing", "camping"]}).execute()
    report.searched("dsl, faceted", page(faceted))
    report.passed("dsl, facets", [list(f) for f in faceted.facets.category])

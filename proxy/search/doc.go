// Package search reads and writes Elasticsearch's and OpenSearch's search API on the wire: bytes in, bytes out.
//
// A [Request] says what a search asks for: the user's own words, the page, and what forbids reordering it. [Request.Widen] builds the
// request that fetches a whole window instead of the page. A [Response] gives the texts and the scores of the hits, and
// [Response.Splice] writes the page that the client asked for, in a new order.
//
// Neither requests nor responses are ever decoded and encoded again. The bytes are indexed, and everything that is not meant to change is
// copied as it stands, so that integers above 2^53, the spelling of numbers, duplicate keys inside a document, escapes, invalid UTF-8 and
// the pretty-printed layout survive. Where a request or a response has anything that this package does not know for certain, it says so
// ([Request.Pass], or an error), and the search is to be forwarded as it came.
//
// Nothing here does input or output, and every value is safe for concurrent reading.
package search

package proxy

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// witnessed is a request as the cluster saw it, and the response as the client did.
type witnessed struct {
	Method, Target, Body, Trailer string
	Header                        map[string][]string
	Chunked                       bool
	Length                        int64

	Status         int
	Answer         string
	AnswerHeader   map[string][]string
	AnswerTrailer  map[string][]string
	AnswerTransfer []string
}

// A random request has the same effect at the cluster, and the same answer, whether sent directly or through the proxy: also a search
// that is not reranked in the end.
func TestTransparency(t *testing.T) {
	seen := make(chan witnessed, 1000)
	c := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading %s %s: %v", r.Method, r.RequestURI, err)
		}
		header := map[string][]string(r.Header.Clone())
		for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Connection"} {
			delete(header, name)
		}
		seen <- witnessed{
			Method: r.Method, Target: r.RequestURI, Body: string(body), Trailer: fmt.Sprint(r.Trailer), Header: header,
			Chunked: r.TransferEncoding != nil, Length: r.ContentLength,
		}
		// The answer is as random as the request.
		sum := sha256.Sum256(append([]byte(r.Method+r.URL.Path+"?"+r.URL.RawQuery), body...))
		status := []int{200, 200, 201, 204, 304, 400, 404, 409, 429, 500, 503}[int(sum[0])%11]
		w.Header()["Warning"] = []string{hex.EncodeToString(sum[:4]), "two"}
		w.Header().Set("Content-Type", []string{"application/json", "text/plain; charset=UTF-8", "application/cbor"}[int(sum[1])%3])
		answer := bytes.Repeat(sum[:], int(sum[2])*8)
		if status == 204 || status == 304 || r.Method == "HEAD" {
			answer = nil
		}
		if sum[3]%2 == 0 && answer != nil {
			w.Header().Set("Trailer", "X-Sum")
			w.WriteHeader(status)
			w.Write(answer)
			w.Header().Set("X-Sum", "sum")
			return
		}
		if status != 204 && status != 304 {
			w.Header().Set("Content-Length", fmt.Sprint(len(answer)))
		}
		w.WriteHeader(status)
		w.Write(answer)
	})
	base, _ := serve(t, &Snapshot{Upstream: c, Rules: rules(reverse)}, Options{})

	rapid.Check(t, func(rt *rapid.T) {
		segment := rapid.SampledFrom([]string{"shop", "_search", "_bulk", "_doc", "a%2Fb", "%3Cl-%7Bnow%2Fd%7D%3E", "", "a,b*", "%C3%A9", "..", "_msearch", "é{", "_%73earch", "x y"[:1]})
		path := "/" + strings.Join(rapid.SliceOfN(segment, 0, 4).Draw(rt, "path"), "/")
		query := rapid.SampledFrom([]string{"", "", "?", "?q=shoes&size=3&sort=price", "?pretty", "?a=b;c", "?%zz", "?z=1&a=2", "?source=%7B%7D", "?format=yaml&q=x", "?q=x&scroll=1m"}).Draw(rt, "query")
		method := rapid.SampledFrom([]string{"GET", "GET", "POST", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "get", "SEARCH"}).Draw(rt, "method")
		header := rapid.SampledFrom([]string{
			"", "X-Opaque-Id: 7\r\n", "Accept: application/yaml\r\n", "Accept-Encoding: zstd, br\r\n", "Authorization: ApiKey x\r\n", "User-Agent: es-go\r\n",
			"Content-Type: application/x-ndjson\r\n", "Content-Type: application/json\r\n", "Content-Encoding: gzip\r\nContent-Type: application/json\r\n",
			"Cookie: a=b\r\nCookie: c=d\r\n", "Te: trailers\r\n", "X-Empty:\r\n", "Traceparent: 00-1-2-3\r\nRange: bytes=0-1\r\nIf-None-Match: x\r\n",
		})
		headers := strings.Join(rapid.SliceOfNDistinct(header, 0, 5, rapid.ID).Draw(rt, "headers"), "")
		if strings.Count(headers, "Content-Type") > 1 {
			headers = strings.Replace(headers, "Content-Type: application/json\r\n", "", 1)
		}
		var body string
		switch rapid.IntRange(0, 4).Draw(rt, "body") {
		case 1:
			body = string(rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(rt, "bytes"))
		case 2:
			body = `{"query":{"match_all":{}},"sort":["price"]}`
		case 3:
			body = strings.Repeat("{\"index\":{}}\n{}\n", rapid.IntRange(1, 20000).Draw(rt, "lines"))
		case 4:
			body = match[:rapid.IntRange(1, len(match)-1).Draw(rt, "cut")]
		}
		request := method + " " + path + query + " HTTP/1.1\r\nHost: cluster.example\r\nConnection: close\r\n" + headers
		switch {
		case body == "" && (method == "POST" || method == "PUT" || method == "PATCH"):
			request += "Content-Length: 0\r\n\r\n"
		case body == "":
			request += "\r\n"
		case rapid.Bool().Draw(rt, "chunked"):
			n := rapid.IntRange(1, len(body)).Draw(rt, "chunk")
			request += "Transfer-Encoding: chunked\r\n"
			announced := rapid.Bool().Draw(rt, "announced")
			if announced {
				request += "Trailer: X-Digest\r\n"
			}
			request += "\r\n"
			for len(body) > 0 {
				n = min(n, len(body))
				request += fmt.Sprintf("%x\r\n%s\r\n", n, body[:n])
				n, body = n*2, body[n:]
			}
			request += "0\r\n"
			if announced {
				request += "X-Digest: abc\r\n"
			}
			request += "\r\n"
		default:
			request += fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
		}

		direct := send(rt, c.base.Host, method, request, seen)
		through := send(rt, strings.TrimPrefix(base, "http://"), method, request, seen)
		// The one liberty: characters that no URL may hold arrive escaped.
		direct.Target = strings.NewReplacer("é", "%C3%A9", "{", "%7B").Replace(direct.Target)
		for _, name := range []string{"X-Rerank", "X-Rerank-Query-Id", "Server-Timing"} {
			delete(through.AnswerHeader, name)
		}
		if diff := cmp.Diff(direct, through); diff != "" {
			rt.Fatalf("%.300q (-direct +through the proxy):\n%s", request, diff)
		}
	})
}

// send sends raw bytes, and gathers what both sides saw.
func send(t *rapid.T, address, method, request string, seen <-chan witnessed) witnessed {
	for len(seen) > 0 { // of a request that went wrong
		<-seen
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%.300q: %v", request, err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%.300q: reading the answer: %v", request, err)
	}
	var e witnessed
	switch len(seen) {
	case 1:
		e = <-seen
	default:
		t.Fatalf("%.300q: got %d %s, and the cluster saw it %d times", request, res.StatusCode, answer, len(seen))
	}
	e.Status, e.Answer, e.AnswerHeader, e.AnswerTrailer = res.StatusCode, string(answer), maps.Clone(res.Header), res.Trailer
	e.AnswerTransfer = slices.Clone(res.TransferEncoding)
	delete(e.AnswerHeader, "Date")
	return e
}

package filterpath

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// TestLive compares with real clusters, those that RERANKD_TEST_ELASTICSEARCH and RERANKD_TEST_OPENSEARCH name: what we leave of a response
// has to be, byte for byte, what the cluster leaves of it itself.
func TestLive(t *testing.T) {
	live := false
	for _, variable := range []string{"RERANKD_TEST_ELASTICSEARCH", "RERANKD_TEST_OPENSEARCH"} {
		if base := os.Getenv(variable); base != "" {
			live = true
			compare(t, base)
		}
	}
	if !live {
		t.Skip("set RERANKD_TEST_ELASTICSEARCH or RERANKD_TEST_OPENSEARCH to the URL of a running cluster")
	}
}

// filters are those that people write, and those that are hard.
var filters = []string{
	"took", "hits", "hits.hits", "hits.hits._id", "hits.total", "hits.hits._source", "hits.hits._source.title", "hits.hits._source.users.first",
	"hits.hits._id,hits.hits._score", "hits,hits.hits._id", "hits.hits._id,hits", " took , hits.total.value ", "took,,_shards", ",took",
	"*", "**", "**._id", "**.value", "hits.**", "hits.**._id", "**.hits._id", "**.**", "**.hits.**", "h*", "h*s.*", "hits.h*.*_id", "*.*._i*", "hits.hits.*.title",
	"hits.hits._source.dotted\\.name", "hits.hits._source.*name", "hits.hits._source.obj.dotted\\.*",
	"-hits", "-took", "-hits.hits", "-hits.hits._source", "-hits.hits._source.users", "-hits.hits._source.*", "-**._id", "-_shards,-took,-timed_out", "-**", "-*",
	"hits,-hits.hits._source", "hits.hits,-hits.hits._score,-hits.hits._index", "-hits.total,hits", "hits.hits._source,-**.title", "-hits.hits._id,hits.hits._id",
	"hits.hits.highlight", "hits.hits.highlight.title", "hits.hits.nothing", "nothing", "nothing.at.all", "-nothing", "aggregations", "aggregations.**.key", "aggregations.cats.buckets.key",
	"aggregations.cats.buckets", "-aggregations.cats.buckets.doc_count", "hits.hits._source.n", "hits.hits._source.list", "hits.hits._source.list.*", "hits.hits._source.users.last",
	"responses", "responses.hits.hits._id", "responses.took,took", "-responses.hits", "responses.status", "**.status", "responses.error.type",
	"*.mappings", "*.mappings.properties.title", "**.type", "-*.settings", "hits.hits._source.größe", "hits.hits._source.gr*", "hits.max_score,hits.hits.sort",
}

func compare(t *testing.T, base string) {
	index := base + "/rerankd-filterpath-test"
	call(t, http.MethodDelete, index, "")
	mustCall(t, http.MethodPut, index, `{"settings":{"number_of_shards":1,"number_of_replicas":0},"mappings":{"dynamic":false,"properties":{"title":{"type":"text"},"cat":{"type":"keyword"}}}}`)
	t.Cleanup(func() { call(t, http.MethodDelete, index, "") })
	var bulk strings.Builder
	for i := range 12 {
		fmt.Fprintf(&bulk, "{\"index\":{\"_id\":\"%d\"}}\n"+`{"title":"red shoes %d","cat":"c%d","n":%d,"dotted.name":"d","obj":{"dotted.name":1,"a":{}},"list":[1,"two",{"three":3},[4]],"escaped":"x \u0026 \u00e9 \/ \u0001\ud83d\ude00","float":1e2,`+
			`"users":[{"first":"Ann","last":"Lee"},{"first":"Bob"},{"nick":"c\u00e9"}],"größe":1.50,"nothing":null,"no":false}`+"\n", i, i, i%3, 9007199254740993+i)
	}
	if answer := mustCall(t, http.MethodPost, index+"/_bulk?refresh=true", bulk.String()); !strings.Contains(answer, `"errors":false`) {
		t.Fatal(answer)
	}

	search := `{"query":{"match":{"title":"red"}},"size":4,"aggs":{"cats":{"terms":{"field":"cat"}}},"highlight":{"fields":{"title":{}}}}`
	random := rand.New(rand.NewPCG(3, 4))
	compared, refused := 0, 0
	for _, request := range []struct{ path, body string }{
		{"/rerankd-filterpath-test/_search", search},
		{"/rerankd-filterpath-test/_msearch", "{}\n" + search + "\n{\"index\":\"rerankd-nowhere\"}\n{}\n"},
		{"/rerankd-filterpath-test/_mapping", ""},
	} {
		for _, pretty := range []bool{false, true} {
			query := "?"
			if pretty {
				query = "?pretty&"
			}
			whole := mustCall(t, http.MethodGet, base+request.path+query+"filter_path="+Whole, request.body)
			all := filters
			paths := pathsOf(t, []byte(whole))
			for range 60 {
				all = append(all, randomFilter(random, paths))
			}
			for _, value := range all {
				f, err := Parse(value)
				if err != nil {
					refused++
					continue
				}
				want := mustCall(t, http.MethodGet, base+request.path+query+"filter_path="+url.QueryEscape(value), request.body)
				got := []byte(whole)
				if f != nil {
					got, err = f.Apply([]byte(whole), pretty)
				}
				if errors.Is(err, ErrEmpty) {
					refused++
					continue
				}
				if err != nil {
					t.Errorf("%s %q: %v", request.path, value, err)
					continue
				}
				compared++
				if masked(string(got)) != masked(want) {
					t.Errorf("%s%s, filter_path=%s:\ngot  %s\nwant %s", base, request.path, value, got, want)
				}
			}
		}
	}
	t.Logf("%s: %d responses compared, %d filters left to the cluster", base, compared, refused)
	if compared < 10*refused {
		t.Errorf("%d filters were left to the cluster and %d compared: too many for what is rare in earnest", refused, compared)
	}
}

// pathsOf lists the paths of a response.
func pathsOf(t *testing.T, body []byte) (paths []string) {
	t.Helper()
	d := jsontext.NewDecoder(bytes.NewReader(body))
	seen := map[string]bool{}
	for {
		_, err := d.ReadToken()
		if err == io.EOF {
			return paths
		}
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for token := range d.StackPointer().Tokens() {
			if strings.Trim(token, "0123456789") != "" {
				names = append(names, strings.ReplaceAll(token, ".", `\.`))
			}
		}
		if path := strings.Join(names, "."); path != "" && !seen[path] {
			seen[path] = true
			paths = append(paths, path)
		}
	}
}

// randomFilter spoils some paths with wildcards, cuts and exclusions.
func randomFilter(random *rand.Rand, paths []string) string {
	var all []string
	for range 1 + random.IntN(3) {
		names := strings.Split(paths[random.IntN(len(paths))], ".")
		if random.IntN(3) == 0 {
			names = names[:1+random.IntN(len(names))]
		}
		for i := range names {
			switch random.IntN(12) {
			case 0:
				names[i] = "*"
			case 1:
				names[i] = "**"
			case 2:
				if len(names[i]) > 1 && !strings.Contains(names[i], `\`) && names[i][1] < 0x80 && names[i][0] < 0x80 {
					names[i] = names[i][:1] + "*"
				}
			}
		}
		path := strings.Join(names, ".")
		if random.IntN(4) == 0 {
			path = "-" + path
		}
		all = append(all, path)
	}
	return strings.Join(all, ",")
}

var took = regexp.MustCompile(`"took"( ?: ?)\d+`)

func masked(body string) string { return took.ReplaceAllString(body, `"took"${1}0`) }

func mustCall(t *testing.T, method, url, body string) string {
	t.Helper()
	status, answer := call(t, method, url, body)
	if status/100 != 2 {
		t.Fatalf("%s %s %s: got %d %s", method, url, body, status, answer)
	}
	return answer
}

func call(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}

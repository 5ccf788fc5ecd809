package proxy

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// templates is a fake cluster with one search template: a match on the title for params.query_string, with params.size.
type templates struct {
	shops
	forbid string // a path that is answered with 403

	mu    sync.Mutex
	paths []string
}

func (s *templates) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.paths = append(s.paths, r.URL.Path)
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == s.forbid {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `{"status":403}`)
		return
	}
	render := func(template []byte) string {
		var t struct {
			Params struct {
				Query string `json:"query_string"`
				Size  json.RawMessage
				Sort  string
			}
		}
		json.Unmarshal(template, &t)
		query, _ := json.Marshal(t.Params.Query)
		text := `{"query":{"match":{"title":` + string(query) + `}}`
		if t.Params.Size != nil {
			text += `,"size":` + string(t.Params.Size)
		}
		if t.Params.Sort != "" {
			text += `,"sort":["` + t.Params.Sort + `"]`
		}
		return text + "}"
	}
	switch body, _ := io.ReadAll(r.Body); {
	case r.URL.Path == "/_render/template":
		io.WriteString(w, `{"template_output":`+render(body)+`}`)
	case strings.HasSuffix(r.URL.Path, "/_search/template"):
		r.Body = io.NopCloser(strings.NewReader(render(body)))
		s.shops.ServeHTTP(w, r)
	case strings.HasSuffix(r.URL.Path, "/_msearch/template"):
		lines := strings.Split(string(body), "\n")
		for i := 1; i < len(lines); i += 2 {
			lines[i] = render([]byte(lines[i]))
		}
		r.Body, r.URL.Path = io.NopCloser(strings.NewReader(strings.Join(lines, "\n"))), "/_msearch"
		s.shops.ServeHTTP(w, r)
	default:
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		s.shops.ServeHTTP(w, r)
	}
}

func (s *templates) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.paths)
}

func TestTemplateIsRenderedAndReranked(t *testing.T) {
	s := &templates{shops: shops{shop: shop{docs: 100}}}
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse)}, Options{})
	for _, tt := range []struct {
		template, rerank string
		want             []int
	}{
		{`{"id":"mine","params":{"query_string":"blue shoes","size":3}}`, "applied; model", []int{29, 28, 27}},
		{`{"id":"mine","params":{"query_string":"blue shoes","size":3,"sort":"price"}}`, "skipped; reason=sort", []int{0, 1, 2}},
		{`{"id":"mine","params":{"query_string":"blue shoes","size":3},"explain":"false"}`, "applied; model", []int{29, 28, 27}},
	} {
		res, body, err := do(t, request(t, "POST", base+"/shop/_search/template", tt.template))
		if err != nil {
			t.Fatal(err)
		}
		if got := ids(t, body); !slices.Equal(got, tt.want) || !strings.HasPrefix(res.Header.Get("X-Rerank"), tt.rerank) {
			t.Errorf("%s: got %v, X-Rerank %q, want %v, %s", tt.template, got, res.Header.Get("X-Rerank"), tt.want, tt.rerank)
		}
	}
	want := []string{"/_render/template", "/shop/_search", "/_render/template", "/shop/_search/template", "/_render/template", "/shop/_search"}
	if got := s.asked(); !slices.Equal(got, want) {
		t.Errorf("the cluster was asked for %q, want %q", got, want)
	}
}

// Who may not render, or may search by templates alone, still gets the page reranked, by the words in the params.
func TestTemplateWithoutRendering(t *testing.T) {
	for forbidden, want := range map[string][]string{
		"/_render/template": {"/_render/template", "/shop/_search/template", "/shop/_search/template"},
		"/shop/_search":     {"/_render/template", "/shop/_search", "/shop/_search/template", "/shop/_search/template"},
	} {
		t.Run(forbidden, func(t *testing.T) {
			s := &templates{shops: shops{shop: shop{docs: 100}}, forbid: forbidden}
			base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse)}, Options{})
			var rerank, page = "", []int(nil)
			for range 2 {
				res, body, err := do(t, request(t, "POST", base+"/shop/_search/template", `{"id":"mine","params":{"query_string":"blue shoes","size":4}}`))
				if err != nil {
					t.Fatal(err)
				}
				rerank, page = res.Header.Get("X-Rerank"), ids(t, body)
			}
			if !strings.HasPrefix(rerank, "applied") || !slices.Equal(page, []int{3, 2, 1, 0}) {
				t.Errorf("got %v, X-Rerank %q, want the page reversed", page, rerank)
			}
			if got := s.asked(); !slices.Equal(got, want) {
				t.Errorf("the cluster was asked for %q, want %q", got, want)
			}
		})
	}
}

func TestMultiTemplate(t *testing.T) {
	for name, forbidden := range map[string]string{"rendered": "", "as it comes": "/_render/template"} {
		t.Run(name, func(t *testing.T) {
			s := &templates{shops: shops{shop: shop{docs: 100}}, forbid: forbidden}
			base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse)}, Options{})
			lines := `{}` + "\n" + `{"id":"mine","params":{"query_string":"blue shoes","size":4}}` + "\n" +
				`{"index":".secret"}` + "\n" + `{"id":"mine","params":{"query_string":"blue shoes","size":2}}` + "\n"
			res, body, err := do(t, request(t, "POST", base+"/shop/_msearch/template", lines, "Content-Type", "application/x-ndjson"))
			if err != nil {
				t.Fatal(err)
			}
			var answer struct{ Responses []json.RawMessage }
			if err := json.Unmarshal([]byte(body), &answer); err != nil || len(answer.Responses) != 2 {
				t.Fatalf("%v: %s", err, body)
			}
			want := []int{29, 28, 27, 26}
			if forbidden != "" {
				want = []int{3, 2, 1, 0}
			}
			if got := ids(t, string(answer.Responses[0])); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			if got := ids(t, string(answer.Responses[1])); !slices.Equal(got, []int{0, 1}) {
				t.Errorf("got %v of an index without a rule, want the cluster's order", got)
			}
			if got := res.Header.Get("X-Rerank"); !strings.HasPrefix(got, "applied; searches=2; reranked=1") {
				t.Errorf("got X-Rerank %q", got)
			}
		})
	}
}

// Beside a template, parameters of the URL that describe a search do nothing: OpenSearch 2.19.0 gives four hits for size=4 in the template
// and size=2 in the URL, and its _search gives two.
func TestTemplateBesideParameters(t *testing.T) {
	for query, elsewhere := range map[string]bool{"": true, "?routing=a&preference=b": true, "?size=2": false, "?q=red": false, "?sort=price": false, "?nonsense": false, "?%zz": false} {
		s := &templates{shops: shops{shop: shop{docs: 100}}}
		base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse)}, Options{})
		if _, _, err := do(t, request(t, "POST", base+"/shop/_search/template"+query, `{"id":"mine","params":{"query_string":"blue shoes","size":4}}`)); err != nil {
			t.Fatal(err)
		}
		if got := slices.Contains(s.paths, "/shop/_search"); got != elsewhere {
			t.Errorf("%q: the cluster was asked at %v, want /shop/_search among them: %v", query, s.paths, elsewhere)
		}
	}
}

// OpenSearch ends the answer to a template with the status that the search had.
func TestTemplateStatus(t *testing.T) {
	s := &templates{shops: shops{shop: shop{docs: 100}}}
	snapshot := &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse), OpenSearch: func() bool { return true }}
	base, _ := serve(t, snapshot, Options{})
	_, body, err := do(t, request(t, "POST", base+"/shop/_search/template", `{"id":"mine","params":{"query_string":"blue shoes","size":4}}`))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(body, `},"status":200}`) || !slices.Equal(ids(t, body), count(29, 25, -1)) {
		t.Errorf("got %s, want the reranked page with its status", body)
	}
}

// A client that may search by a template alone gets the answer to its template, also where only one of the searches made of them is refused.
func TestMultiTemplateRefusedElsewhere(t *testing.T) {
	s := &templates{shops: shops{shop: shop{docs: 100}}}
	s.fail = func(header, _ string, size int) string {
		if strings.Contains(header, "theirs") && !slices.Contains(s.paths, "/shop/_msearch/template") {
			return `{"error":{"reason":"no permissions for [indices:data/read/search]"},"status":403}`
		}
		return ""
	}
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse)}, Options{})
	const template = `{"id":"mine","params":{"query_string":"blue shoes","size":4}}`
	lines := "{}\n" + template + "\n" + `{"index":"theirs"}` + "\n" + template + "\n"
	_, body, err := do(t, request(t, "POST", base+"/shop/_msearch/template", lines, "Content-Type", "application/x-ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(body, "no permissions") {
		t.Errorf("got %s, a refusal of what the client did not ask for", body)
	}
}

// A cluster that does not render is not waited for.
func TestRenderingHangs(t *testing.T) {
	s := &templates{shops: shops{shop: shop{docs: 100}}}
	base, _ := serve(t, &Snapshot{Rules: rules(reverse), Upstream: upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/_render/template" {
			io.Copy(io.Discard, r.Body)
			select {
			case <-r.Context().Done():
			case <-time.After(5 * time.Second):
			}
			return
		}
		s.ServeHTTP(w, r)
	})}, Options{})
	start := time.Now()
	for range 3 {
		_, body, err := do(t, request(t, "POST", base+"/shop/_search/template", `{"id":"mine","params":{"query_string":"blue shoes","size":4}}`))
		if err != nil || len(ids(t, body)) != 4 {
			t.Fatalf("%v: %s", err, body)
		}
	}
	if took := time.Since(start); took > 2*renderTimeout {
		t.Errorf("3 searches took %v, want one wait of %v", took, renderTimeout)
	}
}

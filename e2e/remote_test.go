package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rerankd/rerankd/e2e/cluster"
	"github.com/rerankd/rerankd/e2e/program"
)

// library answers every search with the same books, which are long enough to keep a model at work.
func library(books int) http.Handler {
	var hits []string
	for i := range books {
		text := strings.Repeat(fmt.Sprintf("Chapter %d of the book on whales, gardens and boats. ", i), 12)
		hits = append(hits, fmt.Sprintf(`{"_index":"books","_id":"%d","_score":%d,"_source":{"text":%q}}`, i, books-i, text))
	}
	mux := http.NewServeMux()
	answer := func(path, body string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, body)
		})
	}
	answer("/{$}", `{"version":{"distribution":"opensearch","number":"2.19.1"}}`)
	answer("/books/_mapping", `{"books":{"mappings":{"properties":{"text":{"type":"text"}}}}}`)
	answer("/books/_search", fmt.Sprintf(`{"took":1,"timed_out":false,"_shards":{"total":1,"successful":1,"skipped":0,"failed":0},`+
		`"hits":{"total":{"value":%d,"relation":"eq"},"max_score":%d,"hits":[%s]}}`, books, books, strings.Join(hits, ",")))
	return mux
}

// A rerankd whose model is in another one, which is killed in the middle of searches: each of them is answered, whole, in the cluster's
// order, and says why.
func TestServerOfModelsIsKilled(t *testing.T) {
	if os.Getenv("RERANKD_E2E") == "" {
		t.Skip("needs the built program: `make test` runs it, or RERANKD_E2E=1 after `make build`")
	}
	const books = 30
	server := httptest.NewServer(library(books))
	defer server.Close()
	node := &cluster.Node{URL: server.URL}
	far := program.Serve(t, node, "inference: { words: small }\n")
	near := program.Serve(t, node, fmt.Sprintf("models:\n  farm: { source: %q, protocol: elastic, model: words, batch: 8, concurrency: 2 }\n"+
		"rules: [{ fields: [text], stages: [{ model: farm, window: %d }], budget: 10s }]\n", far.URL, books))

	type outcome struct {
		began, ended time.Time
		status       int
		said         string
		ids          []string
	}
	search := func(words string) (o outcome, err error) {
		o.began = time.Now()
		res, err := http.Get(near.URL + "/books/_search?size=30&q=" + url.QueryEscape(words))
		if err != nil {
			return o, err
		}
		defer res.Body.Close()
		var body struct {
			Hits struct {
				Hits []struct {
					ID string `json:"_id"`
				}
			}
		}
		err = json.NewDecoder(res.Body).Decode(&body)
		o.ended, o.status, o.said = time.Now(), res.StatusCode, res.Header.Get("X-Rerank")
		for _, hit := range body.Hits.Hits {
			o.ids = append(o.ids, hit.ID)
		}
		return o, err
	}
	before, err := search("gardens with whales")
	if err != nil || !strings.HasPrefix(before.said, fmt.Sprintf("applied; model=\"farm\"; window=%d; scored=%d", books, books)) {
		t.Fatalf("got %q, %v before anything breaks, want every hit scored", before.said, err)
	}

	var (
		mu       sync.Mutex
		outcomes []outcome
		wg       sync.WaitGroup
		stop     = make(chan struct{})
	)
	for client := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				o, err := search(fmt.Sprintf("the boat of client %d in chapter %d", client, n))
				if err != nil {
					t.Errorf("a search failed: %v", err)
				}
				mu.Lock()
				outcomes = append(outcomes, o)
				mu.Unlock()
			}
		})
	}
	time.Sleep(before.ended.Sub(before.began)) // so that all are at it
	killed := time.Now()
	far.Kill()
	time.Sleep(2 * time.Second)
	close(stop)
	wg.Wait()

	whole := make([]string, books)
	for i := range whole {
		whole[i] = fmt.Sprint(i)
	}
	under, after := 0, 0
	for _, o := range outcomes {
		sorted := slices.Clone(o.ids)
		slices.SortFunc(sorted, func(a, b string) int { return slices.Index(whole, a) - slices.Index(whole, b) })
		if o.status != http.StatusOK || !slices.Equal(sorted, whole) {
			t.Errorf("got status %d and hits %v, want all of them", o.status, o.ids)
		}
		if !o.ended.After(killed) || strings.HasPrefix(o.said, "applied") && o.began.Before(killed) {
			continue // done before, or almost
		}
		if o.began.Before(killed) {
			under++
		} else {
			after++
		}
		if o.said != "skipped; reason=model_error" || !slices.Equal(o.ids, whole) {
			t.Errorf("got %q and %v, want the cluster's order and reason=model_error", o.said, o.ids)
		}
		if took := o.ended.Sub(killed); o.began.Before(killed) && took > 2*time.Second {
			t.Errorf("a search was answered %v after the server had died", took)
		}
	}
	if under == 0 || after == 0 {
		t.Errorf("got %d searches under way when the server was killed and %d after, want some of both", under, after)
	}
	t.Logf("%d searches, of which %d were under way when the server was killed", len(outcomes), under)
}

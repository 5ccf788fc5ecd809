package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/experiment/sink"
	"github.com/rerankd/rerankd/proxy/search"
)

// BenchmarkRecorded is what a search pays for being recorded: all that is done to a request and to its answer of 50 hits and 63 KB, of which
// 24 are shown, without it and with it. What the sink does behind the search is not in it, but runs beside it.
func BenchmarkRecorded(b *testing.B) {
	const query = `"query":{"multi_match":{"query":"waterproof hiking boots","fields":["title^3","text"]}},"size":24`
	const ubi = `"ext":{"ubi":{"query_id":"7ae52966-0ac7-4c44-8f9e-1f9b5f3a8d3b","user_query":"waterproof hiking boots","client_id":"a-browser","application":"shop",
		"object_id_field":"sku","query_attributes":{"page":"search","sort":"relevance","device":"mobile"}}},`
	var hits []string
	for i := range 50 {
		hits = append(hits, fmt.Sprintf(`{"_index":"products","_id":"p-%d","_score":%d.5,"_source":{"title":"Boots, number %d","text":%q,"sku":"s-%d"}}`,
			i, 100-i, i, strings.Repeat("Some words about boots. ", 46), i))
	}
	answer := []byte(`{"took":5,"timed_out":false,"hits":{"total":{"value":4711,"relation":"eq"},"max_score":100.5,"hits":[` + strings.Join(hits, ",") + `]}}`)
	order := make([]int, len(hits))
	for i := range order {
		order[i] = len(hits) - 1 - i
	}
	need := search.Need{Window: len(hits), Fields: []string{"title", "text"}, Widen: true}
	f, err := sink.NewFile(sink.FileOptions{Dir: b.TempDir(), Host: "host", Size: 16 << 20, Files: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close(b.Context())

	for _, recorded := range []bool{false, true} {
		name, body := "plain", []byte("{"+query+"}")
		if recorded {
			name, body = "recorded", []byte("{"+ubi+query+"}")
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r, err := search.Parse("", body)
				if err != nil {
					b.Fatal(err)
				}
				var u *search.UBI
				if recorded {
					if u, err = r.UBI(); err != nil {
						b.Fatal(err)
					}
				}
				if _, err := r.Widen(need); err != nil {
					b.Fatal(err)
				}
				p, err := search.ParseResponse(answer)
				if err != nil {
					b.Fatal(err)
				}
				page := search.Page{Size: 24, Order: order, KeepScores: true}
				if recorded {
					page.QueryID = u.QueryID
					shown, err := p.Shown(page, u.ObjectIDField)
					if err != nil {
						b.Fatal(err)
					}
					i := &experiment.Impression{
						QueryID: u.QueryID, Time: time.Now().UTC(), Client: u.ClientID, Application: u.Application, Words: u.UserQuery, Attributes: u.Attributes,
						Field: u.ObjectIDField, Index: "products", Total: p.Total(), Hits: make([]experiment.Shown, len(shown)), Outcome: "applied",
					}
					for k, hit := range shown {
						i.Hits[k] = experiment.Shown{Index: hit.Index, ID: hit.ID, Object: hit.Object}
					}
					f.Keep(experiment.Record{Impression: i})
				}
				if _, err := p.Splice(page); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

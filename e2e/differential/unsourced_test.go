package differential

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rerankd/rerankd/e2e/cluster"
	"github.com/rerankd/rerankd/e2e/inside"
	"github.com/rerankd/rerankd/proxy"
)

// testUnsourced: a rule may name fields that no document shows, an alias or a runtime field. They are asked for by fields, and not to be
// seen in what the client gets.
func testUnsourced(t *testing.T, node *cluster.Node) {
	fields := []string{"heading"}
	if has(node.Engine, elasticsearch) {
		fields = append(fields, "sku")
	}
	for _, field := range fields {
		t.Run(field, func(t *testing.T) {
			rule := func(r proxy.Ranker, keep bool) inside.Options {
				return inside.Options{Rules: []proxy.Rule{{Name: "all", Indices: []string{"differential-*"}, Fields: []string{field}, Window: window, Budget: time.Minute, Ranker: r, KeepScores: keep, Version: "1"}}}
			}
			s := &sides{direct: node.URL, identity: inside.Serve(t, node, rule(inside.Identity, true)), reversing: inside.Serve(t, node, rule(inside.Reversing, false))}
			for _, body := range []string{plain, with(`"_source":false`), with(`"fields":["category"],"size":60`)} {
				sh := shape{body: body}
				want := s.send(t, s.direct, sh)
				for _, base := range []string{s.identity, s.reversing} {
					// The mapping, which says that documents do not show the field, is read behind the first search.
					got := s.send(t, base, sh)
					for end := time.Now().Add(10 * time.Second); !strings.HasPrefix(got.header.Get("X-Rerank"), "applied") && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
						got = s.send(t, base, sh)
					}
					if !strings.HasPrefix(got.header.Get("X-Rerank"), "applied") {
						t.Fatalf("%s: got X-Rerank %q, want it applied", body, got.header.Get("X-Rerank"))
					}
					if base == s.identity && !sameBody(shape{keys: true}, want.body, got.body) {
						t.Errorf("%s:\ngot  %s\nwant %s", body, got.body, want.body)
					}
					if base == s.reversing && slices.Equal(got.page(t).ids, want.page(t).ids) {
						t.Errorf("%s: turned round, got the cluster's order", body)
					}
				}
			}
		})
	}
}

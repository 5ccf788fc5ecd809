// Package e2e holds the built program against real clusters. The tests here run where RERANKD_E2E is set, which `make test` and `make e2e`
// do after building bin/rerankd:
//
//	RERANKD_E2E=1       OpenSearch 2.19 and Elasticsearch 8.19
//	RERANKD_E2E=matrix  OpenSearch 3.8, Elasticsearch 8.14 and 7.17 as well
package e2e

import (
	"testing"

	"github.com/rerankd/rerankd/e2e/cluster"
	"github.com/rerankd/rerankd/e2e/program"
)

// TestLive puts the program in front of each engine and compares what a client gets from it with what the cluster itself gives.
func TestLive(t *testing.T) {
	for _, e := range cluster.Asked(t) {
		t.Run(string(e), func(t *testing.T) {
			node := cluster.Start(t, e)
			node.Index(t, shop, shopMapping, shopDocuments())
			direct := client{url: node.URL}
			served := program.Serve(t, node, shopRules()+"inference: { mine: small }\n")
			through := client{url: served.URL}
			for _, index := range append(hurries, shop) {
				awaitWarm(t, through, "/"+index+"/_search", body(match("tea")))
			}
			t.Run("packages", func(t *testing.T) { testPackages(t, node) })
			t.Run("order", func(t *testing.T) { testOrder(t, direct, through) })
			t.Run("tail", func(t *testing.T) { testTail(t, direct, through) })
			t.Run("pages", func(t *testing.T) { testPages(t, direct, through) })
			t.Run("fields", func(t *testing.T) { testFields(t, e, direct, through) })
			t.Run("errors", func(t *testing.T) { testErrors(t, direct, through) })
			t.Run("off", func(t *testing.T) { testOff(t, direct, through) })
			t.Run("passed", func(t *testing.T) { testPassed(t, e, direct, through) })
			t.Run("others", func(t *testing.T) { testOthers(t, e, direct, through) })
			t.Run("multi", func(t *testing.T) { testMulti(t, direct, through) })
			t.Run("rerankers", func(t *testing.T) { testRerankers(t, direct, through) })
			t.Run("clients", func(t *testing.T) { testClients(t, node, through) })
			t.Run("browser", func(t *testing.T) { testBrowser(t, direct, through, served) })
			t.Run("experiments", func(t *testing.T) { testExperimentPages(t, node) })
			t.Run("ramp", func(t *testing.T) { testRamp(t, node) })
			t.Run("demo", func(t *testing.T) { testDemo(t, node) })
			t.Run("evaluate", func(t *testing.T) { testEvaluate(t, node) })
			t.Run("zero config", func(t *testing.T) { testZeroConfig(t, node, direct) })
		})
	}
}

// TestSecured puts the program in front of an Elasticsearch that asks who is there.
func TestSecured(t *testing.T) {
	for _, e := range cluster.Asked(t) {
		if !e.Elasticsearch() {
			continue
		}
		t.Run(string(e), func(t *testing.T) {
			node := cluster.StartSecured(t, e)
			node.Index(t, shop, shopMapping, shopDocuments())
			testSecured(t, node)
			t.Run("packages", func(t *testing.T) { testPackages(t, node) })
		})
	}
}

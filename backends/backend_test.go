package backends_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/rerankd/rerankd/backends"
	"github.com/rerankd/rerankd/backends/backendtest"
	"github.com/rerankd/rerankd/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, c config.Cluster) *backends.Backend {
	t.Helper()
	b, err := backends.Open(c, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func TestConformance(t *testing.T) {
	for _, kind := range []string{config.KindElasticsearch, config.KindOpenSearch, config.KindAuto} {
		t.Run(kind, func(t *testing.T) { backendtest.Run(t, kind, open) })
	}
}

package e2e

import (
	"net/url"
	"os"
	"os/exec"
	"testing"

	"github.com/rerankd/rerankd/e2e/cluster"
)

// testPackages runs the tests that packages keep for a real cluster, each in its own package, on the node. They skip without its address.
func testPackages(t *testing.T, node *cluster.Node) {
	address, err := url.Parse(node.URL)
	if err != nil {
		t.Fatal(err)
	}
	pattern, variable := "^(TestLive.*|TestSameAsTheCluster|TestPlacesLive|TestCleanLikeTheCluster)$", "RERANKD_TEST_OPENSEARCH"
	if node.Engine.Elasticsearch() {
		variable = "RERANKD_TEST_ELASTICSEARCH"
	}
	if node.Password != "" {
		pattern, variable = "^TestLiveSecured$", "RERANKD_TEST_ELASTICSEARCH_SECURED"
		address.User = url.UserPassword("elastic", node.Password)
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-run", pattern, "../backends", "../proxy/search", "../proxy/filterpath")
	// None of these packages needs a C compiler, and another node that was named for the whole run is not this one.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "RERANKD_TEST_OPENSEARCH=", "RERANKD_TEST_ELASTICSEARCH=",
		"RERANKD_TEST_ELASTICSEARCH_SECURED=", variable+"="+address.String())
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

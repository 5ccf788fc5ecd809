// Package cluster runs real OpenSearch and Elasticsearch nodes for tests, on this machine and without Docker.
//
// cluster.sh beside this file does the work, fetches what is missing and can be used by hand. A node ends with the test that started it,
// also when that test is interrupted or killed: the script stops its node as soon as its standard input ends.
package cluster

import (
	"bufio"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// An Engine is a search engine in one version, as cluster.sh names it.
type Engine string

// The engines that can be had without Docker. Every change is tested on the first and the third; `make e2e` takes all.
const (
	OpenSearch219    Engine = "opensearch-2.19.1"
	OpenSearch380    Engine = "opensearch-3.8.0"
	Elasticsearch819 Engine = "elasticsearch-8.19.16"
	Elasticsearch814 Engine = "elasticsearch-8.14.1" // with modules: analyzers, painless, retrievers, reindex
	Elasticsearch717 Engine = "elasticsearch-7.17.29"
)

// All are the engines of the whole matrix.
func All() []Engine {
	return []Engine{OpenSearch219, OpenSearch380, Elasticsearch819, Elasticsearch814, Elasticsearch717}
}

// Asked are the engines that RERANKD_E2E asks for: 1 for those of every change, matrix for all. Without it the test is skipped.
func Asked(t testing.TB) []Engine {
	t.Helper()
	switch os.Getenv("RERANKD_E2E") {
	case "1":
		return []Engine{OpenSearch219, Elasticsearch819}
	case "matrix":
		return All()
	}
	t.Skip("needs real clusters: `make test` runs it, or RERANKD_E2E=1 with bin/rerankd built")
	return nil
}

// Elasticsearch reports whether the engine is an Elasticsearch, and not an OpenSearch.
func (e Engine) Elasticsearch() bool { return strings.HasPrefix(string(e), "elasticsearch-") }

// A Node is one running node.
type Node struct {
	Engine   Engine
	URL      string // http://127.0.0.1:PORT
	Password string // of the user elastic; "" = no security
	CA       string // the file with the authority of its certificate; "" = no TLS

	client *http.Client // nil: the usual one
}

// Start runs a node of the engine until the test ends, or takes the one that RERANKD_TEST_OPENSEARCH or RERANKD_TEST_ELASTICSEARCH names
// for the engine's kind. A node that is named is used as it is: tests choose index names of their own and delete them.
func Start(t testing.TB, e Engine) *Node {
	t.Helper()
	variable := "RERANKD_TEST_OPENSEARCH"
	if e.Elasticsearch() {
		variable = "RERANKD_TEST_ELASTICSEARCH"
	}
	if url := os.Getenv(variable); url != "" {
		t.Logf("using the node at %s for %s", url, e)
		return &Node{Engine: e, URL: strings.TrimSuffix(url, "/")}
	}
	return start(t, e, "", "")
}

// StartSecured runs an Elasticsearch that refuses whoever does not authenticate as elastic with the node's password.
func StartSecured(t testing.TB, e Engine) *Node {
	t.Helper()
	return start(t, e, "not-a-secret", "")
}

// StartTLS is StartSecured over TLS, with a certificate that nobody knows who is not given Node.CA.
func StartTLS(t testing.TB, e Engine) *Node {
	t.Helper()
	folder, pool := certificate(t)
	n := start(t, e, "not-a-secret", folder)
	n.CA = filepath.Join(folder, "certificate.pem")
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	n.client = &http.Client{Transport: transport}
	return n
}

// certificate makes one for 127.0.0.1 that vouches for itself: certificate.pem and key.pem in the folder.
func certificate(t testing.TB) (folder string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "rerankd's tests"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	folder = t.TempDir()
	for name, block := range map[string]*pem.Block{"certificate.pem": {Type: "CERTIFICATE", Bytes: signed}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	parsed, err := x509.ParseCertificate(signed)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(parsed)
	return folder, pool
}

func start(t testing.TB, e Engine, password, certificates string) *Node {
	t.Helper()
	// Not t.TempDir: Elasticsearch gives up root for another user, who must be able to enter the folder.
	dir, err := os.MkdirTemp("", "rerankd-"+string(e)+"-")
	if err != nil {
		t.Fatalf("making a folder for %s: %v", e, err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatalf("opening the folder of %s: %v", e, err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })

	cmd := exec.Command(script(t), "run", string(e), dir)
	cmd.Env = append(os.Environ(), "NODE_PASSWORD="+password, "NODE_TLS="+certificates)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C ends the test; the end of the test ends the node
	var complaint strings.Builder
	cmd.Stderr = &complaint
	alive, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", e, err)
	}
	url, readErr := bufio.NewReader(out).ReadString('\n')
	if readErr != nil {
		cmd.Wait()
		t.Fatalf("starting %s: %s", e, complaint.String())
	}
	t.Cleanup(func() {
		alive.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("stopping %s: %v\n%s", e, err, complaint.String())
		}
	})
	t.Logf("%s is up after %.1f s", e, time.Since(begun).Seconds())
	return &Node{Engine: e, URL: strings.TrimSpace(url), Password: password}
}

// Authorization is the header value with which a client enters a secured node; "" where the node asks for none.
func (n *Node) Authorization() string {
	if n.Password == "" {
		return ""
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte("elastic:"+n.Password))
}

// Index makes an index with one shard from the mapping and documents in bulk format, replacing an older one, and deletes it when the test ends.
func (n *Node) Index(t testing.TB, name, definition, bulk string) {
	t.Helper()
	n.Delete(t, name)
	n.Do(t, http.MethodPut, "/"+name, "application/json", definition)
	t.Cleanup(func() { n.Delete(t, name) })
	answer := n.Do(t, http.MethodPost, "/"+name+"/_bulk?refresh=true&filter_path=errors,items.*.error", "application/x-ndjson", bulk)
	if !strings.Contains(answer, `"errors":false`) {
		t.Fatalf("indexing into %s: %.500s", name, answer)
	}
}

// Delete removes an index; one that is not there is fine.
func (n *Node) Delete(t testing.TB, name string) {
	t.Helper()
	n.Do(t, http.MethodDelete, "/"+name+"?ignore_unavailable=true", "", "")
}

// Do asks the node for something that it has to agree to, as whoever may do everything, and returns the answer's body.
func (n *Node) Do(t testing.TB, method, path, contentType, body string) string {
	t.Helper()
	req, err := http.NewRequest(method, n.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if a := n.Authorization(); a != "" {
		req.Header.Set("Authorization", a)
	}
	resp, err := cmp.Or(n.client, http.DefaultClient).Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	var answer strings.Builder
	if _, err := bufio.NewReader(resp.Body).WriteTo(&answer); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if resp.StatusCode >= 300 {
		t.Fatalf("%s %s: got %s: %.500s", method, path, resp.Status, answer.String())
	}
	return answer.String()
}

func script(t testing.TB) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok || !filepath.IsAbs(file) {
		t.Fatalf("cluster.sh is found by this package's source path, got %q: build the tests without -trimpath", file)
	}
	return filepath.Join(filepath.Dir(file), "cluster.sh")
}

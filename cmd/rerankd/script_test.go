package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/rerank/model"
	"github.com/rerankd/rerankd/rerank/model/hub/hubtest"
	"github.com/rerankd/rerankd/rerank/onnx"
)

// The scripts in testdata are the program's manual by example. They run the real program, with a model that needs no native library
// (it counts the words that a query and a document share) in front of a cluster that is 100 lines long.

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"rerankd": func() {
			e := &environment{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, lookup: os.LookupEnv, open: openFake}
			os.Exit(e.run(untilSignal(), os.Args[1:]))
		},
		"get": func() { os.Exit(get(os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                "testdata",
		RequireUniqueNames: true,
		Condition: func(name string) (bool, error) {
			if name != "onnxruntime" {
				return false, fmt.Errorf("there is no condition %q", name)
			}
			return onnx.Version() != "", nil // false in a build without cgo
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("PROXY", freeAddress(env.T().(testing.TB)))
			env.Setenv("ADMIN", freeAddress(env.T().(testing.TB)))
			env.Setenv("FAR", freeAddress(env.T().(testing.TB))) // of a second program
			env.Setenv("NO_COLOR", "1")
			env.Setenv("ONNXRUNTIME", os.Getenv("RERANKD_ONNXRUNTIME")) // for the scripts that run a real model
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"cluster":     cmdCluster,
			"hub":         cmdHub,
			"signal":      cmdSignal,
			"certificate": cmdCertificate,
			"code":        cmdCode,
			"traffic":     cmdTraffic,
		},
	})
}

// freeAddress is a loopback address that nobody listens on just now. It is below the ports that systems hand out by themselves, so that
// nothing else gets it by chance before the program does.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+mathrand.IntN(12_000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("finding a free port: none in 100 tries")
	return ""
}

// cluster [-secured] FILE... starts a cluster with an index for each file, and sets $CLUSTER to its URL. A secured one knows admin:secret,
// and reader:secret who may search and not see mappings.
func cmdCluster(ts *testscript.TestScript, neg bool, args []string) {
	c := &fakeCluster{indices: map[string][]string{}}
	if len(args) > 0 && args[0] == "-secured" {
		c.secured, args = true, args[1:]
	}
	for _, name := range args {
		index := strings.TrimSuffix(filepath.Base(name), ".ndjson")
		c.indices[index] = strings.Split(strings.TrimSpace(ts.ReadFile(name)), "\n")
	}
	server := httptest.NewServer(c.handler())
	ts.Defer(server.Close)
	ts.Setenv("CLUSTER", server.URL)
}

// signal NAME sends a signal to the programs in the background.
func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]os.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM}
	if len(args) != 1 || signals[args[0]] == nil {
		ts.Fatalf("usage: signal HUP|TERM")
	}
	for _, cmd := range ts.BackgroundCmds() {
		if filepath.Base(cmd.Path) == "rerankd" {
			ts.Check(cmd.Process.Signal(signals[args[0]]))
		}
	}
}

// code N COMMAND... runs a program that is to end with that exit code.
func cmdCode(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND...")
	}
	got := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("got exit code %s, want %s", got, args[0])
	}
}

// certificate NAME makes NAME.crt and NAME.key, a certificate for 127.0.0.1 that says who it is. One called expired is.
func cmdCertificate(ts *testscript.TestScript, neg bool, args []string) {
	end := time.Now().Add(time.Hour)
	if args[0] == "expired" {
		end = time.Now().Add(-time.Hour)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: args[0]},
		NotAfter:     end,
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	ts.Check(err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	write := func(name, kind string, der []byte) {
		ts.Check(os.WriteFile(ts.MkAbs(args[0]+name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	}
	write(".crt", "CERTIFICATE", der)
	write(".key", "PRIVATE KEY", keyDER)
}

// get [-until PATTERN] [-refused] [-header LINE] [-post BODY] URL prints status, X-Rerank, the server's certificate and the body, asking again until
// what is printed matches, or until no connection is taken.
func get(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("get", flag.ContinueOnError)
	until := flags.String("until", "", "pattern")
	header := flags.String("header", "", "Name: value")
	post := flags.String("post", "", "body of a POST")
	refused := flags.Bool("refused", false, "wait for the listener to be closed")
	if flags.Parse(args) != nil {
		return 2
	}
	pattern := regexp.MustCompile("(?s)" + *until)
	// The scripts' certificates are their own authorities; which one it is, is printed.
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		said, err := fetch(&client, flags.Arg(0), *header, *post)
		if *refused && errors.Is(err, syscall.ECONNREFUSED) {
			return 0
		}
		if err == nil && !*refused && pattern.MatchString(said) {
			io.WriteString(stdout, said)
			return 0
		}
		if *until == "" && !*refused || time.Now().After(deadline) {
			fmt.Fprintln(stderr, said, err)
			return 1
		}
	}
}

func fetch(client *http.Client, url, header, post string) (string, error) {
	method := "GET"
	if post != "" {
		method = "POST"
	}
	req, err := http.NewRequest(method, url, strings.NewReader(post))
	if err != nil {
		return "", err
	}
	if post != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if name, value, ok := strings.Cut(header, ": "); ok {
		req.Header.Set(name, value)
	}
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	var b strings.Builder
	fmt.Fprintln(&b, res.StatusCode)
	if said := res.Header.Get("X-Rerank"); said != "" {
		fmt.Fprintln(&b, "X-Rerank:", said)
	}
	if res.TLS != nil {
		fmt.Fprintln(&b, "certificate:", res.TLS.PeerCertificates[0].Subject.CommonName)
	}
	b.Write(body)
	return b.String(), err
}

// A fakeRunner scores a document by the words of the query that it has.
type fakeRunner struct{}

// openFake loads nothing. A model with a maximal length of 17 is broken, for the scripts about that.
func openFake(f *model.Files, c config.Model) (runner, error) {
	if c.MaxLength == 17 {
		return nil, fmt.Errorf("the graph has 3 outputs, and 1 is wanted")
	}
	return fakeRunner{}, nil
}

func (fakeRunner) Tokenize(text string) ([]uint32, error) {
	var ids []uint32
	for _, word := range strings.Fields(strings.ToLower(text)) {
		h := fnv.New32()
		io.WriteString(h, strings.Trim(word, ".,"))
		ids = append(ids, h.Sum32())
	}
	return ids, nil
}

func (fakeRunner) Score(ctx context.Context, query, doc []uint32) (float32, error) {
	var score float32
	for _, q := range query {
		for _, d := range doc {
			if q == d {
				score++
				break
			}
		}
	}
	return score, ctx.Err()
}

func (fakeRunner) Vocabulary() string { return "words" }
func (fakeRunner) Close() error       { return nil }

// cmdHub starts a model hub that has one model, owner/name, in both precisions; HF_ENDPOINT names it. With the argument "gated" it wants a
// token that nobody has.
func cmdHub(ts *testscript.TestScript, neg bool, args []string) {
	file := func(name string) []byte {
		content, err := os.ReadFile(filepath.Join("..", "..", "rerank", "onnx", "testdata", "bert", name))
		ts.Check(err)
		return content
	}
	graph := file("model.onnx")
	h := &hubtest.Hub{
		Repository: "owner/name",
		Files: map[string][]byte{
			"onnx/model.onnx": graph, "tokenizer.json": file("tokenizer.json"), "config.json": file("config.json"), "README.md": []byte("---\nlicense: mit\nlanguage: [de, en]\n---\n"),
		},
		Large: map[string]bool{"onnx/model.onnx": true},
	}
	if len(args) > 0 && args[0] == "gated" {
		h.Gated = true
	}
	ts.Defer(h.Start())
	ts.Setenv("HF_ENDPOINT", h.URL)
}

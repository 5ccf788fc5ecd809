package backends

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rerankd/rerankd/config"
)

// A certificate with its key, and what issued it.
type issued struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

// issue makes a certificate: an authority where by is nil, else one for 127.0.0.1 issued by it.
func issue(t *testing.T, name string, by *issued) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	parent, signer := template, key
	if by == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	} else {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		parent, signer = by.Certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{c, key}
}

func (c *issued) fingerprint() string { sum := sha256.Sum256(c.Raw); return hex.EncodeToString(sum[:]) }

// files writes certificate and key as PEM.
func (c *issued) files(t *testing.T) (certificate, key string) {
	t.Helper()
	dir := t.TempDir()
	certificate, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	der, err := x509.MarshalPKCS8PrivateKey(c.key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: c.Raw}, key: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

// secure is a node that shows leaf and the rest of chain, and wants certificates of clients if it is given their authority.
func secure(t *testing.T, leaf *issued, clients *issued, chain ...*issued) string {
	t.Helper()
	pair := tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: leaf.key}
	for _, c := range chain {
		pair.Certificate = append(pair.Certificate, c.Raw)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	if clients != nil {
		s.TLS.ClientAuth, s.TLS.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		s.TLS.ClientCAs.AddCert(clients.Certificate)
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

// get asks a node for something.
func get(t *testing.T, c config.Cluster) error {
	t.Helper()
	b, err := Open(c, Options{})
	if err != nil {
		return err
	}
	t.Cleanup(b.Close)
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://x/_search", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := b.RoundTrip(r)
	if err == nil {
		res.Body.Close()
	}
	return err
}

func TestTLS(t *testing.T) {
	authority, stranger := issue(t, "authority", nil), issue(t, "stranger", nil)
	leaf := issue(t, "node", authority)
	authorityFile, _ := authority.files(t)
	strangerFile, strangerKey := stranger.files(t)
	client := issue(t, "client", authority)
	clientFile, clientKey := client.files(t)

	honest := secure(t, leaf, nil, authority)
	// The certificate of the authority is public: this node shows it behind a certificate of its own making.
	impostor := secure(t, issue(t, "node", stranger), nil, authority)
	strict := secure(t, leaf, authority)

	colons := strings.ToUpper(leaf.fingerprint())
	for i := 2; i < len(colons); i += 3 {
		colons = colons[:i] + ":" + colons[i:]
	}
	for _, test := range []struct {
		name string
		node string
		tls  config.ClientTLS
		want string // in the error; "" is success
	}{
		{"nothing said", honest, config.ClientTLS{}, "unknown authority"},
		{"the authority", honest, config.ClientTLS{CA: authorityFile}, ""},
		{"another authority", honest, config.ClientTLS{CA: strangerFile}, "unknown authority"},
		{"a missing file", honest, config.ClientTLS{CA: "/nowhere.pem"}, "tls.ca"},
		{"a file without certificates", honest, config.ClientTLS{CA: strangerKey}, "no certificate"},
		{"fingerprint of the authority", honest, config.ClientTLS{Fingerprint: authority.fingerprint()}, ""},
		{"fingerprint of the node", honest, config.ClientTLS{Fingerprint: colons}, ""},
		{"another fingerprint", honest, config.ClientTLS{Fingerprint: stranger.fingerprint()}, leaf.fingerprint()},
		{"fingerprint of an authority that did not issue", impostor, config.ClientTLS{Fingerprint: authority.fingerprint()}, "not issued"},
		{"a short fingerprint", honest, config.ClientTLS{Fingerprint: "ab"}, "64 digits"},
		{"fingerprint and authority", honest, config.ClientTLS{Fingerprint: leaf.fingerprint(), CA: authorityFile}, "neither"},
		{"anyone", impostor, config.ClientTLS{InsecureSkipVerify: true}, ""},
		{"a client certificate", strict, config.ClientTLS{CA: authorityFile, Certificate: clientFile, Key: clientKey}, ""},
		{"no client certificate", strict, config.ClientTLS{CA: authorityFile}, "certificate required"},
		{"a client certificate of another", strict, config.ClientTLS{CA: authorityFile, Certificate: strangerFile, Key: strangerKey}, "tls:"},
		{"a certificate without its key", strict, config.ClientTLS{CA: authorityFile, Certificate: clientFile}, "tls.certificate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := get(t, config.Cluster{URLs: []string{test.node}, TLS: test.tls})
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// elastic-transport-go's own way to check fingerprints dials without the context.
func TestTLSHandshakeEndsWithTheContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never says a word
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b, err := Open(config.Cluster{URLs: []string{"https://" + l.Addr().String()}, TLS: config.ClientTLS{Fingerprint: strings.Repeat("ab", 32)}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		cancel()
		t.Cleanup(func() { conn.Close() })
	}()
	r, _ := http.NewRequestWithContext(ctx, "GET", "http://x/", nil)
	if _, err := b.RoundTrip(r); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

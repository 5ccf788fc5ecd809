package backends

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/rerankd/rerankd/config"
)

// newTLS is how the cluster's certificate is judged, and which is shown to it.
func newTLS(c config.ClientTLS) (*tls.Config, error) {
	secure := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.InsecureSkipVerify}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("tls.ca: %w", err)
		}
		secure.RootCAs = x509.NewCertPool()
		if !secure.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca: %s holds no certificate in PEM form", c.CA)
		}
	}
	if c.Certificate != "" || c.Key != "" {
		pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
		if err != nil {
			return nil, fmt.Errorf("tls.certificate: %w", err)
		}
		secure.Certificates = []tls.Certificate{pair}
	}
	if c.Fingerprint != "" {
		if c.CA != "" || c.InsecureSkipVerify {
			return nil, errors.New("tls.fingerprint: goes with neither ca nor insecure_skip_verify")
		}
		fingerprint, err := hex.DecodeString(strings.ReplaceAll(c.Fingerprint, ":", ""))
		if err != nil || len(fingerprint) != sha256.Size {
			return nil, errors.New("tls.fingerprint: must be a SHA-256 in hexadecimal, 64 digits")
		}
		// The usual verification is replaced by pinned's, which runs for resumed sessions as well.
		secure.InsecureSkipVerify = true
		secure.VerifyConnection = pinned([sha256.Size]byte(fingerprint)).verify
	}
	return secure, nil
}

// pinned is the SHA-256 of a certificate: the node's own, or that of the authority which issued it, as Elasticsearch prints it at its
// first start.
//
// The node must show that it has the key of the pinned certificate, or of one issued under it. That the pinned certificate is among those
// shown would not be enough (it is all that elastic-transport-go asks): certificates are public, and anyone can show one. Host names are
// not compared, as the pinned authority is the cluster's own and issues to nobody else.
type pinned [sha256.Size]byte

func (p pinned) verify(state tls.ConnectionState) error {
	shown := state.PeerCertificates
	if len(shown) == 0 {
		return errors.New("the node shows no certificate")
	}
	leaf := shown[0]
	if sha256.Sum256(leaf.Raw) == p {
		return nil
	}
	options := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool()}
	found := false
	for _, c := range shown[1:] {
		if sha256.Sum256(c.Raw) == p {
			options.Roots.AddCert(c)
			found = true
		} else {
			options.Intermediates.AddCert(c)
		}
	}
	if !found {
		return fmt.Errorf("none of the node's certificates has the configured fingerprint; its own has %x", sha256.Sum256(leaf.Raw))
	}
	if _, err := leaf.Verify(options); err != nil {
		return fmt.Errorf("the node's certificate is not issued under the one with the configured fingerprint: %w", err)
	}
	return nil
}

package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/rerankd/rerankd/config"
)

// A certificate is the listener's own, which is exchanged while connections that began under the former go on.
type certificate struct {
	current atomic.Pointer[tls.Certificate]
}

// load reads the files; where they cannot be used the former certificate stays. One whose time is not now is used, because there are clients
// that do not look, and said.
func (c *certificate) load(t *config.ServerTLS, logger *slog.Logger) error {
	pair, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
	if err != nil {
		return fmt.Errorf("reading the certificate: %w", err)
	}
	if now := time.Now(); now.After(pair.Leaf.NotAfter) || now.Before(pair.Leaf.NotBefore) {
		logger.Error("the proxy's certificate is not valid now", "file", t.Certificate, "from", pair.Leaf.NotBefore, "to", pair.Leaf.NotAfter)
	}
	c.current.Store(&pair)
	return nil
}

func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if pair := c.current.Load(); pair != nil {
				return pair, nil
			}
			return nil, errors.New("no certificate has been read")
		},
	}
}

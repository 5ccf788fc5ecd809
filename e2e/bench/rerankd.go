package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// A setting is what a rerankd under measurement is configured with. Unless said otherwise it judges every hit it is given, however long
// that takes, and shows the model's own scores, so that they can be compared.
type setting struct {
	core      string // it may use, as taskset has it; "" is all
	source    string // of the model; "" is the embedded one
	precision string // of the model; "" is what there is
	window    int
	budget    string // "" is a minute
}

// startRerankd runs the program before a cluster and waits until it is ready.
func startRerankd(ctx context.Context, dir string, s setting, cluster string, o options) (*process, string, error) {
	listen, err := freeAddress()
	if err != nil {
		return nil, "", err
	}
	admin, err := freeAddress()
	if err != nil {
		return nil, "", err
	}
	if s.source == "" {
		s.source = "embedded"
	}
	if s.precision != "" {
		s.precision = ", precision: " + s.precision
	}
	if s.budget == "" {
		s.budget = "60s"
	}
	config := fmt.Sprintf(`
listen: %s
admin: { listen: %s }
cluster: { urls: ["%s"] }
models: { small: { source: %q%s } }
rules:
  - name: bench
    fields: [text]
    stages: [{ model: small, window: %d }]
    budget: %s
    fusion: { method: none }
    score: logit
log: { level: error }
`, listen, admin, cluster, s.source, s.precision, s.window, s.budget)
	path := filepath.Join(dir, "rerankd.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return nil, "", err
	}
	p, err := start(ctx, s.core, o.rerankd, "serve", "-c", path)
	if err != nil {
		return nil, "", err
	}
	if err := p.ready(ctx, "http://"+admin+"/-/ready"); err != nil {
		return nil, "", fmt.Errorf("starting rerankd: %w", err)
	}
	return p, "http://" + listen, nil
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// startRerankd runs the program before a cluster and waits until it is ready. The rule judges every hit it is given, however long that
// takes, and shows the model's own scores, so that they can be compared.
func startRerankd(ctx context.Context, dir, core, cluster string, o options) (*process, string, error) {
	listen, err := freeAddress()
	if err != nil {
		return nil, "", err
	}
	admin, err := freeAddress()
	if err != nil {
		return nil, "", err
	}
	config := fmt.Sprintf(`
listen: %s
admin: { listen: %s }
cluster: { urls: ["%s"] }
models: { small: { source: embedded } }
rules:
  - name: bench
    fields: [text]
    stages: [{ model: small, window: %d }]
    budget: 60s
    fusion: { method: none }
    score: logit
log: { level: error }
`, listen, admin, cluster, hits)
	path := filepath.Join(dir, "rerankd.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return nil, "", err
	}
	p, err := start(ctx, core, o.rerankd, "serve", "-c", path)
	if err != nil {
		return nil, "", err
	}
	if err := p.ready(ctx, "http://"+admin+"/-/ready"); err != nil {
		return nil, "", fmt.Errorf("starting rerankd: %w", err)
	}
	return p, "http://" + listen, nil
}

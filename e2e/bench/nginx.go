package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// nginxConf is nginx twice: as the small upstream of both proxies, and as the proxy to compare with. One worker each, connections kept,
// no log, nothing on disk: as good as nginx gets at this.
var nginxConf = template.Must(template.New("nginx").Parse(`
daemon off;
worker_processes 1;
pid {{.Dir}}/pid;
error_log stderr crit;
events { worker_connections 1024; }
http {
	access_log off;
	keepalive_requests 1000000000;
	keepalive_timeout 1h;
	client_body_temp_path {{.Dir}}/body;
	proxy_temp_path {{.Dir}}/proxy;
	fastcgi_temp_path {{.Dir}}/fastcgi;
	uwsgi_temp_path {{.Dir}}/uwsgi;
	scgi_temp_path {{.Dir}}/scgi;
{{- if .Upstream}}
	upstream cluster {
		server {{.Upstream}};
		keepalive 64;
		keepalive_requests 1000000000;
	}
	server {
		listen {{.Listen}};
		proxy_http_version 1.1;
		proxy_set_header Connection "";
		proxy_set_header Host $http_host;
		proxy_max_temp_file_size 0;
		location / { proxy_pass http://cluster; }
	}
{{- else}}
	default_type application/json;
	server {
		listen {{.Listen}};
		root {{.Dir}}/www;
		add_header X-elastic-product Elasticsearch;
		location = / { return 200 '{"name":"bench","version":{"number":"8.19.16"},"tagline":"You Know, for Search"}'; }
		location ~ /_mapping$ { return 200 '{"bench":{"mappings":{"properties":{"text":{"type":"text"}}}}}'; }
		location ~ /_search$ { try_files /search =404; }
	}
{{- end}}
}
`))

// startNginx runs nginx on one core: before upstream if that is given, else as the upstream, with the given files under /.
func startNginx(ctx context.Context, dir, core, upstream string, files map[string][]byte) (*process, string, error) {
	listen, err := freeAddress()
	if err != nil {
		return nil, "", err
	}
	if err := os.MkdirAll(filepath.Join(dir, "www"), 0o755); err != nil {
		return nil, "", err
	}
	// Its worker leaves root for a user of its own, who must be able to read the files.
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		return nil, "", err
	}
	for name, data := range files {
		path := filepath.Join(dir, "www", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, "", err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return nil, "", err
		}
	}
	var conf bytes.Buffer
	if err := nginxConf.Execute(&conf, struct{ Dir, Listen, Upstream string }{dir, listen, strings.TrimPrefix(upstream, "http://")}); err != nil {
		return nil, "", err
	}
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, conf.Bytes(), 0o644); err != nil {
		return nil, "", err
	}
	p, err := start(ctx, core, "nginx", "-p", dir, "-c", path)
	if err != nil {
		return nil, "", err
	}
	url := "http://" + listen
	if err := p.ready(ctx, url+"/"); err != nil {
		return nil, "", fmt.Errorf("starting nginx: %w", err)
	}
	return p, url, nil
}

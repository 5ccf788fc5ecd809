package backends

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rerankd/rerankd/config"
)

// A node is one URL of the cluster and how it does.
type node struct {
	name   string // the URL, for people
	scheme string
	host   string
	prefix url.URL // Path and RawPath before every request's; no slash at the end

	elasticsearch, opensearch performer // the one that the configured kind needs; both with auto

	seen atomic.Int64 // when it last gave an HTTP answer, Unix nanoseconds; 0: never
	up   atomic.Bool  // the last contact was an answer, or there has been none; written under the pool's lock
	out  atomic.Bool  // left out of the turn; written under the pool's lock

	// Under the pool's lock.
	outSince time.Time
	until    time.Time // before then it is not asked whether it is back
	backAt   time.Time // when it was last taken in again
	times    int       // how often it was left out in a row
	err      error     // of the last contact, nil if that was an answer
}

// NodeStatus is how a node does.
type NodeStatus struct {
	URL   string
	Up    bool      // the last contact was an HTTP answer; true also before the first contact
	InUse bool      // requests go to it. The last node left stays in use, up or not
	Seen  time.Time // its last HTTP answer; zero: none yet
	Err   error     // why it is not up
}

// newNodes makes the nodes of c, each with its vendor's transport over next.
func newNodes(c config.Cluster, own credentials, next http.RoundTripper) ([]*node, error) {
	if len(c.URLs) == 0 {
		return nil, errors.New("urls: at least one is needed")
	}
	var nodes []*node
	names := map[string]bool{}
	for i, text := range c.URLs {
		n, err := newNode(text)
		if err != nil {
			return nil, fmt.Errorf("urls[%d]: %w", i, err)
		}
		if names[n.name] {
			return nil, fmt.Errorf("urls[%d]: %s is there twice", i, n.name)
		}
		names[n.name] = true
		address := &url.URL{Scheme: n.scheme, Host: n.host} // no path: the vendors join it to the unescaped path, and /a%2Fb becomes /a/b
		if c.Kind != config.KindOpenSearch {
			if n.elasticsearch, err = newElasticsearch(address, own, next); err != nil {
				return nil, fmt.Errorf("urls[%d]: %w", i, err)
			}
		}
		if c.Kind != config.KindElasticsearch {
			if n.opensearch, err = newOpenSearch(address, own, next); err != nil {
				return nil, fmt.Errorf("urls[%d]: %w", i, err)
			}
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

func newNode(text string) (*node, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("not a URL") // url.Parse's error would show a password
	case u.User != nil:
		return nil, errors.New("must not hold credentials; use username and password, with auth saying who is given them")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.RawQuery != "", u.Fragment != "":
		return nil, fmt.Errorf("must be http://host:port or https://host:port, with a path at most, not %q", text)
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	prefix := url.URL{RawPath: path}
	if prefix.Path, err = url.PathUnescape(path); err != nil {
		return nil, errors.New("not a URL")
	}
	n := &node{name: u.Scheme + "://" + u.Host + path, scheme: u.Scheme, host: u.Host, prefix: prefix}
	n.up.Store(true)
	return n, nil
}

// url is the address of a request at this node. The prefix and the request's path are joined as they are written, so that %2F, a double
// slash or a dot segment arrives as it was sent.
func (n *node) url(of *url.URL) *url.URL {
	u := &url.URL{Scheme: n.scheme, Host: n.host, Path: of.Path, RawPath: of.RawPath, RawQuery: of.RawQuery, ForceQuery: of.ForceQuery}
	if n.prefix.Path != "" {
		u.Path, u.RawPath = n.prefix.Path+of.Path, n.prefix.RawPath+of.EscapedPath()
	}
	return u
}

// vendor is the transport that dresses requests for this engine.
func (n *node) vendor(kind string) performer {
	if kind == config.KindOpenSearch {
		return n.opensearch
	}
	return n.elasticsearch
}

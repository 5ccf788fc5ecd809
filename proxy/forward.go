package proxy

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
)

// refuse tells what is no request to a cluster. A proxy that passes these on asks for two parties on the way to disagree about where a
// request ends: a CONNECT's 200 opens a tunnel, "GET evil:80" has no path, and PRI is HTTP/2's preface read as HTTP/1.
func refuse(r *http.Request) (failure, bool) {
	u := r.URL
	if u.Path == "" && u.Host != "" && r.Method != http.MethodConnect {
		u.Path = "/" // GET http://host HTTP/1.1
	}
	switch {
	case r.Method == http.MethodConnect:
		return failure{http.StatusMethodNotAllowed, "method_not_allowed_exception", "CONNECT is not for a search cluster"}, true
	case r.Method == "PRI" || r.ProtoMajor < 1 || r.ProtoMajor > 2:
		return failure{http.StatusBadRequest, "illegal_argument_exception", "not an HTTP version that is spoken here"}, true
	case u.Path == "*" && r.Method == http.MethodOptions:
		return failure{}, false
	case u.Opaque != "" || u.Path == "" || u.Path[0] != '/':
		return failure{http.StatusBadRequest, "illegal_argument_exception", "the request's target is no path"}, true
	}
	return failure{}, false
}

// The headers with which a client speaks to us. The cluster never sees them.
const (
	headerRerank = "X-Rerank"        // off, on
	headerQuery  = "X-Rerank-Query"  // the words to rank by
	headerWindow = "X-Rerank-Window" // hits to rerank, at most the rule's
	headerDebug  = "X-Rerank-Debug"  // true: the answer has a header of this name, which says what was read in the search
)

// rewrite makes the outgoing request what the incoming one was. ReverseProxy has taken off the hop-by-hop headers and all X-Forwarded-*;
// what it does beyond that, or does not do, is put right here.
func rewrite(pr *httputil.ProxyRequest) {
	in, out := pr.In, pr.Out
	// The upstream knows where the cluster is. In absolute form, the client's idea of it stands in the URL.
	out.URL.Scheme, out.URL.Host, out.URL.User, out.Host = "", "", nil, ""
	// ReverseProxy drops and sorts parameters that Go cannot parse ("a=1;b", "100%"), which clusters can.
	out.URL.RawQuery = in.URL.RawQuery
	restorePath(out.URL, in.RequestURI)
	pr.SetXForwarded()
	// No cluster speaks anything but HTTP on this connection, and a tunnel would lead past every check.
	out.Header.Del("Upgrade")
	out.Header.Del("Connection")
	out.Header.Del("Http2-Settings")
	// "Connection: authorization" takes the client's credentials off, and an upstream that lends its own to those who bring none would
	// then lend them to anybody.
	if auth, ok := in.Header["Authorization"]; ok {
		out.Header["Authorization"] = auth
	}
	for _, name := range []string{headerRerank, headerQuery, headerWindow, headerDebug} {
		out.Header.Del(name)
	}
	// The clone's trailers are a copy from before their values were there.
	out.Trailer = in.Trailer
}

// restorePath gives u the path as it stands on the wire. net/url gives up on the wire's spelling of a path when that holds a character
// which ought to be escaped, and spells it anew from the unescaped path, in which %2F has become a slash: /a%2Fb/<c> would become
// /a/b/%3Cc%3E, another document. Here only the offending characters are escaped.
func restorePath(u *url.URL, requestURI string) {
	raw, _, _ := strings.Cut(requestURI, "?")
	if !strings.HasPrefix(raw, "/") || raw == u.EscapedPath() {
		return // the usual case; or in absolute form, whose path is as net/url spells it
	}
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		if c := raw[i]; strings.IndexByte(" \"#<>\\^`{|}", c) >= 0 || c >= 0x7f || c < 0x20 {
			b.WriteString("%" + string("0123456789ABCDEF"[c>>4]) + string("0123456789ABCDEF"[c&15]))
		} else {
			b.WriteByte(c)
		}
	}
	if path, err := url.PathUnescape(b.String()); err == nil && path == u.Path {
		u.RawPath = b.String()
	}
}

// buffers are what bodies are copied through.
type buffers struct{ pool sync.Pool }

const bufferSize = 32 << 10

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return p[:]
	}
	return make([]byte, bufferSize)
}

func (b *buffers) Put(p []byte) { b.pool.Put((*[bufferSize]byte)(p)) }

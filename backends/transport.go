package backends

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"time"

	"github.com/rerankd/rerankd/config"
)

// newTransport is the one *http.Transport under everything.
func newTransport(c config.Cluster) (*http.Transport, error) {
	secure, err := newTLS(c.TLS)
	if err != nil {
		return nil, err
	}
	connect := cmp.Or(time.Duration(c.Timeouts.Connect), 5*time.Second)
	dialer := &net.Dialer{Timeout: connect, KeepAlive: 30 * time.Second}
	http1 := new(http.Protocols)
	http1.SetHTTP1(true) // all that Elasticsearch and OpenSearch speak
	return &http.Transport{
		Proxy:     nil, // a cluster is not to be asked by way of whatever HTTP_PROXY names
		Protocols: http1,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, errDial{err}
			}
			return conn, nil
		},
		TLSClientConfig:     secure,
		TLSHandshakeTimeout: connect,

		// The default of two idle connections a host would have most requests of a busy proxy dial anew.
		MaxIdleConnsPerHost: 256,
		MaxConnsPerHost:     c.MaxConnsPerHost,
		// Below the minute after which load balancers usually drop a connection, most often without a word.
		IdleConnTimeout: cmp.Or(time.Duration(c.Timeouts.Idle), 50*time.Second),

		ResponseHeaderTimeout:  time.Duration(c.Timeouts.Response),
		ExpectContinueTimeout:  time.Second,
		DisableCompression:     true, // or bodies would be unpacked on their way, and lose their length and coding
		MaxResponseHeaderBytes: 1 << 20,
		WriteBufferSize:        16 << 10,
		ReadBufferSize:         16 << 10,
	}, nil
}

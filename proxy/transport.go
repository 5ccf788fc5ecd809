package proxy

import (
	"net/http"
	"time"
)

// transport is what ReverseProxy sends requests through: to the cluster, or to the cluster and through a ranking.
type transport struct{ handler *Handler }

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	c := callOf(req.Context())
	// ReverseProxy hangs a trace into the context that passes 1xx responses on. echo takes the first status that it sees for the final
	// one, so that a 103 before a 404 would reach the client as 200. Under the client's own context there is no trace; a client that
	// sent "Expect: 100-continue" gets its 100 from net/http, when the cluster's makes the transport read the body.
	req = req.WithContext(c.ctx)
	to, ok := route(req.Method, req.URL)
	if !ok {
		res, err := c.live.Upstream.RoundTrip(req)
		if err == nil && res.StatusCode == http.StatusOK {
			t.handler.fetched(c, req)
		}
		return res, err
	}
	if m, ours := c.live.Inference[to.id]; to.endpoint == endpointInference && ours && to.id != "*" && !c.live.Off && !c.said.off {
		x := &exchange{handler: t.handler, call: c, live: c.live, journey: &journey{endpoint: to.endpoint}, req: req, arrived: time.Now()}
		return x.infer(m)
	}
	c.journey = &journey{endpoint: to.endpoint}
	x := &exchange{handler: t.handler, call: c, live: c.live, journey: c.journey, req: req, arrived: time.Now()}
	switch to.endpoint {
	case endpointSearch:
		return x.single(to.indices)
	case endpointMulti:
		return x.multi(to.indices)
	case endpointTemplate:
		return x.templated(to.indices)
	case endpointMultiTemplate:
		return x.multiTemplated(to.indices)
	}
	c.journey = nil
	return c.live.Upstream.RoundTrip(req)
}

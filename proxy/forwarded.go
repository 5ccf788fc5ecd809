package proxy

import (
	"net"
	"net/http"

	"github.com/labstack/echo/v4"
)

// ForwardedFrom finds the address that a request comes from which passed through proxies of these networks: in X-Forwarded-For, the last
// one that is none of theirs. What others write there is not believed.
func ForwardedFrom(proxies []*net.IPNet) func(*http.Request) string {
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, n := range proxies {
		options = append(options, echo.TrustIPRange(n))
	}
	return echo.ExtractIPFromXFFHeader(options...)
}

package proxy

import (
	"cmp"
	"crypto/tls"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

// ServerOptions harden the server that clients see. The zero value of each is its default.
type ServerOptions struct {
	Addr              string        // for ListenAndServe
	TLS               *tls.Config   // nil: plain HTTP
	HTTP2             bool          // also speak HTTP/2 where the client asks for it; over TLS only
	ReadHeaderTimeout time.Duration // default 5 s
	IdleTimeout       time.Duration // of a kept-alive connection; default 90 s, above the 60 s of common load balancers
	MaxHeaderBytes    int           // default 64 KiB
	Logger            *slog.Logger  // for what goes wrong on a connection, at debug, and for panics; nil: nothing
}

// NewServer returns the server that clients see, with h behind it. The caller starts it and shuts it down.
//
// There is no ReadTimeout and no WriteTimeout: bodies may take their time, and the Handler keeps deadlines that move with them.
func NewServer(h http.Handler, o ServerOptions) *http.Server {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = echo.ExtractIPDirect() // or echo believes every X-Forwarded-For
	// A panic costs its own request, not the program. Recover lets http.ErrAbortHandler through, by which a response that broke off is
	// cut where the client can see it.
	e.Pre(middleware.RecoverWithConfig(middleware.RecoverConfig{LogErrorFunc: func(c echo.Context, err error, stack []byte) error {
		log.Error("panic in a request", "method", c.Request().Method, "path", c.Request().URL.EscapedPath(), "error", err, "stack", string(stack))
		return err
	}}))
	// Nothing is routed: the router reads paths in its own way, and here all of them are the cluster's.
	e.Pre(func(echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			h.ServeHTTP(c.Response(), c.Request())
			return nil
		}
	})
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		if c.Response().Committed {
			panic(http.ErrAbortHandler)
		}
		failure{http.StatusInternalServerError, "internal_exception", "something broke inside rerankd"}.write(c.Response(), c.Request())
	}

	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(o.HTTP2)
	return &http.Server{
		Addr:                         o.Addr,
		Handler:                      e,
		TLSConfig:                    o.TLS,
		Protocols:                    protocols,
		HTTP2:                        &http.HTTP2Config{MaxConcurrentStreams: 100, WriteByteTimeout: time.Minute},
		DisableGeneralOptionsHandler: true, // OPTIONS * is the cluster's to answer
		ReadHeaderTimeout:            cmp.Or(o.ReadHeaderTimeout, 5*time.Second),
		IdleTimeout:                  cmp.Or(o.IdleTimeout, 90*time.Second),
		MaxHeaderBytes:               cmp.Or(o.MaxHeaderBytes, 64<<10),
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

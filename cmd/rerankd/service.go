package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"golang.org/x/net/netutil"

	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/proxy"
	"github.com/rerankd/rerankd/proxy/admin"
)

// A service is a program with its listeners open.
type service struct {
	program     *program
	certificate *certificate // nil: plain HTTP
	proxy       *http.Server
	admin       *http.Server // nil: off
	url         string       // of the proxy
	adminURL    string       // "": off
	logger      *slog.Logger
	failed      chan error         // a listener broke
	abandon     context.CancelFunc // ends the requests under way
}

// startService opens the listeners, loads what c names, and serves. The listeners come first, so that an address in use is said at once and
// not after seconds of loading; who connects meanwhile waits. ctx bounds the start only.
func startService(ctx context.Context, e *environment, c *config.Config, logger *slog.Logger, recent *admin.Recent) (_ *service, err error) {
	s := &service{program: newProgram(e, logger, recent), logger: logger, failed: make(chan error, 2)}
	scheme := "http"
	defer func() {
		if err != nil {
			s.program.close()
		}
	}()
	if c.TLS != nil {
		s.certificate, scheme = new(certificate), "https"
		if err := s.certificate.load(c.TLS, logger); err != nil {
			return nil, c.Fault("tls", err)
		}
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, listenError{err, "listen"}
	}
	defer func() {
		if err != nil {
			listener.Close()
		}
	}()
	s.url = scheme + "://" + reachable(listener.Addr())
	if c.Limits.Connections > 0 {
		listener = netutil.LimitListener(listener, c.Limits.Connections)
	}
	if c.Admin.Listen != string(config.Off) {
		l, err := net.Listen("tcp", c.Admin.Listen)
		if err != nil {
			return nil, listenError{err, "admin.listen"}
		}
		s.adminURL = "http://" + reachable(l.Addr())
		o := admin.Options{Program: s.program, Live: s.program.live, Words: s.program.showsWords, Judgments: &admin.Judgments{Directory: s.program.judgments}, Reporter: newVerdicts(s.program), Gatherer: s.program.registry, Events: s.program.events, Logger: logger}
		if !c.Admin.Compare.IsOff() {
			o.Comparer = s.program
		}
		s.admin = &http.Server{
			Handler:           admin.New(o),
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       10 * time.Second,
			WriteTimeout:      30 * time.Second,
			MaxHeaderBytes:    64 << 10,
			ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		}
		go s.serve(func() error { return s.admin.Serve(l) })
	}
	defer func() {
		if err != nil && s.admin != nil {
			s.admin.Close()
		}
	}()
	if err := s.program.start(ctx, c); err != nil {
		return nil, err
	}
	requests, abandon := context.WithCancel(context.Background())
	s.abandon = abandon
	o := proxy.ServerOptions{Logger: logger}
	if s.certificate != nil {
		o.TLS = s.certificate.config()
	}
	s.proxy = proxy.NewServer(s.program.handler, o)
	s.proxy.BaseContext = func(net.Listener) context.Context { return requests }
	go s.serve(func() error {
		if s.certificate != nil {
			return s.proxy.ServeTLS(listener, "", "")
		}
		return s.proxy.Serve(listener)
	})
	return s, nil
}

func (s *service) serve(serve func() error) {
	if err := serve(); !errors.Is(err, http.ErrServerClosed) {
		s.failed <- fmt.Errorf("serving: %w", err)
	}
}

// reload puts another configuration in force. What only a new start can change is said, and left as it is.
func (s *service) reload(ctx context.Context, load func() (*config.Config, error)) error {
	running := s.program.now.Load().config
	return s.program.reload(ctx, func() (*config.Config, error) {
		c, err := load()
		if err != nil {
			return nil, err
		}
		for _, at := range []struct {
			key     string
			changed bool
		}{
			{"listen", c.Listen != running.Listen},
			{"admin.listen", c.Admin.Listen != running.Admin.Listen},
			{"admin.compare", c.Admin.Compare != running.Admin.Compare},
			{"tls", (c.TLS == nil) != (s.certificate == nil)},
			{"limits.connections", c.Limits.Connections != running.Limits.Connections},
			{"log.format", c.Log.Format != running.Log.Format},
			{"events.rate", c.Events.Rate != running.Events.Rate},
			{"events.trusted_proxies", !slices.Equal(c.Events.TrustedProxies, running.Events.TrustedProxies)},
			{"events.first_position", c.Events.FirstPosition != running.Events.FirstPosition},
			{"events.unknown", c.Events.Unknown != running.Events.Unknown},
		} {
			if at.changed {
				s.logger.Warn("takes effect at the next start", "key", at.key)
			}
		}
		if c.TLS != nil && s.certificate != nil {
			if err := s.certificate.load(c.TLS, s.logger); err != nil {
				return nil, c.Fault("tls", err)
			}
		}
		return c, nil
	})
}

// stop ends the service: it is not ready any more, and after delay, the time in which load balancers notice, no connection is accepted;
// what is under way then has until timeout. The admin listener goes last, so that one can watch.
func (s *service) stop(delay, timeout time.Duration) error {
	s.program.draining.Store(true)
	if delay > 0 {
		s.logger.Info("draining: not ready any more", "delay", delay.String())
		select {
		case <-time.After(delay):
		case err := <-s.failed: // there is nothing left to drain
			s.failed <- err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	err := s.proxy.Shutdown(ctx)
	s.abandon()
	if err != nil {
		err = fmt.Errorf("waiting for the requests under way: %w", err)
		s.proxy.Close()
	}
	s.program.close()
	if s.admin != nil {
		s.admin.Close()
	}
	return err
}

// reachable is an address that one can connect to: for every interface that of this machine.
func reachable(a net.Addr) string {
	t, ok := a.(*net.TCPAddr)
	if !ok || !t.IP.IsUnspecified() {
		return a.String()
	}
	return net.JoinHostPort("127.0.0.1", fmt.Sprint(t.Port))
}

// A listenError says which key of the configuration an address comes from.
type listenError struct {
	error
	key string
}

func (e listenError) Unwrap() error { return e.error }
func (e listenError) Hint() string {
	return "change " + e.key + " in the configuration, or give --" + e.flag()
}

func (e listenError) flag() string {
	if e.key == "admin.listen" {
		return "admin"
	}
	return "listen"
}

package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/rerankd/rerankd/backends"
	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/experiment/sink"
	"github.com/rerankd/rerankd/proxy/experiment/verdict"
)

// recordsOptions are the flags of the commands that look for records in a cluster.
type recordsOptions struct {
	askOptions
	queries, events string // indices
}

func (o *recordsOptions) flags(cmd *cobra.Command) {
	o.askOptions.flags(cmd)
	cmd.Flags().StringVar(&o.queries, "queries-index", sink.QueriesIndex, "the cluster's index of queries")
	cmd.Flags().StringVar(&o.events, "events-index", sink.EventsIndex, "the cluster's index of events")
}

// given says whether a cluster was named, on the command line or in a configuration.
func (o *recordsOptions) given() bool { return o.cluster != "" || o.file != "" }

// open is the cluster: by the credentials that the command line or $RERANKD_USER has, those of events.api_key, or the configuration's own for
// the cluster. close must follow.
func (o *recordsOptions) open(e *environment) (s sink.ClusterSource, c *config.Config, close func(), err error) {
	if at, err := url.Parse(o.cluster); err == nil && at.User != nil { // https://NAME:PASSWORD@HOST
		password, _ := at.User.Password()
		o.user = at.User.Username() + ":" + password
		at.User = nil
		o.cluster = at.String()
	}
	if c, err = o.load(e); err != nil {
		return s, nil, nil, err
	}
	c.Cluster.Probe = 0 // a command asks once
	b, err := backends.Open(c.Cluster, backends.Options{})
	if err != nil {
		return s, nil, nil, c.Fault("cluster", err)
	}
	s = recordsIn(c, b)
	s.Queries, s.Events = o.queries, o.events
	if user := o.credentials(e); user != "" {
		s.Transport = authorized{b, basic(user)}
	}
	return s, c, b.Close, nil
}

// recordsIn is where a configuration has records kept in a cluster.
func recordsIn(c *config.Config, cluster http.RoundTripper) sink.ClusterSource {
	s := sink.ClusterSource{URL: &url.URL{Scheme: "http", Host: "cluster"}, Transport: cluster}
	if c.Events.APIKey != "" {
		s.Transport = authorized{cluster, "ApiKey " + string(c.Events.APIKey)}
	}
	return s
}

// authorized sends requests with an Authorization header.
type authorized struct {
	http.RoundTripper
	header string
}

func (a authorized) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", a.header)
	return a.RoundTripper.RoundTrip(req)
}

// readCluster takes the records of a cluster, and shows how far it is.
func readCluster(ctx context.Context, e *environment, s sink.ClusterSource, records *verdict.Records) error {
	of, err := s.Documents(ctx)
	if err != nil {
		return recordsError(err)
	}
	shown := newMeter(ctx, e.stderr, of, "documents", "read")
	defer shown.end()
	read := 0
	s.Progress = func(n int) {
		shown.add(n - read)
		read = n
	}
	return takeCluster(ctx, s, records)
}

func takeCluster(ctx context.Context, s sink.ClusterSource, records *verdict.Records) error {
	records.Read.Indices += 2
	err := sink.ReadCluster(ctx, s, func(r experiment.Record, fault error) error {
		if fault != nil {
			records.Skip(fault)
		} else {
			records.Add(r)
		}
		return nil
	})
	return recordsError(err)
}

// recordsError says what can be done about a cluster that cannot be read or written.
func recordsError(err error) error {
	if unreachable, ok := errors.AsType[*backends.Error](err); ok {
		return hintedError{err, "is it running, and is this its URL? curl " + unreachable.Node}
	}
	refused, ok := errors.AsType[*sink.RefusedError](err)
	if !ok {
		return err
	}
	hint := ""
	switch refused.Status {
	case http.StatusUnauthorized:
		hint = "give --user NAME:PASSWORD, or set RERANKD_USER"
	case http.StatusForbidden:
		hint = "to read, the user needs the index privilege read for ubi_queries and ubi_events (OpenSearch: and indices:data/read/point_in_time/*); to forget, delete too"
	case http.StatusNotFound:
		hint = "records are kept there with events.sink: cluster; --queries-index and --events-index name other indices"
	case http.StatusBadRequest, http.StatusMethodNotAllowed:
		hint = "points in time, which this is read by, are there in Elasticsearch from 7.10 on and in OpenSearch from 2.4 on"
	}
	return hintedError{err, hint}
}

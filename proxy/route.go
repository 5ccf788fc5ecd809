package proxy

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// An endpoint is a part of the search API that is read here.
type endpoint string

const (
	endpointSearch        endpoint = "_search"
	endpointMulti         endpoint = "_msearch"
	endpointTemplate      endpoint = "_search/template"
	endpointMultiTemplate endpoint = "_msearch/template"
	endpointInference     endpoint = "_inference/rerank"
)

// several reports whether one request to the endpoint holds any number of searches.
func (e endpoint) several() bool { return e == endpointMulti || e == endpointMultiTemplate }

// A destination is where a request goes.
type destination struct {
	endpoint endpoint
	indices  string // the index expression of the path, "" for all
	id       string // of an inference endpoint
}

// route tells whether a request is for an endpoint that is read here. It reads the path's bytes as they stand on the wire, as the engines
// do: they skip empty segments, know _search only in this very spelling (%5Fsearch is an index), and split before they unescape, so that
// a%2F_search is an index too. What is not surely one of ours is not one.
func route(method string, u *url.URL) (to destination, ok bool) {
	if method != http.MethodGet && method != http.MethodPost {
		return to, false
	}
	var segments []string
	for segment := range strings.SplitSeq(u.EscapedPath(), "/") {
		if segment == "" {
			continue
		}
		if segments = append(segments, segment); len(segments) > 3 {
			return to, false
		}
	}
	name := strings.Join(segments, "/")
	if rest, ok := strings.CutPrefix(name, string(endpointInference)+"/"); ok && method == http.MethodPost && !strings.Contains(rest, "/") {
		id, err := url.PathUnescape(rest)
		return destination{endpoint: endpointInference, id: id}, err == nil
	}
	index, rest := "", name
	if len(segments) > 1 && !strings.HasPrefix(name, "_search/") && !strings.HasPrefix(name, "_msearch/") {
		index, rest, _ = strings.Cut(name, "/")
	}
	switch e := endpoint(rest); e {
	case endpointSearch, endpointMulti, endpointTemplate, endpointMultiTemplate:
		indices, err := url.PathUnescape(index)
		return destination{endpoint: e, indices: indices}, err == nil
	}
	return to, false
}

// verdict of a rule on a search.
type verdict int

const (
	no verdict = iota
	yes
	unknown // the names may be aliases or hold wildcards: only the cluster can tell which indices they are
)

// covers judges an index expression by its spelling alone. Every name in it must be covered by the patterns.
func (r Rule) covers(indices string) verdict {
	v := yes
	included := 0
	for name := range strings.SplitSeq(indices, ",") {
		if strings.HasPrefix(name, "-") {
			continue // an exclusion only makes less of what the others cover
		}
		included++
		if name == "" || name == "_all" {
			name = "*"
		}
		switch r.coversName(name) {
		case no:
			return no
		case unknown:
			v = unknown
		}
	}
	if included == 0 {
		return no
	}
	return v
}

// coversAll judges the concrete names that the cluster gave for an index expression.
func (r Rule) coversAll(names []string) bool {
	return len(names) > 0 && !slices.ContainsFunc(names, func(name string) bool { return r.coversName(name) != yes })
}

func (r Rule) coversName(name string) verdict {
	// Indices of other clusters are known to a rule with their cluster's name or without.
	local := name
	if cluster, index, ok := strings.Cut(name, ":"); ok && cluster != "" && !strings.HasPrefix(name, "<") {
		local = index
	}
	if len(r.Indices) == 0 {
		if strings.HasPrefix(local, ".") {
			return no
		}
		return yes
	}
	wild := strings.Contains(name, "*")
	covered := false
	for _, pattern := range r.Indices {
		if excluded, ok := strings.CutPrefix(pattern, "-"); ok {
			if matches(excluded, name) || matches(excluded, local) {
				return no
			}
			if wild && covered {
				return unknown // it may stand for something excluded
			}
			continue
		}
		covered = covered || matches(pattern, name) || matches(pattern, local)
	}
	switch {
	case covered:
		return yes
	case strings.HasPrefix(local, "."):
		return no // only patterns that begin with a dot speak of system indices, and no alias makes one of those
	}
	return unknown
}

// matches reports whether pattern, in which * stands for any characters, matches name. As in a shell, a leading dot has to be matched by
// a dot. A star in name is an ordinary character, which only a star matches: everything that name stands for is then covered too.
func matches(pattern, name string) bool {
	if strings.HasPrefix(name, ".") && !strings.HasPrefix(pattern, ".") {
		return false
	}
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	if !strings.HasPrefix(name, first) {
		return false
	}
	name = name[len(first):]
	for {
		part, more, star := strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(name, part)
		}
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name, rest = name[i+len(part):], more
	}
}

// dashboards reports whether a request is Kibana's or OpenSearch Dashboards' own, whose searches are for machines: saved objects, alerts,
// telemetry.
func dashboards(h http.Header) bool {
	for _, name := range []string{"X-Elastic-Product-Origin", "X-Opensearch-Product-Origin"} {
		switch strings.ToLower(h.Get(name)) {
		case "kibana", "opensearch-dashboards":
			return true
		}
	}
	return false
}

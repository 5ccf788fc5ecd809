package proxy

import (
	"net/url"
	"testing"

	"pgregory.net/rapid"
)

// What the engines take for a search was looked up on OpenSearch 2.19.1 and Elasticsearch 8.19.16.
func TestRouteReadsPathsAsTheEnginesDo(t *testing.T) {
	for _, tt := range []struct {
		method, path string
		want         destination // without an endpoint: not one that is read here
	}{
		{"GET", "/_search", destination{endpoint: endpointSearch}},
		{"POST", "/shop/_search", destination{endpoint: endpointSearch, indices: "shop"}},
		{"POST", "/shop/_search/", destination{endpoint: endpointSearch, indices: "shop"}},
		{"POST", "//shop//_search", destination{endpoint: endpointSearch, indices: "shop"}},
		{"POST", "/a,b*,-c/_search", destination{endpoint: endpointSearch, indices: "a,b*,-c"}},
		{"POST", "/%3Clogs-%7Bnow%2Fd%7D%3E/_search", destination{endpoint: endpointSearch, indices: "<logs-{now/d}>"}},
		{"POST", "/_msearch", destination{endpoint: endpointMulti}},
		{"GET", "/shop/_msearch", destination{endpoint: endpointMulti, indices: "shop"}},
		{"POST", "/_search/template", destination{endpoint: endpointTemplate}},
		{"POST", "/shop/_search/template", destination{endpoint: endpointTemplate, indices: "shop"}},
		{"GET", "/_msearch/template", destination{endpoint: endpointMultiTemplate}},
		{"GET", "/a,b/_msearch/template", destination{endpoint: endpointMultiTemplate, indices: "a,b"}},
		{"POST", "/_inference/rerank/my-reranker", destination{endpoint: endpointInference, id: "my-reranker"}},
		{"POST", "/_inference/rerank/a%2Fb", destination{endpoint: endpointInference, id: "a/b"}},
		{"GET", "/_inference/rerank/my-reranker", destination{}},
		{"POST", "/_inference/rerank", destination{}},
		{"POST", "/_inference/my-reranker", destination{}},
		{"POST", "/a%2F_search", destination{}},
		{"POST", "/shop/%5Fsearch", destination{}},
		{"POST", "/_search/scroll", destination{}},
		{"POST", "/shop/_search/scroll", destination{}},
		{"POST", "/shop/_search/template/x", destination{}},
		{"POST", "/_async_search", destination{}},
		{"POST", "/_render/template", destination{}},
		{"POST", "/shop/_doc/_search", destination{}},
		{"POST", "/shop/_SEARCH", destination{}},
		{"PUT", "/shop/_search", destination{}},
		{"HEAD", "/shop/_search", destination{}},
		{"get", "/shop/_search", destination{}},
		{"GET", "/", destination{}},
		{"GET", "/shop", destination{}},
	} {
		u, err := url.ParseRequestURI(tt.path)
		if err != nil {
			t.Fatal(err)
		}
		if to, ok := route(tt.method, u); ok && to != tt.want || ok != (tt.want.endpoint != "") {
			t.Errorf("%s %s: got %+v %v, want %+v", tt.method, tt.path, to, ok, tt.want)
		}
	}
}

func TestCovers(t *testing.T) {
	for _, tt := range []struct {
		patterns []string
		indices  string
		want     verdict
	}{
		{nil, "", yes},
		{nil, "anything,else*", yes},
		{nil, ".kibana", no},
		{nil, "shop,.security", no},
		{nil, "elsewhere:.kibana", no},
		{nil, "-shop", no},
		{[]string{"shop"}, "shop", yes},
		{[]string{"shop"}, "shops", unknown},
		{[]string{"shop*"}, "shop-1,shop-2", yes},
		{[]string{"shop*"}, "shop-*", yes},
		{[]string{"shop-1*"}, "shop-*", unknown},
		{[]string{"shop*"}, "shop-1,logs", unknown},
		{[]string{"shop*"}, "shop*,-shop-old", yes},
		{[]string{"shop*"}, "", unknown},
		{[]string{"*"}, "", yes},
		{[]string{"*"}, "_all", yes},
		{[]string{"*"}, ".kibana", no},
		{[]string{".kibana*"}, ".kibana_1", yes},
		{[]string{"shop*", "-shop-old"}, "shop-old", no},
		{[]string{"shop*", "-shop-old"}, "shop-new", yes},
		{[]string{"shop*", "-shop-old"}, "shop-*", unknown},
		{[]string{"shop"}, "eu:shop", yes},
		{[]string{"eu:shop"}, "eu:shop", yes},
		{[]string{"eu:*"}, "us:shop", unknown},
		{[]string{"logs-*"}, "<logs-{now/d}>", unknown},
		{[]string{"a*b*c"}, "a-b-b-c", yes},
		{[]string{"a*b*c"}, "a-c", unknown},
		{[]string{"a*a"}, "a", unknown},
	} {
		if got := (Rule{Indices: tt.patterns}).covers(tt.indices); got != tt.want {
			t.Errorf("%q on %q: got %v, want %v", tt.patterns, tt.indices, got, tt.want)
		}
	}
}

// If a pattern covers another one, it matches all that the other one matches.
func TestCoveredPatternsMeanNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab*]{0,6}`).Draw(t, "pattern")
		name := rapid.StringMatching(`[ab*]{0,6}`).Draw(t, "name")
		instance := rapid.StringMatching(`[ab]{0,8}`).Draw(t, "instance")
		if matches(pattern, name) && matches(name, instance) && !matches(pattern, instance) {
			t.Fatalf("%q matches %q, which matches %q, which the first does not", pattern, name, instance)
		}
	})
}

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
		indices      string
		want         bool
	}{
		{"GET", "/_search", "", true},
		{"POST", "/shop/_search", "shop", true},
		{"POST", "/shop/_search/", "shop", true},
		{"POST", "//shop//_search", "shop", true},
		{"POST", "/a,b*,-c/_search", "a,b*,-c", true},
		{"POST", "/%3Clogs-%7Bnow%2Fd%7D%3E/_search", "<logs-{now/d}>", true},
		{"POST", "/a%2F_search", "", false},
		{"POST", "/shop/%5Fsearch", "", false},
		{"POST", "/_search/scroll", "", false},
		{"POST", "/_search/template", "", false},
		{"POST", "/shop/_doc/_search", "", false},
		{"POST", "/shop/_msearch", "", false},
		{"POST", "/shop/_SEARCH", "", false},
		{"PUT", "/shop/_search", "", false},
		{"HEAD", "/shop/_search", "", false},
		{"get", "/shop/_search", "", false},
		{"GET", "/", "", false},
		{"GET", "/shop", "", false},
	} {
		u, err := url.ParseRequestURI(tt.path)
		if err != nil {
			t.Fatal(err)
		}
		if indices, ok := route(tt.method, u); indices != tt.indices || ok != tt.want {
			t.Errorf("%s %s: got %q %v, want %q %v", tt.method, tt.path, indices, ok, tt.indices, tt.want)
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

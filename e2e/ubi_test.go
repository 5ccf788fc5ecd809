package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rerankd/rerankd/e2e/cluster"
	"github.com/rerankd/rerankd/e2e/program"
)

// Applications that know User Behavior Insights need no plugin in the cluster: official clients search with ext.ubi, which the cluster itself
// refuses, and what a collector sends is in the cluster's indices, as the schema has it and as judgments are reckoned from.
func TestUBI(t *testing.T) {
	for _, engine := range cluster.Asked(t) {
		t.Run(string(engine), func(t *testing.T) { testUBI(t, cluster.Start(t, engine)) })
	}
}

func testUBI(t *testing.T, node *cluster.Node) {
	for _, name := range []string{"ubi_queries", "ubi_events"} {
		node.Delete(t, name)
		t.Cleanup(func() { node.Delete(t, name) })
	}
	node.Index(t, shop, shopMapping, shopDocuments())
	p := program.Serve(t, node, fmt.Sprintf(`
rules: [{ name: shop, indices: [%s], fields: [title, body], stages: [{ model: small, window: 20 }], budget: 60s }]
events: { sink: cluster, listen_on_proxy: true }
`, shop))
	through := client{url: p.URL}
	awaitWarm(t, through, "/"+shop+"/_search", body(match("tea")))
	withUBI := body(match("hiking boots"), "ext", map[string]any{"ubi": map[string]any{"user_query": "hiking boots"}})
	if a := (client{url: node.URL}).do(t, http.MethodPost, "/"+shop+"/_search", withUBI); a.Status != http.StatusBadRequest {
		t.Errorf("the cluster, which has no plugin, answers ext.ubi with %d %s", a.Status, a.Body)
	}

	type report struct {
		Client, ID string
		Header     *string
		Rerank     *string
		Hits       []string
		Told       [][2]json.RawMessage
	}
	kinds := map[bool]string{true: "elasticsearch", false: "opensearch"}
	kind := kinds[node.Engine.Elasticsearch()]
	if node.Engine == cluster.Elasticsearch717 {
		kind = "elasticsearch7"
	}
	var reports []report
	for _, make := range []struct {
		install func() ([]string, error)
		script  string
	}{{javascriptClient(kind), "ubi.js"}, {pythonClient(kind), "ubi.py"}} {
		command, err := make.install()
		if err != nil {
			t.Fatal(err)
		}
		at := len(command) - 2 // the program; after it, the kind
		command[at] = strings.NewReplacer("client.js", make.script, "client.py", make.script).Replace(command[at])
		cmd := exec.CommandContext(t.Context(), command[0], append(slices.Clone(command[1:]), p.URL, shop)...)
		var complaint bytes.Buffer
		cmd.Stderr = &complaint
		out, err := cmd.Output()
		if err != nil || complaint.Len() > 0 {
			t.Fatalf("%q: %v and a complaint:\n%s", command, err, complaint.String())
		}
		var r report
		unmarshal(t, out, &r)
		t.Logf("%s saw %s", r.Client, out)
		if r.ID == "" || r.Header != nil && *r.Header != r.ID || r.Rerank != nil && !strings.HasPrefix(*r.Rerank, "applied") || len(r.Hits) != 5 || len(r.Told) != 4 {
			t.Errorf("got %s", out)
		}
		for _, told := range r.Told {
			if string(told[0]) != "202" || !strings.Contains(strings.ReplaceAll(string(told[1]), " ", ""), `"accepted":1`) {
				t.Errorf("%s was told %s %s", r.Client, told[0], told[1])
			}
		}
		reports = append(reports, r)
	}

	c := recordsOf{node, &http.Transport{}}
	defer c.transport.CloseIdleConnections()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		c.do(t, http.MethodPost, "/_refresh", "")
		if c.has(t, "ubi_events") && c.count(t, "ubi_events", `{"terms":{"action_name":["click","add_to_cart","purchase"]}}`) == 3*len(reports) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("after 30 s not all events are in the cluster")
		}
	}
	for _, r := range reports {
		ours := fmt.Sprintf(`{"term":{"query_id":%q}}`, r.ID)
		if n := c.count(t, "ubi_queries", fmt.Sprintf(`{"bool":{"filter":[%s,{"term":{"client_id":%q}},{"term":{"user_query":"hiking boots"}}]}}`, ours, r.Client)); n != 2 { // as it was shown, and as it was told
			t.Errorf("%s has %d queries", r.Client, n)
		}
		for _, event := range []string{"click", "add_to_cart", "purchase"} {
			if n := c.count(t, "ubi_events", fmt.Sprintf(`{"bool":{"filter":[%s,{"term":{"action_name":%q}},{"term":{"client_id":%q}},{"term":{"event_attributes.object.object_id":%q}},{"range":{"timestamp":{"gte":"now-1h","lte":"now+1m"}}}]}}`,
				ours, event, r.Client, r.Hits[1])); n != 1 {
				t.Errorf("%s has %d events %s on %s", r.Client, n, event, r.Hits[1])
			}
		}
		if n := c.count(t, "ubi_events", fmt.Sprintf(`{"bool":{"filter":[%s,{"term":{"action_name":"impression"}}]}}`, ours)); n != 5 {
			t.Errorf("%s has %d impressions of hits", r.Client, n)
		}
	}
	checkSchema(t, c)
	t.Run("judgments", func(t *testing.T) { judgeByClicks(t, c, through, client{url: p.Admin}) })
	checkSchema(t, c)
}

// checkSchema holds every document of both indices to UBI 1.3.0.
func checkSchema(t *testing.T, c recordsOf) {
	t.Helper()
	for _, index := range []string{"ubi_queries", "ubi_events"} {
		for _, d := range documentsOf(t, c, index) {
			faults := ubiFaults(index, d)
			if index == "ubi_events" && d["action_name"] != "impression" {
				// Nobody said where the hit stood; what is not known is not made up.
				faults = slices.DeleteFunc(faults, func(s string) bool { return s == "event_attributes.position is missing" })
			}
			if len(faults) > 0 {
				t.Errorf("%s: %q in %v", index, faults, d)
			}
		}
	}
}

func documentsOf(t *testing.T, c recordsOf, index string) (list []map[string]any) {
	t.Helper()
	var found struct {
		Hits struct {
			Hits []struct {
				Source map[string]any `json:"_source"`
			}
		}
	}
	unmarshal(t, c.do(t, http.MethodPost, "/"+index+"/_search", `{"size":10000}`), &found)
	if len(found.Hits.Hits) == 0 {
		t.Fatalf("%s is empty", index)
	}
	for _, h := range found.Hits.Hits {
		list = append(list, h.Source)
	}
	return list
}

// ubiFaults are where a document is not what UBI 1.3.0 says: what is needed, the types, and how long a text may be.
func ubiFaults(index string, d map[string]any) (faults []string) {
	fault := func(format string, a ...any) { faults = append(faults, fmt.Sprintf(format, a...)) }
	text := func(at map[string]any, path, name string, most int, needed bool) {
		v, ok := at[name]
		if !ok && !needed {
			return
		}
		s, isText := v.(string)
		if !isText || most > 0 && utf8.RuneCountInString(s) > most || needed && ok && name != "user_query" && s == "" {
			fault("%s%s is %.50v", path, name, v)
		}
	}
	knows := func(at map[string]any, path string, names ...string) {
		for name := range at {
			if !slices.Contains(names, name) {
				fault("%s%s is unknown", path, name)
			}
		}
	}
	stamp, _ := d["timestamp"].(string)
	if _, err := time.Parse(time.RFC3339Nano, stamp); err != nil {
		fault("timestamp is %v", d["timestamp"])
	}
	for _, name := range []string{"application", "query_id", "client_id"} {
		text(d, "", name, 100, false)
	}
	if index == "ubi_queries" {
		knows(d, "", "application", "query_id", "client_id", "user_query", "query_attributes", "object_id_field", "timestamp", "query_response_id", "query_response_hit_ids")
		text(d, "", "user_query", 0, true)
		if hits, ok := d["query_response_hit_ids"]; ok {
			list, isList := hits.([]any)
			for _, id := range list {
				if _, isText := id.(string); !isText {
					fault("a hit is %v", id)
				}
			}
			if !isList {
				fault("query_response_hit_ids is %v", hits)
			}
		}
		if bag, ok := d["query_attributes"]; ok {
			if _, isBag := bag.(map[string]any); !isBag {
				fault("query_attributes is %v", bag)
			}
		}
		return faults
	}
	knows(d, "", "application", "action_name", "query_id", "session_id", "client_id", "user_id", "timestamp", "message_type", "message", "user_query", "event_attributes")
	text(d, "", "action_name", 100, true)
	text(d, "", "session_id", 100, false)
	text(d, "", "message_type", 100, false)
	text(d, "", "message", 1024, false)
	text(d, "", "user_query", 0, false)
	said, ok := d["event_attributes"]
	if !ok {
		return faults
	}
	attributes, _ := said.(map[string]any)
	if at, ok := attributes["position"].(map[string]any); !ok {
		fault("event_attributes.position is missing")
	} else if n, isNumber := at["ordinal"].(float64); !isNumber || n != float64(int(n)) || len(at) != 1 {
		fault("event_attributes.position is %v", at)
	}
	if of, ok := attributes["object"]; ok {
		object, _ := of.(map[string]any)
		text(object, "object.", "object_id", 256, true)
		text(object, "object.", "object_id_field", 100, false)
		text(object, "object.", "internal_id", 256, false)
	}
	return faults
}

// judgeByClicks reckons from the events alone, by aggregations, what OpenSearch's Search Relevance Workbench does: clicks over expected clicks
// (COEC). Every click-through rate by place is known, and so is the document that is better than its place.
func judgeByClicks(t *testing.T, c recordsOf, through, admin client) {
	const people, wished = 40, "hot tea"
	var ids []string
	for i := range people {
		a := through.do(t, http.MethodPost, "/"+shop+"/_search", body(match(wished), "size", 5, "ext", map[string]any{"ubi": map[string]any{"client_id": fmt.Sprint("judge-", i), "user_query": wished}}))
		var shown struct {
			Hits struct {
				Hits []struct {
					ID string `json:"_id"`
				}
			}
			Ext struct {
				UBI struct {
					QueryID string `json:"query_id"`
				}
			}
		}
		unmarshal(t, a.Body, &shown)
		ids = ids[:0]
		for _, h := range shown.Hits.Hits {
			ids = append(ids, h.ID)
		}
		click := func(place int) {
			event := fmt.Sprintf(`[{"action_name":"click","query_id":%q,"client_id":"judge-%d","user_query":%q,"timestamp":%d,"event_attributes":{"object":{"object_id":%q},"position":{"ordinal":%d}}}]`,
				shown.Ext.UBI.QueryID, i, wished, time.Now().UnixMilli(), ids[place-1], place)
			if a := admin.do(t, http.MethodPost, "/ubi_events", event); a.Status != http.StatusAccepted {
				t.Fatalf("got %d %s", a.Status, a.Body)
			}
		}
		if i%4 == 0 { // the first hit of a quarter of the pages, and the third of half of them
			click(1)
		}
		if i%2 == 0 {
			click(3)
		}
	}
	ours := `{"bool":{"filter":[{"prefix":{"client_id":"judge-"}}]}}`
	for deadline := time.Now().Add(30 * time.Second); c.count(t, "ubi_events", ours) < people*5+people/4+people/2; time.Sleep(200 * time.Millisecond) {
		c.do(t, http.MethodPost, "/_refresh", "")
		if time.Now().After(deadline) {
			t.Fatal("after 30 s not all events are in the cluster")
		}
	}
	var said struct {
		Aggregations struct {
			Places, Documents struct {
				Buckets []struct {
					Key     any
					Actions struct {
						Buckets []struct {
							Key   string
							Count float64 `json:"doc_count"`
						}
					}
				}
			}
		}
	}
	actions := `"aggs":{"actions":{"terms":{"field":"action_name"}}}`
	unmarshal(t, c.do(t, http.MethodPost, "/ubi_events/_search", `{"size":0,"query":`+ours+`,"aggs":{
		"places":{"terms":{"field":"event_attributes.position.ordinal","size":50},`+actions+`},
		"documents":{"terms":{"field":"event_attributes.object.object_id","size":50},`+actions+`}}}`), &said)
	rates := map[string]float64{}
	for _, group := range []struct {
		name    string
		buckets int
	}{{"place", len(said.Aggregations.Places.Buckets)}, {"document", len(said.Aggregations.Documents.Buckets)}} {
		if group.buckets != 5 {
			t.Errorf("events are by %d %ss, want 5", group.buckets, group.name)
		}
	}
	for i, b := range append(said.Aggregations.Places.Buckets, said.Aggregations.Documents.Buckets...) {
		kind := map[bool]string{true: "place", false: "document"}[i < len(said.Aggregations.Places.Buckets)]
		counts := map[string]float64{}
		for _, a := range b.Actions.Buckets {
			counts[a.Key] = a.Count
		}
		if counts["impression"] != people {
			t.Errorf("%s %v was seen %v times, want %d", kind, b.Key, counts["impression"], people)
		}
		rates[fmt.Sprint(kind, " ", b.Key)] = counts["click"] / counts["impression"]
	}
	for key, want := range map[string]float64{"place 1": 0.25, "place 2": 0, "place 3": 0.5, "document " + ids[0]: 0.25, "document " + ids[2]: 0.5, "document " + ids[4]: 0} {
		if rates[key] != want {
			t.Errorf("%s is clicked in %v, want %v of the pages: %v", key, rates[key], want, rates)
		}
	}
}

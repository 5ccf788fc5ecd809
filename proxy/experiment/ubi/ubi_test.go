package ubi

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rerankd/rerankd/proxy/experiment"
)

func date(text string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return at
}

func TestParseEvent(t *testing.T) {
	at := date("2026-01-31T12:00:00.25Z")
	for _, test := range []struct {
		name, raw string
		want      experiment.Event
		err       string // in the error; "": there is none
	}{
		{"by the schema", `{"application":"shop","action_name":"Add_To_Cart","query_id":"q","session_id":"s","client_id":"c","user_id":"u","timestamp":"2026-01-31T12:00:00.250Z",
			"message_type":"CONVERSION","message":"bought","user_query":"red shoes","event_attributes":{"position":{"ordinal":3},"object":{"object_id":"sku-7","object_id_field":"sku","internal_id":"42","price":9.5},"more":[1]}}`,
			experiment.Event{Action: "add_to_cart", QueryID: "q", Time: at, Client: "c", Session: "s", Application: "shop", Words: "red shoes", Object: "sku-7", Field: "sku", Position: 3, MessageType: "CONVERSION", Message: "bought"}, ""},
		{"the least", `{"action_name":"click"}`, experiment.Event{Action: "click"}, ""},
		{"as the samples have it", `{"action_name":"click","query_id":"q","timestamp":1769860800250,"event_attributes":{"object":{"object_id":12345678901234567890},"position":{}}}`,
			experiment.Event{Action: "click", QueryID: "q", Time: at, Object: "12345678901234567890"}, ""},
		{"seconds, an index and an internal id", `{"action_name":"click","timestamp":1769860800.25,"event_attributes":{"object":{"internal_id":7,"object_id_field":"sku"},"position":{"ordinal":{"index":2}}}}`,
			experiment.Event{Action: "click", Time: at, Object: "7", Position: 2}, ""},
		{"a bare position, as text", `{"action_name":"click","event_attributes":{"position":"4"}}`, experiment.Event{Action: "click", Position: 4}, ""},
		{"a position in pixels", `{"action_name":"click","event_attributes":{"position":{"xy":{"x":1.5,"y":2}}}}`, experiment.Event{Action: "click"}, ""},
		{"nulls", `{"action_name":"click","query_id":null,"timestamp":null,"event_attributes":{"object":null,"position":null}}`, experiment.Event{Action: "click"}, ""},
		{"numbers for texts", `{"action_name":"click","client_id":17,"session_id":true}`, experiment.Event{Action: "click", Client: "17", Session: "true"}, ""},
		{"names twice, the last counts", `{"action_name":"view","action_name":"click"}`, experiment.Event{Action: "click"}, ""},

		{"no object", `7`, experiment.Event{}, "the event is not an object"},
		{"no action", `{"query_id":"q"}`, experiment.Event{}, "action_name is missing"},
		{"a blank action", `{"action_name":" "}`, experiment.Event{}, "action_name is missing"},
		{"an action that is none", `{"action_name":["click"]}`, experiment.Event{}, "action_name is no text"},
		{"too long", `{"action_name":"click","query_id":"` + strings.Repeat("é", 101) + `"}`, experiment.Event{}, "query_id is longer than 100 characters"},
		{"a long message", `{"action_name":"click","message":"` + strings.Repeat("m", 1025) + `"}`, experiment.Event{}, "message is longer than 1024 characters"},
		{"a long object", `{"action_name":"click","event_attributes":{"object":{"object_id":"` + strings.Repeat("o", 257) + `"}}}`, experiment.Event{}, "event_attributes.object.object_id is longer than 256 characters"},
		{"attributes that are none", `{"action_name":"click","event_attributes":[]}`, experiment.Event{}, "event_attributes is not an object"},
		{"an object that is none", `{"action_name":"click","event_attributes":{"object":"a"}}`, experiment.Event{}, "event_attributes.object is not an object"},
		{"a position that is none", `{"action_name":"click","event_attributes":{"position":{"ordinal":-1}}}`, experiment.Event{}, "event_attributes.position.ordinal is -1, which is no place in a list"},
		{"half a position", `{"action_name":"click","event_attributes":{"position":{"ordinal":1.5}}}`, experiment.Event{}, "event_attributes.position.ordinal is 1.5, which is no place in a list"},
		{"a time that is none", `{"action_name":"click","timestamp":"yesterday"}`, experiment.Event{}, `timestamp is "yesterday": write it as 2026-01-31T12:00:00Z`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseEvent([]byte(test.raw), 1)
			if (err != nil) != (test.err != "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Fatalf("got error %v, want %q", err, test.err)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(&test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	if e, err := parseEvent([]byte(`{"action_name":"click","event_attributes":{"position":{"ordinal":0}}}`), 0); err != nil || e.Position != 1 {
		t.Errorf("zero-based: got %+v, %v", e, err)
	}
}

func TestParseTime(t *testing.T) {
	for text, want := range map[string]string{
		`"2026-01-31T12:00:00Z"`: "2026-01-31T12:00:00Z", `"2026-01-31T13:00:00.5+01:00"`: "2026-01-31T12:00:00.5Z", `"2026-01-31T12:00:00+0000"`: "2026-01-31T12:00:00Z",
		`"2026-01-31T12:00:00"`: "2026-01-31T12:00:00Z", `"2026-01-31 12:00:00.123"`: "2026-01-31T12:00:00.123Z", `1769860800`: "2026-01-31T12:00:00Z",
		`1769860800000`: "2026-01-31T12:00:00Z", `"1769860800000"`: "2026-01-31T12:00:00Z", `1.7698608e9`: "2026-01-31T12:00:00Z", `0`: "1970-01-01T00:00:00Z",
	} {
		if got, err := parseTime(json.RawMessage(text)); err != nil || !got.Equal(date(want)) {
			t.Errorf("%s: got %v, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{`"NaN"`, `1e300`, `"2026-13-01T00:00:00Z"`, `{}`, `"Sat Jan 31"`} {
		if got, err := parseTime(json.RawMessage(text)); err == nil {
			t.Errorf("%s: got %v, want an error", text, got)
		}
	}
}

func TestParseQuery(t *testing.T) {
	got, err := parseQuery([]byte(`{"query_id":"q","user_query":"red shoes","client_id":"c","application":"shop","object_id_field":"sku","timestamp":"2026-01-31T12:00:00Z",
		"query_attributes":{"page":2,"filter":{"a":[1]},"sort":"price","none":null},"query_response_id":"r","query_response_hit_ids":["a",7]}`))
	want := &experiment.Query{QueryID: "q", Time: date("2026-01-31T12:00:00Z"), Client: "c", Application: "shop", Words: "red shoes", Field: "sku",
		Attributes: map[string]string{"page": "2", "filter": `{"a":[1]}`, "sort": "price", "none": ""}, Hits: []string{"a", "7"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	for raw, want := range map[string]string{
		`[]`: "the query is not an object", `{"user_query":"a"}`: "query_id is missing", `{"query_id":"q","query_attributes":[1]}`: "query_attributes is not what the schema has it to be",
		`{"query_id":"q","query_response_hit_ids":[` + strings.Repeat("1,", 1000) + `1]}`: "query_response_hit_ids are more than 1000", `{"query_id":"q","timestamp":"x"}`: "timestamp is",
	} {
		if _, err := parseQuery([]byte(raw)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: got error %v, want %q", raw, err, want)
		}
	}
}

func TestValues(t *testing.T) {
	for _, test := range []struct{ name, body, want string }{
		{"empty", " \n", ""},
		{"one", ` {"a":1} `, `{"a":1}`},
		{"an array", ` [ {"a":1} , {"b":[2]},3]`, `{"a":1}|{"b":[2]}|3`},
		{"an empty array", `[]`, ""},
		{"lines", "{\"a\":1}\n{\"b\":2}\r\n\n", `{"a":1}|{"b":2}`},
		{"arrays on lines", "[1]\n[2,3]\n", `1|2|3`},
		{"indented", "{\n  \"a\": {\n    \"b\": 1\n  }\n}", "{\n  \"a\": {\n    \"b\": 1\n  }\n}"},
		{"a line that is none", "{\"a\":1}\nnonsense\n{\"b\":\n{\"c\":3}\n", `{"a":1}|!|!|{"c":3}`},
		{"a line that breaks off", "{\"a\":\"1\n{\"b\":2}", `!|{"b":2}`},
		{"an array that breaks off", `[{"a":1},{"b":`, `{"a":1}|!`},
		{"an array with a fault", "[{\"a\":1},{\"b\"},\n{\"c\":2}]", `{"a":1}|!`},
		{"no JSON", "action=click", `!`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var all []string
			for raw, err := range values([]byte(test.body)) {
				if err != nil {
					raw = []byte("!")
				}
				all = append(all, string(raw))
			}
			if got := strings.Join(all, "|"); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// FuzzEvents: whatever is sent, reading it neither panics nor goes on for ever, and what is kept is within the schema.
func FuzzEvents(f *testing.F) {
	for _, body := range []string{
		`[{"action_name":"click","query_id":"q","timestamp":1769860800250,"event_attributes":{"object":{"object_id":1},"position":{"ordinal":{"index":2}}}}]`,
		"{\"action_name\":\"click\"}\n{\"query_id\":\"q\",\"query_attributes\":{\"a\":{}},\"query_response_hit_ids\":[1,null]}\nx\n{", `[[{}]]`, "{\"action_name\":\"\xff\\ud800\"}",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		n := 0
		for raw, err := range values(body) {
			if n++; n > len(body) {
				t.Fatalf("%d values of %d bytes", n, len(body))
			}
			if err != nil {
				continue
			}
			if e, err := parseEvent(raw, 1); err == nil {
				if e.Action == "" || len([]rune(e.Action)) > 2*maxName || len([]rune(e.QueryID)) > maxName || len([]rune(e.Object)) > maxObject || e.Position < 0 {
					t.Errorf("%q became %+v", raw, e)
				}
				if _, err := json.Marshal(experiment.Record{Event: e}); err != nil {
					t.Errorf("%q cannot be kept: %v", raw, err)
				}
			}
			if q, err := parseQuery(raw); err == nil {
				if _, err := json.Marshal(experiment.Record{Query: q}); q.QueryID == "" || err != nil {
					t.Errorf("%q became %+v, %v", raw, q, err)
				}
			}
		}
	})
}

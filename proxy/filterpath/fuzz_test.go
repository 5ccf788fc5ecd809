package filterpath

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// FuzzApply: what is left of a valid response is valid, holds no more than the response, and stays when it is filtered by the same paths
// again.
func FuzzApply(f *testing.F) {
	const body = `{"took":1,"hits":{"total":{"value":2},"hits":[{"_id":"1","_source":{"a.b":[1,"x",{"c":null}],"d":{}}},{"_id":"2"}]},"e":[[],[{"a":1}]]}`
	for _, filter := range []string{"hits.hits._id", "**._id,-hits.total", "-hits.hits._source.d", "h*.**", `**.a\.b`, "-**", "-*", "e.a", "*", "**", ""} {
		f.Add(filter, body, false)
		f.Add(filter, body, true)
	}
	f.Fuzz(func(t *testing.T, value, body string, pretty bool) {
		filter, err := Parse(value)
		if err != nil || filter == nil {
			return
		}
		valid := jsontext.Value(body).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) && strings.HasPrefix(strings.TrimLeft(body, " \t\r\n"), "{")
		once, err := filter.Apply([]byte(body), pretty)
		if err != nil {
			if valid && !errors.Is(err, ErrEmpty) && strings.Count(body, "{")+strings.Count(body, "[") < 1000 {
				t.Errorf("%q of %q: %v", value, body, err)
			}
			return
		}
		if !valid {
			t.Fatalf("%q of %q, which is no object: got %q, want an error", value, body, once)
		}
		if !jsontext.Value(once).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) {
			t.Fatalf("%q of %q: got %q, which is not JSON", value, body, once)
		}
		compact := jsontext.Value(strings.Clone(body))
		if err := compact.Compact(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)); err != nil {
			t.Fatal(err)
		}
		if !pretty && len(once) > len(compact) {
			t.Fatalf("%q of %q: got %q, more than there was", value, body, once)
		}
		if !pretty && (value == "*" || value == "**") && !bytes.Equal(once, compact) {
			t.Fatalf("%q of %q: got %q, want everything", value, body, once)
		}
		if (value == "-*" || value == "-**") && strings.TrimSpace(strings.ReplaceAll(string(once), " ", "")) != "{}" {
			t.Fatalf("%q of %q: got %q, want nothing", value, body, once)
		}
		twice, err := filter.Apply(once, pretty)
		if err != nil {
			if !errors.Is(err, ErrEmpty) {
				t.Fatalf("%q of %q: %v", value, once, err)
			}
			return
		}
		if !bytes.Equal(once, twice) {
			t.Fatalf("%q of %q: got %q, and of that %q", value, body, once, twice)
		}
	})
}

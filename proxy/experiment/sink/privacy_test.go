package sink

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rerankd/rerankd/proxy/experiment"
)

// revealing is a record of each kind, of nothing but what is somebody's.
func revealing() []experiment.Record {
	attributes := map[string]string{"filter": "secret-words"}
	return []experiment.Record{
		{Impression: &experiment.Impression{QueryID: "q", Client: "secret-client", Unit: "secret-client-unit", Words: "secret-words", Attributes: attributes, Hits: []experiment.Shown{{ID: "secret-object", Object: "secret-object-2"}}}},
		{Event: &experiment.Event{QueryID: "q", Client: "secret-client", Session: "secret-client-session", Words: "secret-words", Message: "secret-words and more", Object: "secret-object"}},
		{Query: &experiment.Query{QueryID: "q", Client: "secret-client", Words: "secret-words", Attributes: attributes, Hits: []string{"secret-object"}}},
		{Shadow: &experiment.Shadow{QueryID: "q", Unit: "request:secret-client-unit", Shown: []string{"secret-object"}, Instead: []string{"secret-object-2"}}},
	}
}

func text(t *testing.T, r experiment.Record) string {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Whatever is not kept as it is stands nowhere in what is kept, and what is kept as it is stays; the record itself does not change.
func TestPrivacy(t *testing.T) {
	salt := []byte("0123456789abcdef")
	for _, words := range []Treatment{Plain, Hashed, Dropped} {
		for _, clients := range []Treatment{Plain, Hashed, Dropped} {
			for _, objects := range []Treatment{Plain, Hashed, Dropped} {
				p := Privacy{Words: words, Clients: clients, Objects: objects, Salt: salt}
				if err := p.Check(); err != nil {
					t.Fatal(err)
				}
				for i, r := range revealing() {
					got := text(t, p.apply(r))
					for secret, treatment := range map[string]Treatment{"secret-words": words, "secret-client": clients, "secret-object": objects} {
						was := strings.Count(text(t, revealing()[i]), secret)
						if left := strings.Count(got, secret); treatment == Plain && left != was || treatment != Plain && left > 0 {
							t.Errorf("words %v, clients %v, objects %v: %s", words, clients, objects, got)
						}
					}
					if diff := cmp.Diff(revealing()[i], r); diff != "" {
						t.Fatalf("the record was changed (-want +got)\n%s", diff)
					}
				}
			}
		}
	}
}

func TestPrivacyHashes(t *testing.T) {
	salt := []byte("0123456789abcdef")
	p := Privacy{Words: Hashed, Clients: Hashed, Objects: Hashed, Salt: salt}
	i, e := p.apply(revealing()[0]).Impression, p.apply(revealing()[1]).Event
	// printf %s secret-object | openssl dgst -sha256 -hmac 0123456789abcdef
	if i.Hits[0].ID != "d8fa732d5b7ba8610d04e967363c585f" {
		t.Errorf("got %s", i.Hits[0].ID)
	}
	if i.Hits[0].ID != e.Object || i.Client != e.Client || i.Words != e.Words || i.Client == i.Hits[0].ID {
		t.Errorf("what was the same is not: %+v %+v", i, e)
	}
	other := Privacy{Clients: Hashed, Salt: []byte("another salt, as long")}
	if other.client("secret-client") == i.Client {
		t.Error("another salt makes the same hash")
	}
	if unit := p.apply(revealing()[3]).Shadow.Unit; !strings.HasPrefix(unit, "request:") || len(unit) != len("request:")+32 {
		t.Errorf("got the unit %s", unit)
	}
	if unit := (Privacy{Clients: Dropped, Salt: salt}).apply(revealing()[0]).Impression.Unit; unit == "" {
		t.Error("the unit is gone, and with it the verdict")
	}
	if got := p.of(Hashed, ""); got != "" {
		t.Errorf("nothing became %s", got)
	}
}

func TestParseTreatment(t *testing.T) {
	for text, want := range map[string]string{"": "plain", "plain": "plain", "hashed": "hashed", "dropped": "dropped", "Hashed": `"Hashed" is none of plain, hashed, dropped`} {
		got, err := ParseTreatment(text)
		if said := fmt.Sprint(got); err == nil && said != want || err != nil && err.Error() != want {
			t.Errorf("%q: got %v, %v, want %s", text, got, err, want)
		}
	}
}

package sink

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/rerankd/rerankd/proxy/experiment"
)

// What the cluster's indices hold, as UBI 1.3.0 has it. Times have milliseconds and an offset, which strict_date_time wants.
type (
	queryDocument struct {
		Application string            `json:"application,omitempty"`
		QueryID     string            `json:"query_id,omitempty"`
		ClientID    string            `json:"client_id,omitempty"`
		UserQuery   string            `json:"user_query"` // required
		Attributes  map[string]string `json:"query_attributes,omitempty"`
		Timestamp   scalar            `json:"timestamp"`
		HitIDs      []scalar          `json:"query_response_hit_ids,omitempty"`
	}
	eventDocument struct {
		Application string           `json:"application,omitempty"`
		ActionName  string           `json:"action_name"`
		QueryID     string           `json:"query_id,omitempty"`
		SessionID   string           `json:"session_id,omitempty"`
		ClientID    string           `json:"client_id,omitempty"`
		Timestamp   scalar           `json:"timestamp"`
		MessageType string           `json:"message_type,omitempty"`
		Message     string           `json:"message,omitempty"`
		UserQuery   string           `json:"user_query,omitempty"`
		Attributes  *eventAttributes `json:"event_attributes,omitempty"`
	}
	eventAttributes struct {
		Position *position `json:"position,omitempty"` // required, where the client says it
		Object   *object   `json:"object,omitempty"`
		Received scalar    `json:"rerankd_received,omitempty"` // when it came: the timestamp is when the client says that it happened
	}
	position struct {
		Ordinal int `json:"ordinal"` // counted from 1
	}
	object struct {
		ID         scalar `json:"object_id"` // required
		Field      string `json:"object_id_field,omitempty"`
		InternalID scalar `json:"internal_id,omitempty"`
	}
)

// A scalar is a string that others may write as a number: an id, a time.
type scalar string

// UnmarshalJSON reads either.
func (s *scalar) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && (data[0] == '-' || data[0] >= '0' && data[0] <= '9') {
		*s = scalar(data)
		return nil
	}
	return json.Unmarshal(data, (*string)(s))
}

func timestamp(t time.Time) scalar { return scalar(t.UTC().Format(strictDateTime)) }

// strictDateTime is the format of a time.
const strictDateTime = "2006-01-02T15:04:05.000Z07:00"

// A keyword without a limit takes 32,766 bytes, which are as many four-byte characters as this; a longer one is refused with its document.
const maxKeyword = 8191

// Of events that are made here: that a hit was seen, and what was concluded from the traffic.
const (
	impressionAction = "impression"
	implicitType     = "implicit"
)

// Prefixed to what is ours among the attributes of a query, so that it is nobody else's.
const oursPrefix = "rerankd_"

// ofImpression is the query as it was answered, with what the experiment did to it among its attributes.
func ofImpression(i *experiment.Impression) queryDocument {
	d := queryDocument{
		Application: i.Application, QueryID: i.QueryID, ClientID: i.Client, UserQuery: cut(i.Words), Timestamp: timestamp(i.Time),
		Attributes: maps.Clone(i.Attributes), HitIDs: make([]scalar, len(i.Hits)),
	}
	if d.Attributes == nil {
		d.Attributes = map[string]string{}
	}
	teams, woven := make([]string, len(i.Hits)), false
	for k, hit := range i.Hits {
		d.HitIDs[k] = scalar(cut(cmp.Or(hit.Object, hit.ID)))
		teams[k], woven = string(hit.Team), woven || hit.Team != experiment.Nobody
	}
	for _, a := range []struct{ name, value string }{
		{"experiment", i.Experiment}, {"phase", i.Phase}, {"variant", i.Variant}, {"unit", i.Unit}, {"index", i.Index}, {"rule", i.Rule},
		{"outcome", i.Outcome}, {"reason", i.Reason}, {"object_id_field", i.Field}, {"from", strconv.Itoa(i.From)}, {"total", strconv.FormatInt(i.Total, 10)},
		{"took_ms", milliseconds(i.Took)}, {"cluster_ms", milliseconds(i.Cluster)}, {"added_ms", milliseconds(i.Added)},
		{"design", ofDesign(i.Design)}, {"ids", ofIDs(i.Hits)},
	} {
		if a.value != "" {
			d.Attributes[oursPrefix+a.name] = cut(a.value)
		}
	}
	if len(d.HitIDs) > 0 && d.HitIDs[0] == "" { // ids are dropped
		d.HitIDs = nil
	}
	if woven {
		d.Attributes[oursPrefix+"teams"] = cut(strings.Join(teams, ","))
	}
	return d
}

// milliseconds is a time with three decimals.
func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', -1, 64)
}

// ofDesign is an experiment's variants with their shares, the control first: lexical=0.5,reranked=0.5.
func ofDesign(variants []experiment.Variant) string {
	all := make([]string, len(variants))
	for i, v := range variants {
		all[i] = v.Name + "=" + strconv.FormatFloat(v.Share, 'g', -1, 64)
	}
	return strings.Join(all, ",")
}

// ofIDs is the hits' _ids as a JSON array, where they are called by another field; "" where they are not, or where they are more than an
// attribute takes.
func ofIDs(hits []experiment.Shown) string {
	ids, other := make([]string, len(hits)), false
	for k, hit := range hits {
		ids[k], other = hit.ID, other || hit.Object != ""
	}
	text, err := json.Marshal(ids)
	if !other || err != nil || len(text) > maxKeyword {
		return ""
	}
	return string(text)
}

// ofQuery is a query as the application tells of it.
func ofQuery(q *experiment.Query) queryDocument {
	return queryDocument{
		Application: q.Application, QueryID: q.QueryID, ClientID: q.Client, UserQuery: cut(q.Words), Timestamp: timestamp(q.Time),
		Attributes: q.Attributes, HitIDs: scalars(q.Hits),
	}
}

func scalars(all []string) []scalar {
	of := make([]scalar, len(all))
	for i, s := range all {
		of[i] = scalar(s)
	}
	return of
}

// ofHit is the event that a hit was seen: what a click-through rate by rank is reckoned from.
func ofHit(i *experiment.Impression, k int) eventDocument {
	hit := i.Hits[k]
	o := &object{ID: scalar(cut(cmp.Or(hit.Object, hit.ID))), InternalID: scalar(cut(hit.ID))}
	if hit.Object != "" {
		o.Field = i.Field
	}
	return eventDocument{
		Application: i.Application, ActionName: impressionAction, QueryID: i.QueryID, ClientID: i.Client, Timestamp: timestamp(i.Time),
		UserQuery: cut(i.Words), Attributes: &eventAttributes{Position: &position{i.From + k + 1}, Object: o},
	}
}

func ofEvent(e *experiment.Event) eventDocument {
	d := eventDocument{
		Application: e.Application, ActionName: e.Action, QueryID: e.QueryID, SessionID: e.Session, ClientID: e.Client,
		Timestamp: timestamp(e.Time), MessageType: e.MessageType, Message: e.Message, UserQuery: cut(e.Words),
	}
	if e.Implicit != "" && e.MessageType == "" {
		d.MessageType, d.Message = implicitType, e.Implicit
	}
	d.Attributes = &eventAttributes{}
	if !e.Seen.IsZero() {
		d.Attributes.Received = timestamp(e.Seen)
	}
	if e.Position > 0 {
		d.Attributes.Position = &position{e.Position}
	}
	if e.Object != "" {
		d.Attributes.Object = &object{ID: scalar(cut(e.Object)), Field: e.Field}
	}
	return d
}

// cut keeps what a keyword can take.
func cut(text string) string {
	if len(text) <= maxKeyword {
		return text
	}
	n := 0
	for i := range text {
		if n++; n > maxKeyword {
			return text[:i]
		}
	}
	return text
}

// Mappings, as the plugin's, which must go on with them where it is installed later. %s is the type of a bag of strings, which each engine
// has another name for; what else there is to a bag follows it.
const (
	queriesMapping = `{"dynamic":false,"properties":{
		"timestamp":{"type":"date","format":"strict_date_time"},
		"query_id":{"type":"keyword","ignore_above":100},
		"query":{"type":"text"},
		"query_response_id":{"type":"keyword","ignore_above":100},
		"query_response_hit_ids":{"type":"keyword"},
		"user_query":{"type":"keyword"},
		"query_attributes":{%s},
		"client_id":{"type":"keyword","ignore_above":100},
		"application":{"type":"keyword","ignore_above":100}}}`

	eventsMapping = `{"properties":{
		"application":{"type":"keyword","ignore_above":256},
		"action_name":{"type":"keyword","ignore_above":100},
		"client_id":{"type":"keyword","ignore_above":100},
		"session_id":{"type":"keyword","ignore_above":100},
		"query_id":{"type":"keyword","ignore_above":100},
		"message":{"type":"keyword","ignore_above":1024},
		"message_type":{"type":"keyword","ignore_above":100},
		"user_query":{"type":"keyword"},
		"timestamp":{"type":"date","format":"strict_date_time","ignore_malformed":true},
		"event_attributes":{"dynamic":true,"properties":{
			"position":{"properties":{
				"ordinal":{"type":"integer"},
				"x":{"type":"integer"},
				"y":{"type":"integer"},
				"page_depth":{"type":"integer"},
				"scroll_depth":{"type":"integer"},
				"trail":{"type":"text","fields":{"keyword":{"type":"keyword","ignore_above":256}}}}},
			"object":{"properties":{
				"internal_id":{"type":"keyword"},
				"object_id":{"type":"keyword","ignore_above":256},
				"object_id_field":{"type":"keyword","ignore_above":100},
				"name":{"type":"keyword","ignore_above":256},
				"description":{"type":"text","fields":{"keyword":{"type":"keyword","ignore_above":256}}},
				"object_detail":{"type":"object"}}}}}}}`
)

// bags are the types that query_attributes may have, the best first: those of OpenSearch since 2.7 and of Elasticsearch since 7.3, and
// what everything knows, in which nothing can be searched for.
var bags = []string{`"type":"flat_object"`, `"type":"flattened","ignore_above":8191`, `"type":"object","enabled":false`}

// A line is one document for _bulk: what is to be done with it, and itself.
type line struct {
	text   []byte
	record bool // it stands for the record that it was made of
}

// newLine makes a document with an id of its own, so that it can be sent again without being there twice.
func newLine(index, id string, document any, record bool) (line, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"create":{"_index":%q,"_id":%q}}`+"\n", index, id)
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(document)
	return line{b.Bytes(), record}, err
}

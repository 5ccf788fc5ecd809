// Package ubi takes in what people did with what they were shown, as User Behavior Insights 1.3.0 has it on the wire, and concludes it
// from the traffic where nobody tells.
//
// A [Handler] answers POST …/ubi_events and …/ubi_queries, to which UBI's own clients and a few lines of JavaScript send what happened. It
// is lenient in what it reads, because the project's own samples do not follow its schema, and strict in what it keeps. A [Tracker] sees
// the pages that are shown and the documents that are fetched, and tells a click from the one following the other.
//
// Everything here is bounded in memory and time, whatever is sent: events come from browsers, which is to say from anybody.
package ubi

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rerankd/rerankd/proxy/experiment"
)

// What the schema allows, in characters. It sets no limit to the user's words; ours is what a field of a cluster's index can hold.
const (
	maxName    = 100
	maxObject  = 256
	maxMessage = 1024
	maxWords   = 8 << 10
	maxHits    = 1000
)

// A wireEvent is an event as it comes. https://github.com/o19s/ubi/blob/main/schema/1.3.0/event.schema.json
type wireEvent struct {
	Application json.RawMessage `json:"application"`
	Action      json.RawMessage `json:"action_name"`
	QueryID     json.RawMessage `json:"query_id"`
	Session     json.RawMessage `json:"session_id"`
	Client      json.RawMessage `json:"client_id"`
	Timestamp   json.RawMessage `json:"timestamp"`
	MessageType json.RawMessage `json:"message_type"`
	Message     json.RawMessage `json:"message"`
	Words       json.RawMessage `json:"user_query"`
	Attributes  json.RawMessage `json:"event_attributes"`
}

type wireAttributes struct {
	Object   json.RawMessage `json:"object"`
	Position json.RawMessage `json:"position"`
}

type wireObject struct {
	ID         json.RawMessage `json:"object_id"`
	Field      json.RawMessage `json:"object_id_field"`
	InternalID json.RawMessage `json:"internal_id"`
}

// parseEvent reads one event. base is what the client calls the first position, 0 or 1. Time is zero where the event does not say it.
// An error is a sentence that names the member at fault.
func parseEvent(raw []byte, base int) (*experiment.Event, error) {
	var w wireEvent
	if err := json.Unmarshal(raw, &w); err != nil {
		return nil, errors.New("the event is not an object")
	}
	e := &experiment.Event{}
	t := texts{}
	e.Action = strings.ToLower(strings.TrimSpace(t.read(w.Action, "action_name", maxName)))
	e.QueryID = t.read(w.QueryID, "query_id", maxName)
	e.Session = t.read(w.Session, "session_id", maxName)
	e.Client = t.read(w.Client, "client_id", maxName)
	e.Application = t.read(w.Application, "application", maxName)
	e.MessageType = t.read(w.MessageType, "message_type", maxName)
	e.Message = t.read(w.Message, "message", maxMessage)
	e.Words = t.read(w.Words, "user_query", maxWords)
	if t.err == nil && e.Action == "" {
		t.err = errors.New("action_name is missing: say what was done, such as click")
	}
	if t.err == nil {
		e.Time, t.err = parseTime(w.Timestamp)
	}
	if t.err == nil {
		t.err = readAttributes(w.Attributes, e, base)
	}
	if t.err != nil {
		return nil, t.err
	}
	return e, nil
}

// readAttributes reads what was acted on, and where it stood.
func readAttributes(raw json.RawMessage, e *experiment.Event, base int) error {
	if absent(raw) {
		return nil
	}
	var a wireAttributes
	if err := json.Unmarshal(raw, &a); err != nil {
		return errors.New("event_attributes is not an object")
	}
	if !absent(a.Object) {
		var o wireObject
		if err := json.Unmarshal(a.Object, &o); err != nil {
			return errors.New("event_attributes.object is not an object")
		}
		t := texts{}
		e.Object = t.read(o.ID, "event_attributes.object.object_id", maxObject)
		e.Field = t.read(o.Field, "event_attributes.object.object_id_field", maxName)
		internal := t.read(o.InternalID, "event_attributes.object.internal_id", maxObject)
		if t.err != nil {
			return t.err
		}
		if e.Object == "" {
			e.Object, e.Field = internal, ""
		}
	}
	ordinal, said, err := parsePosition(a.Position)
	if err == nil && said {
		e.Position = ordinal + 1 - base
	}
	return err
}

// parsePosition reads {"ordinal": 3} of UBI 1.3.0, {"ordinal": {"index": 3}} of 1.2.0, and a bare 3. Positions in pixels, and none at all,
// as in the project's own samples, say nothing.
func parsePosition(raw json.RawMessage) (ordinal int, said bool, err error) {
	const name = "event_attributes.position"
	for _, inner := range []string{"ordinal", "index"} {
		if absent(raw) || raw[0] != '{' {
			break
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(raw, &members); err != nil {
			return 0, false, errors.New(name + " is not an object")
		}
		raw = members[inner]
	}
	if absent(raw) {
		return 0, false, nil
	}
	text := strings.Trim(string(raw), `"`)
	n, err := strconv.ParseFloat(text, 64) // 3.0 is an integer to the schema
	if err != nil || n != math.Trunc(n) || n < 0 || n > math.MaxInt32 {
		return 0, false, fmt.Errorf("%s.ordinal is %.50s, which is no place in a list", name, raw)
	}
	return int(n), true, nil
}

// A wireQuery is a search as a client tells of it. https://github.com/o19s/ubi/blob/main/schema/1.3.0/query.request.schema.json
type wireQuery struct {
	Application json.RawMessage            `json:"application"`
	QueryID     json.RawMessage            `json:"query_id"`
	Client      json.RawMessage            `json:"client_id"`
	Words       json.RawMessage            `json:"user_query"`
	Field       json.RawMessage            `json:"object_id_field"`
	Timestamp   json.RawMessage            `json:"timestamp"`
	Attributes  map[string]json.RawMessage `json:"query_attributes"`
	Hits        []json.RawMessage          `json:"query_response_hit_ids"`
}

// parseQuery reads one query.
func parseQuery(raw []byte) (*experiment.Query, error) {
	var w wireQuery
	var kind *json.UnmarshalTypeError
	if err := json.Unmarshal(raw, &w); errors.As(err, &kind) && kind.Field != "" {
		return nil, fmt.Errorf("%s is not what the schema has it to be", kind.Field)
	} else if err != nil {
		return nil, errors.New("the query is not an object")
	}
	q := &experiment.Query{}
	t := texts{}
	q.QueryID = t.read(w.QueryID, "query_id", maxName)
	q.Client = t.read(w.Client, "client_id", maxName)
	q.Application = t.read(w.Application, "application", maxName)
	q.Words = t.read(w.Words, "user_query", maxWords)
	q.Field = t.read(w.Field, "object_id_field", maxName)
	for name, value := range w.Attributes {
		if q.Attributes == nil {
			q.Attributes = make(map[string]string, len(w.Attributes))
		}
		if len(value) > 0 && (value[0] == '{' || value[0] == '[') {
			q.Attributes[name] = bounded(string(value), maxMessage) // free form in the schema, text where it is kept
		} else {
			q.Attributes[name] = t.read(value, "query_attributes."+bounded(name, maxName), maxMessage)
		}
	}
	for _, id := range w.Hits {
		q.Hits = append(q.Hits, t.read(id, "query_response_hit_ids", maxObject))
	}
	switch {
	case t.err != nil:
	case q.QueryID == "":
		t.err = errors.New("query_id is missing: nothing that happened could be told to belong to it")
	case len(q.Hits) > maxHits:
		t.err = fmt.Errorf("query_response_hit_ids are more than %d", maxHits)
	case len(q.Attributes) > maxName:
		t.err = fmt.Errorf("query_attributes are more than %d", maxName)
	default:
		q.Time, t.err = parseTime(w.Timestamp)
	}
	if t.err != nil {
		return nil, t.err
	}
	return q, nil
}

// texts reads several texts, and keeps the first error.
type texts struct{ err error }

// read reads a text of so many characters at most. A number or a boolean counts as its spelling, and null as nothing.
func (t *texts) read(raw json.RawMessage, name string, most int) string {
	if t.err != nil || absent(raw) {
		return ""
	}
	text := string(raw)
	switch raw[0] {
	case '"':
		text = ""
		if json.Unmarshal(raw, &text) != nil {
			t.err = fmt.Errorf("%s cannot be read", name)
		}
	case '{', '[':
		t.err = fmt.Errorf("%s is no text", name)
	}
	if utf8.RuneCountInString(text) > most {
		t.err = fmt.Errorf("%s is longer than %d characters", name, most)
	}
	return text
}

func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// bounded cuts a text after so many characters.
func bounded(text string, most int) string {
	n := 0
	for i := range text {
		if n++; n > most {
			return text[:i]
		}
	}
	return text
}

// Times as they are written. The schema has RFC 3339; what lacks an offset is taken for UTC.
var layouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999"}

// farthest is where milliseconds since 1970 are told from seconds: as seconds it lies in the year 5138, as milliseconds in 1973.
const farthest = 1e11

// parseTime reads a time: RFC 3339, or a number of seconds or milliseconds since 1970, as the project's own samples have it. It is zero
// where none is said.
func parseTime(raw json.RawMessage) (time.Time, error) {
	if absent(raw) {
		return time.Time{}, nil
	}
	t := texts{}
	text := strings.TrimSpace(t.read(raw, "timestamp", maxName))
	if t.err != nil || text == "" {
		return time.Time{}, t.err
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil && math.Abs(n) < farthest*1000 {
		if math.Abs(n) >= farthest {
			n /= 1000
		}
		whole, part := math.Modf(n)
		return time.Unix(int64(whole), int64(part*1e9)).UTC(), nil
	}
	for _, layout := range layouts {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("timestamp is %.60s: write it as 2026-01-31T12:00:00Z", raw)
}

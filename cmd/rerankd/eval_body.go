package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// placeholders stand for the user's words in a search body; the first is ours, the others those of OpenSearch's Search Relevance Workbench and
// of Quepid.
var placeholders = []string{"{{query}}", "%SearchText%", "#$query##"}

// A searchBody makes the search of a query.
type searchBody struct {
	template string // "" for a multi_match on the fields
	size     int
}

// readSearchBody reads a file with a search as an application sends it, and a placeholder where the user's words stand. size replaces the
// file's own if it is not 0.
func readSearchBody(name string, data []byte, size int) (searchBody, error) {
	b := searchBody{template: string(data), size: 10} // where nobody says otherwise, a cluster gives ten hits
	fault := func(err error) (searchBody, error) {
		return b, usageError{fmt.Errorf("%s: %w", name, err), `it is a search as the application sends it, with {{query}} where the words stand: {"query": {"match": {"title": "{{query}}"}}}`}
	}
	if b.fill(`a "word"`) == b.template {
		return fault(fmt.Errorf("has no {{query}}"))
	}
	var search map[string]json.RawMessage
	for _, words := range []string{"words", `a "word"`} {
		if err := json.Unmarshal([]byte(b.fill(words)), &search); err != nil {
			return fault(err)
		}
	}
	if given, ok := search["size"]; ok && size == 0 {
		if err := json.Unmarshal(given, &b.size); err != nil || b.size < 1 {
			return fault(fmt.Errorf("asks for %s hits", given))
		}
	}
	if size == 0 {
		return b, nil
	}
	b.size = size
	// The placeholder is inside of a string, which stays as it is.
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		return fault(err)
	}
	whole["size"] = json.RawMessage(fmt.Sprint(size))
	sized, err := marshal(whole)
	b.template = string(sized)
	return b, err
}

// fill is the template with the words in it, as the inside of a JSON string.
func (b searchBody) fill(words string) string {
	quoted, _ := marshal(words) // a string can always be written
	inside := string(quoted[1 : len(quoted)-1])
	text := b.template
	for _, p := range placeholders {
		text = strings.ReplaceAll(text, p, inside)
	}
	return text
}

// of is the body of a search for words, in the fields where there is no template.
func (b searchBody) of(words string, fields []string) []byte {
	if b.template != "" {
		return []byte(b.fill(words))
	}
	body, _ := marshal(map[string]any{
		"query": map[string]any{"multi_match": map[string]any{"query": words, "fields": fields, "lenient": true}},
		"size":  b.size,
	})
	return body
}

// marshal writes JSON with < and & as they are.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

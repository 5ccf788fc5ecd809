package search

import (
	"net/url"
	"slices"
	"strings"

	"github.com/rerankd/rerankd/proxy/filterpath"
)

// A param is one parameter of a URL's query string, with the bytes that it stands in.
type param struct {
	name, value string
	start, end  int // of the parameter; the value's spelling ends at end
	valueStart  int // end where there is no value
}

// params are read as the clusters read them: both & and ; part them, and of two with the same name the last one counts.
type params []param

func parseParams(rawQuery string) (params, error) {
	var all params
	for start := 0; start < len(rawQuery); {
		end := len(rawQuery)
		if i := strings.IndexAny(rawQuery[start:], "&;"); i >= 0 {
			end = start + i
		}
		if start < end {
			p := param{start: start, end: end, valueStart: end}
			name, value, found := strings.Cut(rawQuery[start:end], "=")
			if found {
				p.valueStart = end - len(value)
			}
			var err error
			if p.name, err = url.QueryUnescape(name); err != nil {
				return nil, err
			}
			if p.value, err = url.QueryUnescape(value); err != nil {
				return nil, err
			}
			all = append(all, p)
		}
		start = end + 1
	}
	return all, nil
}

// get returns the parameter that counts, nil where there is none.
func (ps params) get(name string) *param {
	for i := len(ps) - 1; i >= 0; i-- {
		if ps[i].name == name {
			return &ps[i]
		}
	}
	return nil
}

// pretty reads the parameter of that name as the engines do, who take it without a value for true.
func (ps params) pretty() bool {
	p := ps.get("pretty")
	return p != nil && p.value != "false"
}

// whole returns the edits that ask for the whole response, as a filter writes it.
func (ps params) whole() []edit {
	var edits []edit
	for _, p := range ps {
		if p.name == "filter_path" {
			edits = append(edits, edit{p.start, p.end, "filter_path=" + filterpath.Whole})
		}
	}
	return edits
}

// without returns the edits that take out all parameters of those names.
func (ps params) without(rawQuery string, names ...string) []edit {
	var edits []edit
	for _, p := range ps {
		if slices.Contains(names, p.name) {
			edits = append(edits, edit{p.start, min(p.end+1, len(rawQuery)), ""})
		}
	}
	return edits
}

// list returns the names in a comma-separated parameter.
func (ps params) list(name string) []string {
	p := ps.get(name)
	if p == nil {
		return nil
	}
	var names []string
	for s := range strings.SplitSeq(p.value, ",") {
		if s = strings.TrimSpace(s); s != "" {
			names = append(names, s)
		}
	}
	return names
}

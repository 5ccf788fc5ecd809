package demo

import (
	"strings"

	"github.com/goccy/go-yaml"
)

// An appStreamQuery holds what the authors of a program say of it in a few words, for software centres: searches that nobody wrote for a
// search engine.
type appStreamQuery struct {
	packageName string
	texts       []string
}

// readAppStream reads Debian's AppStream list (DEP-11): YAML documents with texts in a hundred languages, of which only the untranslated
// ones ("C") are parsed.
func readAppStream(list string) []appStreamQuery {
	var queries []appStreamQuery
	for component := range strings.SplitSeq(list, "\n---\n") {
		var c struct {
			Package string `yaml:"Package"`
			Summary struct {
				C string `yaml:"C"`
			} `yaml:"Summary"`
			Keywords struct {
				C []any `yaml:"C"`
			} `yaml:"Keywords"`
		}
		if err := yaml.Unmarshal(untranslated(component), &c); err != nil {
			continue // one component among thousands that its author wrote oddly
		}
		if c.Package == "" {
			continue
		}
		q := appStreamQuery{packageName: c.Package, texts: keywords(c.Keywords.C)}
		if c.Summary.C != "" {
			q.texts = append(q.texts, strings.TrimSpace(c.Summary.C))
		}
		queries = append(queries, q)
	}
	return queries
}

// untranslated keeps the lines of the fields that are read, and of them those of the language C.
func untranslated(component string) []byte {
	var kept strings.Builder
	field, language := false, true
	for line := range strings.SplitSeq(component, "\n") {
		name, _, isKey := strings.Cut(line, ":")
		switch {
		case isKey && !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "-"):
			field = name == "Package" || name == "Summary" || name == "Keywords"
			language = true
		case isKey && strings.HasPrefix(line, "  ") && line[2] != ' ' && line[2] != '-':
			language = name == "  C"
		}
		if field && language {
			kept.WriteString(line)
			kept.WriteByte('\n')
		}
	}
	return []byte(kept.String())
}

// keywords makes searches of the kind that people type: two keywords each, in the order in which the authors listed them.
func keywords(list []any) []string {
	var searches []string
	first := ""
	for _, k := range list {
		word, ok := k.(string)
		if word = strings.ToLower(strings.TrimSpace(word)); !ok || len(word) < 2 {
			continue
		}
		if first == "" {
			first = word
			continue
		}
		searches = append(searches, first+" "+word)
		first = ""
	}
	return searches
}

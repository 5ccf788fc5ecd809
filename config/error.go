package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// An Error is what is wrong with a configuration file: one fault or more, each with the line that it is about.
type Error struct {
	Faults []Fault
}

// maxShown is the faults that fit on a screen.
const maxShown = 10

// A Fault is one thing wrong.
type Fault struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`    // from 1; 0 where the fault is about the file as a whole
	Column  int    `json:"column,omitempty"`  // from 1
	Path    string `json:"path,omitempty"`    // such as rules[1].stages[0].model
	Message string `json:"message"`           // reads on from the path
	Hint    string `json:"hint,omitempty"`    // how to put it right, where that is known
	Snippet string `json:"snippet,omitempty"` // the line and the one before it, numbered, secrets hidden
}

func (e *Error) Error() string {
	var b strings.Builder
	for i, f := range e.Faults {
		if i > 0 {
			b.WriteString("\n")
		}
		if i == maxShown {
			fmt.Fprintf(&b, "… and %d more", len(e.Faults)-i)
			break
		}
		b.WriteString(f.String())
	}
	return b.String()
}

// String gives the fault on several lines: place and message, snippet, hint.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Column)
	}
	b.WriteString(": ")
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Message)
	if f.Snippet != "" {
		b.WriteString("\n" + f.Snippet)
	}
	if f.Hint != "" {
		b.WriteString("\nhint: " + f.Hint)
	}
	return b.String()
}

// Fault returns an *[Error] about the value at path, such as models.large.source, for what can only be seen with more than the file in
// hand: a directory without a model, a certificate that cannot be read.
func (c *Config) Fault(path string, err error) error {
	s := c.source
	if s == nil { // never parsed: there is no line to show
		s = &source{name: "configuration"}
	}
	return s.fail(Fault{Path: path, Message: err.Error()})
}

// A source is the file's text, and where in it each value is.
type source struct {
	name   string
	data   []byte
	at     map[string]place // by path
	hidden []int            // lines that hold a secret
}

type place struct{ line, column int }

// note remembers where path is: at its value if that is a scalar, else at its key or its first key.
func (s *source) note(path string, node ast.Node) {
	if _, noted := s.at[path]; noted {
		if _, scalar := text(node); !scalar {
			return
		}
	}
	switch n := node.(type) {
	case *ast.MappingNode:
		if len(n.Values) > 0 {
			node = n.Values[0].Key
		}
	case *ast.MappingValueNode:
		node = n.Key
	}
	if tok := node.GetToken(); tok != nil && tok.Position != nil {
		s.at[path] = place{tok.Position.Line, tok.Position.Column}
	}
}

// hide keeps the lines of a secret out of snippets.
func (s *source) hide(node ast.Node) {
	tok := node.GetToken()
	if tok == nil || tok.Position == nil {
		return
	}
	s.hidden = append(s.hidden, tok.Position.Line)
	if block, ok := node.(*ast.LiteralNode); ok {
		for i := range strings.Count(block.Value.Value, "\n") + 1 { // it begins on the line after its indicator
			s.hidden = append(s.hidden, tok.Position.Line+1+i)
		}
	}
}

// fail completes faults with their file, line and snippet. A path that is not in the file is shown at the nearest one above it that is.
func (s *source) fail(faults ...Fault) error {
	for i := range faults {
		f := &faults[i]
		f.File = s.name
		for path := f.Path; f.Line == 0 && path != ""; path = parent(path) {
			f.Line, f.Column = s.at[path].line, s.at[path].column
		}
		f.Message = userinfo.ReplaceAllString(f.Message, "//***@")
		f.Hint = userinfo.ReplaceAllString(f.Hint, "//***@")
		f.Snippet = s.snippet(f.Line, f.Column)
	}
	slices.SortStableFunc(faults, func(a, b Fault) int { return a.Line - b.Line })
	return &Error{Faults: faults}
}

func parent(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

// What is hidden in a snippet: what follows a key of a secret, and credentials in a URL.
var (
	secretKey = regexp.MustCompile(`((?:password|api_key|token|salt)["']?\s*:\s*)\S.*`)
	userinfo  = regexp.MustCompile(`//[^/@\s]+@`)
	urlQuery  = regexp.MustCompile(`(://[^\s"'?]+\?)[^\s"',}\]]+`)
)

// snippet shows the line and the one before it, with a mark under the column.
func (s *source) snippet(line, column int) string {
	lines := strings.Split(string(s.data), "\n")
	if line < 1 || line > len(lines) {
		return ""
	}
	var b strings.Builder
	for n := max(line-1, 1); n <= line; n++ {
		shown := strings.TrimRight(lines[n-1], "\r")
		masked := urlQuery.ReplaceAllString(userinfo.ReplaceAllString(secretKey.ReplaceAllString(shown, "${1}***"), "//***@"), "${1}***")
		if masked == shown && slices.Contains(s.hidden, n) {
			masked = indentation(shown) + "***"
		}
		fmt.Fprintf(&b, "%5d | %s\n", n, strings.Map(printable, masked))
	}
	b.WriteString("      | " + strings.Repeat(" ", max(column-1, 0)) + "^")
	return b.String()
}

// printable makes a space of what would move a terminal's cursor.
func printable(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}

func indentation(s string) string { return s[:len(s)-len(strings.TrimLeft(s, " "))] }

// syntaxFault turns the parser's error into ours, and thinks of what is most often behind one.
func syntaxFault(err error, data []byte) Fault {
	f := Fault{Message: err.Error()}
	if y, ok := errors.AsType[yaml.Error](err); ok {
		f.Message = "is not YAML: " + y.GetMessage()
		if tok := y.GetToken(); tok != nil && tok.Position != nil {
			f.Line, f.Column = tok.Position.Line, tok.Position.Column
		}
	}
	if tabbed.Match(data) {
		f.Hint = "indent with spaces: a tab is no indentation in YAML"
	} else if strings.Contains(f.Message, "not allowed in this context") { // the parser's words for a key that is where none may be
		f.Hint = "keys that belong together begin in the same column"
	}
	return f
}

// tabbed is a line that is indented by a tab.
var tabbed = regexp.MustCompile(`(?m)^ *\t\s*\S`)

// closest is the hint for a word that is not among known: the one that was probably meant, or all of them.
func closest(word string, known []string, all string) string {
	best, distance := "", 3 // two letters wrong are a slip, three another word
	for _, k := range known {
		if n := edits(word, k); n < distance && n < len(k) {
			best, distance = k, n
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	if len(known) == 0 {
		return ""
	}
	return all + strings.Join(known, ", ")
}

// edits is the Levenshtein distance of a and b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

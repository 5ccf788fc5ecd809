package model

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxCard bounds what is read of a card: what is asked of it stands at its beginning.
const maxCard = 64 << 10

// readCard reads what a model's card says of its license and languages: README.md, as model hubs have it. Nothing is said by a directory
// without one.
func readCard(dir string) (license, languages string, err error) {
	file, err := os.Open(filepath.Join(dir, "README.md"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxCard))
	if err != nil {
		return "", "", err
	}
	license, languages = parseCard(data)
	return license, languages, nil
}

// parseCard reads the YAML between two lines of --- at the beginning of a card. A card is written for people: what it does not say in the usual
// form it does not say. Nothing is expanded or decoded, since anybody may have written it, and what breaks the parser says nothing.
func parseCard(data []byte) (license, languages string) {
	defer func() {
		if recover() != nil {
			license, languages = "", ""
		}
	}()
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	data, ok := bytes.CutPrefix(data, []byte("---\n"))
	if !ok {
		return "", ""
	}
	data, _, ok = bytes.Cut(data, []byte("\n---"))
	if !ok {
		return "", ""
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil || len(file.Docs) == 0 {
		return "", ""
	}
	top, ok := file.Docs[0].Body.(ast.MapNode)
	if !ok {
		return "", ""
	}
	said := map[string]string{}
	for entries := top.MapRange(); entries.Next(); {
		said[entries.Key().String()] = plain(entries.Value())
	}
	if license = said["license"]; license == "other" && said["license_name"] != "" {
		license = said["license_name"]
	}
	return license, said["language"]
}

// plain is a value that is a word, or a list of words with commas between; "" for any other.
func plain(n ast.Node) string {
	switch n := n.(type) {
	case *ast.StringNode:
		if strings.ContainsFunc(n.Value, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return ""
		}
		return n.Value
	case *ast.SequenceNode:
		var words []string
		for _, v := range n.Values {
			if s, ok := v.(*ast.StringNode); ok && plain(s) != "" {
				words = append(words, s.Value)
			}
		}
		return strings.Join(words, ", ")
	}
	return ""
}

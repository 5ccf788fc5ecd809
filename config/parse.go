package config

import (
	"bytes"
	"cmp"
	"fmt"
	"path/filepath"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxSize bounds the file: a configuration is read by people, and the YAML parser's memory is a large multiple of its input.
const maxSize = 1 << 20

// Parse reads data, the content of the file called name, over [Default], and validates the result. env looks up a variable for ${NAME};
// "$${" stands for a literal "${". What is wrong with the content is an *[Error] with every fault that was found.
func Parse(name string, data []byte, env func(string) (string, bool)) (*Config, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // some editors begin every file with it
	c := Default()
	c.source = &source{name: name, data: data, at: map[string]place{}}
	if len(data) > maxSize {
		return nil, c.source.fail(Fault{Message: fmt.Sprintf("is larger than %s", Bytes(maxSize))})
	}
	if !utf8.Valid(data) {
		return nil, c.source.fail(Fault{Message: "is not text in UTF-8"})
	}
	body, err := parseYAML(data)
	if err != nil {
		return nil, c.source.fail(syntaxFault(err, data))
	}
	d := decoder{source: c.source, env: env, directory: filepath.Dir(name), anchors: map[string]ast.Node{}}
	d.decodeConfig(body, &c)
	if len(d.faults) > 0 {
		return nil, c.source.fail(d.faults...)
	}
	c.files = d.files
	c.complete()
	if d.overrideRules(&c); len(d.faults) > 0 {
		return nil, c.source.fail(d.faults...)
	}
	if faults := c.validate(); len(faults) > 0 {
		return nil, c.source.fail(faults...)
	}
	return &c, nil
}

// complete gives names to rules without one, and to experiments the rule that was left out where there is no doubt about it.
func (c *Config) complete() {
	for i := range c.Rules {
		r := &c.Rules[i]
		if r.Name == "" {
			r.Name = fmt.Sprintf("rule-%d", i+1)
		}
		r.complete(c.Models)
	}
	if rules := c.EffectiveRules(); len(rules) == 1 {
		for i := range c.Experiments {
			c.Experiments[i].Rule = cmp.Or(c.Experiments[i].Rule, rules[0].Name)
		}
	}
}

// complete gives a rule the stage that was left out where there is no doubt about it, and a word that was renamed its name of today.
func (r *Rule) complete(models map[string]Model) {
	if r.Fusion.Method == "none" { // as it was called
		r.Fusion.Method = "replace"
	}
	if len(r.Stages) == 0 && len(models) == 1 {
		for name := range models {
			r.Stages = []Stage{{Model: name}}
		}
	}
}

// parseYAML returns the body of the only document in data, or nil where there is nothing in it.
func parseYAML(data []byte) (body ast.Node, err error) {
	// The parser is a hand-written one of many states; a file that breaks it is a wrong file, and must not take the
	// running proxy with it at a reload.
	defer func() {
		if r := recover(); r != nil {
			body, err = nil, fmt.Errorf("cannot be read as YAML (%v)", r)
		}
	}()
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, err
	}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			return nil, &yaml.SyntaxError{Message: "has a second document; one is read", Token: doc.GetToken()}
		}
		body = doc.Body
	}
	return body, nil
}

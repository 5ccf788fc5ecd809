package config

import (
	"encoding"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// A decoder walks the syntax tree and the types side by side. The YAML library's own decoder is not used, because it guesses: a
// password of 0123 arrives as 83, a window of 30.7 as 30, and it stops at the first fault without saying where in the file's own
// words. Here a scalar is what is written, a type is kept to, and every fault is collected with its path.
type decoder struct {
	source    *source
	env       func(string) (string, bool)
	directory string              // what a relative path of "file:" is relative to
	anchors   map[string]ast.Node // by name, in the order of the document: an alias sees those above it
	steps     int                 // nodes visited
	files     []string
	variants  []pendingVariant // in their order
	faults    []Fault
}

// maxDepth is more than the types are deep, and maxSteps more than people write; only aliases of aliases reach them.
const (
	maxDepth = 32
	maxSteps = 100_000
)

func (d *decoder) decodeConfig(body ast.Node, c *Config) {
	if body != nil {
		d.decode("", body, reflect.ValueOf(c).Elem(), 0)
	}
}

func (d *decoder) fault(path string, tok *token.Token, hint, format string, args ...any) {
	f := Fault{Path: path, Message: fmt.Sprintf(format, args...), Hint: hint}
	if tok != nil && tok.Position != nil {
		f.Line, f.Column = tok.Position.Line, tok.Position.Column
	}
	d.faults = append(d.faults, f)
}

// enter returns what is written at node, and notes where; nil where that is nothing: a key with nothing after it says nothing.
func (d *decoder) enter(path string, node ast.Node, depth int) ast.Node {
	if node = d.resolve(path, node, depth); node == nil {
		return nil
	}
	d.source.note(path, node)
	if _, ok := node.(*ast.NullNode); ok {
		return nil
	}
	return node
}

// decode reads node into v, which stays as it is where nothing is written.
func (d *decoder) decode(path string, node ast.Node, v reflect.Value, depth int) {
	node = d.enter(path, node, depth)
	if node == nil {
		return
	}
	if v.Type() == reflect.TypeFor[Secret]() {
		d.decodeSecret(path, node, v)
		return
	}
	if v.Type() == reflect.TypeFor[Variants]() {
		d.decodeVariants(path, node, v.Addr().Interface().(*Variants), depth)
		return
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok && !(v.Kind() == reflect.Struct && isMapping(node)) {
		if s, ok := d.scalar(path, node, "a plain value"); ok {
			if err := u.UnmarshalText([]byte(s)); err != nil {
				d.fault(path, node.GetToken(), "", "%v", err)
			}
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.decode(path, node, v.Elem(), depth+1)
	case reflect.Struct:
		d.decodeStruct(path, node, v, depth)
	case reflect.Map:
		d.decodeMap(path, node, v, depth)
	case reflect.Slice:
		d.decodeList(path, node, v, depth)
	case reflect.String:
		if s, ok := d.scalar(path, node, "a text"); ok {
			v.SetString(s)
		}
	case reflect.Bool:
		if s, ok := d.scalar(path, node, "true or false"); ok {
			b, err := strconv.ParseBool(s)
			if err != nil || (s != "true" && s != "false") {
				d.fault(path, node.GetToken(), "", "must be true or false, not %q", s)
			}
			v.SetBool(b)
		}
	case reflect.Int:
		if s, ok := d.scalar(path, node, "a whole number"); ok {
			n, err := strconv.Atoi(s)
			if err != nil {
				d.fault(path, node.GetToken(), "", "must be a whole number, not %q", s)
			}
			v.SetInt(int64(n))
		}
	case reflect.Float64:
		if s, ok := d.scalar(path, node, "a number"); ok {
			f, err := strconv.ParseFloat(s, 64)
			if err != nil {
				d.fault(path, node.GetToken(), "", "must be a number, not %q", s)
			}
			v.SetFloat(f)
		}
	default:
		panic("config: no rule to read a " + v.Type().String()) // a type of this package that the tests have not met
	}
}

func (d *decoder) decodeStruct(path string, node ast.Node, v reflect.Value, depth int) {
	var known []string
	fields := map[string]reflect.Value{}
	for i := range v.NumField() {
		if key := v.Type().Field(i).Tag.Get("yaml"); key != "" {
			known = append(known, key)
			fields[key] = v.Field(i)
		}
	}
	d.decodeFields(path, node, known, fields, depth)
}

func (d *decoder) decodeFields(path string, node ast.Node, known []string, fields map[string]reflect.Value, depth int) {
	for _, e := range d.entries(path, node, depth) {
		field, ok := fields[e.key]
		if !ok {
			d.fault(join(path, e.key), e.token, closest(e.key, known, "the keys here are "), "is not a key that rerankd knows")
			continue
		}
		d.source.note(join(path, e.key), e.node)
		d.decode(join(path, e.key), e.value, field, depth+1)
	}
}

func (d *decoder) decodeMap(path string, node ast.Node, v reflect.Value, depth int) {
	entries := d.entries(path, node, depth)
	if entries == nil {
		return
	}
	v.Set(reflect.MakeMap(v.Type())) // what is given replaces the default as a whole
	for _, e := range entries {
		elem := reflect.New(v.Type().Elem()).Elem()
		d.source.note(join(path, e.key), e.node)
		d.decode(join(path, e.key), e.value, elem, depth+1)
		v.SetMapIndex(reflect.ValueOf(e.key), elem)
	}
}

func (d *decoder) decodeList(path string, node ast.Node, v reflect.Value, depth int) {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		hint := ""
		if s, isScalar := text(node); isScalar {
			hint = fmt.Sprintf("for a list of one, write [%s]", s)
		}
		d.fault(path, node.GetToken(), hint, "must be a list, not %s", kind(node))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, len(list.Values)))
	for i, value := range list.Values {
		elem := reflect.New(v.Type().Elem())
		switch e := elem.Interface().(type) {
		case *Rule:
			*e = DefaultRule()
		case *Experiment:
			*e = DefaultExperiment()
		}
		d.decode(fmt.Sprintf("%s[%d]", path, i), value, elem.Elem(), depth+1)
		v.Set(reflect.Append(v, elem.Elem()))
	}
}

// decodeVariants reads the variants of an experiment, in their order. What a variant does not say is the rule's to say, which may stand
// further down: so each is read now, for its faults and its anchors, and once more by overrideRules.
func (d *decoder) decodeVariants(path string, node ast.Node, v *Variants, depth int) {
	*v = nil
	for _, e := range d.entries(path, node, depth) {
		at := join(path, e.key)
		d.source.note(at, e.node)
		variant := Variant{Name: e.key, Rule: DefaultRule()}
		d.decodeVariant(at, e.value, &variant, depth+1)
		*v = append(*v, variant)
		d.variants = append(d.variants, pendingVariant{at, e.value, depth + 1})
	}
}

type pendingVariant struct {
	path  string
	node  ast.Node
	depth int
}

func (d *decoder) decodeVariant(path string, node ast.Node, v *Variant, depth int) {
	node = d.enter(path, node, depth)
	if node == nil {
		return
	}
	known := []string{"share"}
	fields := map[string]reflect.Value{"share": reflect.ValueOf(&v.Share).Elem()}
	rule := reflect.ValueOf(&v.Rule).Elem()
	for i := range rule.NumField() {
		if key := rule.Type().Field(i).Tag.Get("yaml"); slices.Contains(variantKeys, key) {
			known = append(known, key)
			fields[key] = rule.Field(i)
		}
	}
	if m, ok := node.(*ast.MappingNode); ok && len(m.Values) == 0 {
		return // {}: the rule as it is
	}
	d.decodeFields(path, node, known, fields, depth)
}

// overrideRules reads the variants over the rules of their experiments, which are complete by now.
func (d *decoder) overrideRules(c *Config) {
	next := 0
	for i := range c.Experiments {
		e := &c.Experiments[i]
		base := DefaultRule()
		for _, r := range c.EffectiveRules() {
			if r.Name == e.Rule {
				base = r
			}
		}
		for k := range e.Variants {
			v, pending := &e.Variants[k], d.variants[next]
			next++
			v.Rule = base
			v.Rule.Fields, v.Rule.Template = nil, ""
			d.decodeVariant(pending.path, pending.node, v, pending.depth)
			if v.Rule.Fields == nil && v.Rule.Template == "" { // they exclude each other, and so either of them replaces both
				v.Rule.Fields, v.Rule.Template = base.Fields, base.Template
			}
			v.Rule.complete(c.Models)
		}
	}
}

func isMapping(node ast.Node) bool {
	switch node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	}
	return false
}

// decodeSecret reads a secret, or the file that "file:PATH" names.
func (d *decoder) decodeSecret(path string, node ast.Node, v reflect.Value) {
	d.source.hide(node)
	s, ok := d.scalar(path, node, "a text")
	if !ok {
		return
	}
	if name, ok := strings.CutPrefix(s, "file:"); ok {
		if !filepath.IsAbs(name) {
			name = filepath.Join(d.directory, name)
		}
		d.files = append(d.files, name)
		data, err := os.ReadFile(name)
		if err != nil {
			d.fault(path, node.GetToken(), "", "cannot be taken from its file: %v", err)
			return
		}
		s = strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
		if s == "" {
			d.fault(path, node.GetToken(), "", "is empty: %s", name)
		}
	}
	v.SetString(s)
}

// scalar returns the text of a scalar with its ${NAME} replaced.
func (d *decoder) scalar(path string, node ast.Node, want string) (string, bool) {
	s, ok := text(node)
	if !ok {
		d.fault(path, node.GetToken(), "", "must be %s, not %s", want, kind(node))
		return "", false
	}
	s, missing, err := expand(s, d.env)
	switch {
	case err != nil:
		d.fault(path, node.GetToken(), "$${ stands for a literal ${", "%v", err)
	case missing != "":
		d.fault(path, node.GetToken(), "set it where rerankd is started; $${ stands for a literal ${", "the environment variable %s is not set", missing)
	default:
		return s, true
	}
	return "", false
}

// expand replaces ${NAME}; missing is the first name that env does not know.
func expand(s string, env func(string) (string, bool)) (expanded, missing string, err error) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "${")
		if !found {
			b.WriteString(s)
			return b.String(), "", nil
		}
		if escaped, ok := strings.CutSuffix(before, "$"); ok {
			b.WriteString(escaped + "${")
			s = after
			continue
		}
		name, rest, closed := strings.Cut(after, "}")
		if !closed || !isName(name) {
			return "", "", fmt.Errorf("${%s is not the name of an environment variable in braces", name)
		}
		value, ok := env(name)
		if !ok {
			return "", name, nil
		}
		b.WriteString(before + value)
		s = rest
	}
}

func isName(s string) bool {
	for i, r := range s {
		letter := r == '_' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

// An entry is one key of a mapping.
type entry struct {
	key   string
	token *token.Token
	node  ast.Node // the key's
	value ast.Node
}

// entries lists the keys of a mapping, those of its merge keys (<<) after its own and only where it has none of the name itself.
func (d *decoder) entries(path string, node ast.Node, depth int) []entry {
	var values []*ast.MappingValueNode
	switch n := node.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		d.fault(path, node.GetToken(), "", "must have keys and values, not be %s", kind(node))
		return nil
	}
	entries, merged := []entry{}, []entry{}
	seen := map[string]bool{}
	for _, v := range values {
		if v.Key.IsMergeKey() {
			merged = append(merged, d.merge(path, v.Value, depth+1)...)
			continue
		}
		key, ok := text(v.Key)
		switch {
		case !ok:
			d.fault(path, v.Key.GetToken(), "", "has a key that is not a plain word")
		case seen[key]:
			d.fault(join(path, key), v.Key.GetToken(), "", "is given twice")
		default:
			seen[key] = true
			entries = append(entries, entry{key, v.Key.GetToken(), v.Key, v.Value})
		}
	}
	for _, e := range merged {
		if !seen[e.key] {
			seen[e.key] = true
			entries = append(entries, e)
		}
	}
	return entries
}

func (d *decoder) merge(path string, node ast.Node, depth int) []entry {
	node = d.resolve(path, node, depth)
	if node == nil {
		return nil
	}
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		return d.entries(path, node, depth)
	}
	var all []entry
	for _, v := range list.Values {
		if v = d.resolve(path, v, depth); v != nil {
			all = append(all, d.entries(path, v, depth+1)...)
		}
	}
	return all
}

// resolve looks through tags, anchors and aliases; nil after a fault.
func (d *decoder) resolve(path string, node ast.Node, depth int) ast.Node {
	for range maxDepth {
		d.steps++
		if depth > maxDepth || d.steps > maxSteps {
			break
		}
		switch n := node.(type) {
		case nil:
			return nil
		case *ast.TagNode:
			node = n.Value
		case *ast.AnchorNode:
			d.anchors[n.Name.GetToken().Value] = n.Value
			node = n.Value
		case *ast.AliasNode:
			name := n.Value.GetToken().Value
			target, ok := d.anchors[name]
			if !ok {
				d.fault(path, n.GetToken(), "", "*%s refers to no anchor above it", name)
				return nil
			}
			node = target
		default:
			return node
		}
	}
	if d.steps <= maxSteps+1 { // once
		d.fault(path, node.GetToken(), "", "has aliases in too many turns")
	}
	return nil
}

// text returns a scalar as it is written, quotes and escapes undone.
func text(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	case *ast.MappingNode:
		if len(n.Values) == 1 {
			return text(n.Values[0])
		}
	case *ast.MappingValueNode:
		return rejoined(n)
	}
	return "", false
}

// rejoined undoes a slip of the YAML library, which within braces takes the [http://a:9200] of a list for a key and a value. A colon with
// no space after it is part of a plain text (YAML 1.2.2, 7.3.3).
func rejoined(n *ast.MappingValueNode) (string, bool) {
	key, ok := n.Key.(*ast.StringNode)
	if !ok || key.Token.Type != token.StringType || n.Value == nil {
		return "", false
	}
	value := n.Value.GetToken()
	if value == nil || n.Start == nil || value.Position.Line != n.Start.Position.Line || value.Position.Column != n.Start.Position.Column+1 {
		return "", false
	}
	s, ok := text(n.Value)
	return key.Value + ":" + s, ok
}

// kind names a node for people.
func kind(node ast.Node) string {
	switch node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys and values"
	case *ast.SequenceNode:
		return "a list"
	}
	if s, ok := text(node); ok {
		return strconv.Quote(s)
	}
	return "something else"
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

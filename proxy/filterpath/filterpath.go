// Package filterpath does what Elasticsearch and OpenSearch do with the parameter filter_path: it leaves of a response what the filter lets
// through, as the engine itself would have written it.
//
// A filter is a list of paths, with commas between them. A path with a - before it takes out what it leads to; the others say what is to
// be left, and without any of these everything is. The segments of a path have dots between them, and \. is a dot within a name. In a
// segment * is any run of characters, and a segment ** is one property or more. What a path leads to is meant whole, arrays are seen
// through, and objects and arrays of which nothing is left go too. Only the outermost object always stays.
//
// A path means the same to Elasticsearch 7.17, 8.14 and 8.19 and to OpenSearch 2.19 and 3.8, with the exceptions that [Parse] and
// [Filter.Apply] refuse.
package filterpath

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxSegments bounds what a name may have to be compared with. A URL of 4 KiB, the longest that Elasticsearch takes unless it is told
// otherwise, may hold more, but not in earnest.
const maxSegments = 512

// maxDeep bounds the segments ** of a filter: each of them is still on its way at every level of the response.
const maxDeep = 16

// Whole is the filter that lets everything through. What an engine writes with it is what [Filter.Apply] takes: any filter makes it read
// what it otherwise passes on as it was stored (_source) and write that anew, escapes and numbers in its own spelling.
const Whole = "*"

// Filter is the value of filter_path. It is safe for concurrent use.
type Filter struct {
	include []*segment // where paths begin; nil lets all through
	exclude []*segment
}

// A segment of a path stands for properties by their names.
type segment struct {
	parts  []string // of a name, with any run of characters between them: "a*b" is a and b
	deep   bool     // **, which may stand for more properties, one within the other
	follow *segment // nil where the path ends
}

// Parse reads the value of the parameter, decoded. A value that names no path filters nothing, and gives nil. An error means that engines
// differ in what the filter means, or that it is longer than anyone's.
func Parse(value string) (*Filter, error) {
	if !utf8.ValidString(value) {
		return nil, errors.New("the filter is not UTF-8")
	}
	f, segments, deep := &Filter{}, 0, 0
	for path := range strings.SplitSeq(value, ",") {
		path = trim(path)
		if path == "" {
			continue
		}
		text, excluded := strings.CutPrefix(path, "-")
		names, err := split(trim(text))
		if err != nil {
			return nil, fmt.Errorf("the path %q: %w", path, err)
		}
		if segments += len(names); segments > maxSegments {
			return nil, fmt.Errorf("the filter has more than %d segments", maxSegments)
		}
		var first *segment
		for _, name := range slices.Backward(names) {
			first = &segment{parts: strings.Split(name, "*"), deep: name == "**", follow: first}
			if first.deep {
				deep++
			}
		}
		if deep > maxDeep {
			return nil, fmt.Errorf("the filter has more than %d segments **", maxDeep)
		}
		if excluded {
			f.exclude = append(f.exclude, first)
		} else {
			f.include = append(f.include, first)
		}
	}
	if segments == 0 {
		return nil, nil
	}
	return f, nil
}

// trim takes off what the engines' String.trim() does.
func trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return r <= ' ' })
}

// split returns the names in a path.
func split(path string) (names []string, err error) {
	var name strings.Builder
	for i := 0; i < len(path); i++ {
		switch {
		case path[i] == '.':
			names = append(names, name.String())
			name.Reset()
			continue
		case path[i] != '\\':
		case i+1 < len(path) && path[i+1] == '.':
			i++
		default: // a dot for OpenSearch, itself for Elasticsearch 8
			return nil, errors.New(`a \ that no dot follows`)
		}
		name.WriteByte(path[i])
	}
	names = append(names, name.String())
	if slices.Contains(names, "") { // "took." is took for OpenSearch, ".took" a name for Elasticsearch 8, and "-" an error for most
		return nil, errors.New("a segment is empty")
	}
	return names, nil
}

// matches reports whether the segment stands for a property of that name.
func (s *segment) matches(name string) bool {
	first, last := s.parts[0], s.parts[len(s.parts)-1]
	if len(s.parts) == 1 {
		return name == first
	}
	if len(name) < len(first)+len(last) || !strings.HasPrefix(name, first) || !strings.HasSuffix(name, last) {
		return false
	}
	name = name[len(first) : len(name)-len(last)]
	for _, part := range s.parts[1 : len(s.parts)-1] {
		_, rest, found := strings.Cut(name, part)
		if !found {
			return false
		}
		name = rest
	}
	return true
}

// A state is what is left of a filter on the way to a value.
type state struct {
	include []*segment // that lead to something below the value; nil lets all of it through
	exclude []*segment // that lead to something below the value; nil takes nothing out of it

	members map[string]*state // what enter has returned by name, nil for what is dropped
}

func (f *Filter) start() *state { return &state{include: f.include, exclude: f.exclude} }

// whole reports whether the value stays as it is.
func (s *state) whole() bool { return s.include == nil && s.exclude == nil }

// enter returns the state at a member of that name, nil where it is dropped.
func (s *state) enter(name string) *state {
	next := &state{}
	if s.include != nil {
		rest, arrived := advance(s.include, name)
		if rest == nil && !arrived {
			return nil
		}
		next.include = rest
	}
	rest, arrived := advance(s.exclude, name)
	if arrived {
		return nil
	}
	next.exclude = rest
	return next
}

// advance follows the paths into a member of that name: arrived where one of them ends there, and else where they go on.
func advance(paths []*segment, name string) (rest []*segment, arrived bool) {
	for _, s := range paths {
		if !s.matches(name) {
			continue
		}
		if s.follow == nil {
			return nil, true
		}
		rest = add(rest, s.follow)
		if s.deep {
			rest = add(rest, s)
		}
	}
	return rest, false
}

// add keeps paths distinct: **.**.** would otherwise have them double with each level.
func add(paths []*segment, s *segment) []*segment {
	if slices.Contains(paths, s) {
		return paths
	}
	return append(paths, s)
}

// Passes reports whether the filter may leave something of what is at a path of names, or below it.
func (f *Filter) Passes(path ...string) bool {
	s := f.start()
	for _, name := range path {
		if s = s.enter(name); s == nil {
			return false
		}
	}
	return true
}

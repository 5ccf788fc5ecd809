//go:build cgo

package onnx

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// reference is truncate_encodings of Hugging Face's tokenizers, strategy LongestFirst, in the words of its comment rather than of its
// code: tokens are taken one by one off the longer sequence (off the first at a tie), until the two fit.
func reference(a, b, budget int) (int, int) {
	longerFirst := a > b
	for a+b > budget {
		switch {
		case a > b:
			a--
		case b > a:
			b--
		case longerFirst:
			b--
		default:
			a--
		}
	}
	return a, b
}

func FuzzLongestFirst(f *testing.F) {
	for _, seed := range [][3]int{{0, 0, 2}, {10, 900, 509}, {900, 10, 509}, {300, 300, 509}, {301, 300, 509}, {600, 600, 509}, {1, 600, 1}, {5, 5, 0}} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, a, b, budget int) {
		if a < 0 || b < 0 || budget < 0 || a > 5000 || b > 5000 || budget > 10000 {
			t.Skip()
		}
		gotA, gotB := longestFirst(a, b, budget)
		if wantA, wantB := reference(a, b, budget); gotA != wantA || gotB != wantB {
			t.Errorf("longestFirst(%d, %d, %d): got %d, %d, want %d, %d", a, b, budget, gotA, gotB, wantA, wantB)
		}
	})
}

// FuzzAssemble checks that no pair is longer than allowed, and that it is the framing of a prefix of each text.
func FuzzAssemble(f *testing.F) {
	f.Add(3, 4, 8)
	f.Add(900, 900, 512)
	f.Add(0, 900, 512)
	t := template{
		pieces: []piece{{special: []int64{101}}, {kind: queryText}, {special: []int64{102}}, {kind: docText, segment: 1}, {special: []int64{102}, segment: 1}},
		added:  3,
	}
	f.Fuzz(func(tt *testing.T, q, d, length int) {
		if q < 0 || d < 0 || q > 3000 || d > 3000 || length < 5 || length > 1024 {
			tt.Skip()
		}
		queryIDs, docIDs := numbers(1000, q), numbers(10000, d)
		p := t.assemble(queryIDs, docIDs, length)
		if len(p.ids) > length || len(p.ids) != len(p.segments) {
			tt.Fatalf("got %d ids and %d segments, want at most %d", len(p.ids), len(p.segments), length)
		}
		if q+d+3 <= length && len(p.ids) != q+d+3 {
			tt.Fatalf("got %d tokens of a pair of %d that fits in %d", len(p.ids), q+d+3, length)
		}
		var gotQ, gotD int
		for i, id := range p.ids {
			switch {
			case id >= 10000:
				if int(id) != 10000+gotD || p.segments[i] != 1 {
					tt.Fatalf("token %d: got %d in segment %d, want %d in 1", i, id, p.segments[i], 10000+gotD)
				}
				gotD++
			case id >= 1000:
				if int(id) != 1000+gotQ || p.segments[i] != 0 {
					tt.Fatalf("token %d: got %d in segment %d, want %d in 0", i, id, p.segments[i], 1000+gotQ)
				}
				gotQ++
			}
		}
		if p.ids[0] != 101 || p.ids[gotQ+1] != 102 || p.ids[len(p.ids)-1] != 102 {
			tt.Fatalf("got %v, want it framed by 101, 102 and 102", p.ids)
		}
	})
}

func numbers(from, n int) []uint32 {
	ids := make([]uint32, n)
	for i := range ids {
		ids[i] = uint32(from + i)
	}
	return ids
}

func TestTemplateFaults(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"none", `{}`, "no post_processor"},
		{"null", `{"post_processor": null}`, "no post_processor"},
		{"unknown kind", `{"post_processor": {"type": "ByteLevel"}}`, `"ByteLevel" is none of`},
		{"sequence of none", `{"post_processor": {"type": "Sequence", "processors": [{"type": "ByteLevel"}]}}`, "0 of the post_processors"},
		{"sequence of two", `{"post_processor": {"type": "Sequence", "processors": [{"type": "BertProcessing"}, {"type": "RobertaProcessing"}]}}`, "2 of the post_processors"},
		{"sequence with an unknown kind", `{"post_processor": {"type": "Sequence", "processors": [{"type": "ByteLevel"}, {"type": "New"}]}}`, `"New" is none of`},
		{"no document", `{"post_processor": {"type": "TemplateProcessing", "pair": [{"Sequence": {"id": "A", "type_id": 0}}]}}`, "A and B once"},
		{"unknown token", `{"post_processor": {"type": "TemplateProcessing", "pair": [{"SpecialToken": {"id": "[X]", "type_id": 0}}]}}`, `"[X]" has no id`},
		{"empty piece", `{"post_processor": {"type": "TemplateProcessing", "pair": [{}]}}`, "pair[0]"},
		{"not JSON", `{`, "unexpected end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := parseTemplate([]byte(c.file)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
		})
	}
}

// TestCut checks that what is cut off is a suffix, that characters stay whole, and that words do where there are any.
func TestCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.SampledFrom([]rune("ab .é中\u0301\n😀"))).Draw(t, "text")
		size := rapid.IntRange(utf8.UTFMax, 64).Draw(t, "size")
		got, whole := cut(text, size)
		if !strings.HasPrefix(text, got) || len(got) > size && !whole || whole != (got == text) {
			t.Fatalf("cut(%q, %d): got %q, %v", text, size, got, whole)
		}
		if whole || text[len(got)] == ' ' {
			return
		}
		if !utf8.ValidString(got) {
			t.Fatalf("cut(%q, %d): got %q, want whole characters", text, size, got)
		}
		for i := size/2 + 1; i <= size; i++ {
			if text[i] == ' ' && strings.HasSuffix(text[:i], "a") {
				t.Fatalf("cut(%q, %d): got %q, want %q", text, size, got, text[:i])
			}
		}
	})
}

package rerank

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// scorer is a Scorer made of a function. (Package reranktest has one, and imports this package.)
type scorer func(ctx context.Context, query string, docs []string) ([]float32, error)

func (f scorer) Score(ctx context.Context, query string, docs []string) ([]float32, error) {
	return f(ctx, query, docs)
}

func TestSentence(t *testing.T) {
	for text, want := range map[string][]string{
		"One. Two! Three? Four":                       {"One. ", "Two! ", "Three? ", "Four"},
		"It costs 3.50 at example.com. See e.g. this": {"It costs 3.50 at example.com. ", "See e.g. this"},
		"\"Is it?\" she said. (It is.) Yes":           {"\"Is it?\" ", "she said. ", "(It is.) ", "Yes"},
		"a heading\nand a line\n\nend":                {"a heading\n", "and a line\n", "\n", "end"},
		"今日は晴れ。明日は雨！「本当？」はい":                          {"今日は晴れ。", "明日は雨！", "「本当？」", "はい"},
		"هل هو؟ نعم. لا":                              {"هل هو؟ ", "نعم. ", "لا"},
		"Wait… No":                                    {"Wait… ", "No"},
		"no end":                                      {"no end"},
		"...":                                         {"..."},
		"":                                            nil,
	} {
		var got []string
		for rest := text; rest != ""; {
			n := sentence(rest)
			got, rest = append(got, rest[:n]), rest[n:]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func TestTerms(t *testing.T) {
	for text, want := range map[string]string{
		"Red SHOES, size-42": "red shoes size 42",
		"Straße STRASSE":     "strasse strasse",
		"ΌΔΟΣ όδος":          "όδοσ όδοσ",
		"東京の天気":              "東京 京の の天 天気",
		"猫 cat":              "猫 cat",
		"iPhone手机":           "iphone 手机",
		"手机iPhone":           "手机 iphone",
		"\xff\xfe 🙂 …":       "",
	} {
		var got []string
		for term := range terms(text, false) {
			got = append(got, string(term))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// Whatever text comes: its passages follow one another, are of the size at most, cut no character, and leave out nothing but space and what
// is beyond the limit.
func TestSplitProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.OneOf(rapid.String(), rapid.StringMatching(`[A-Za-z ]{0,30}[.!?\n]`), rapid.SampledFrom([]string{"。", "漢字", " ", "\n", ". ", "…", "\xff\x80\x80\x80\x80\x80"}))
		text := strings.Join(rapid.SliceOfN(piece, 0, 60).Draw(t, "pieces"), "")
		size := rapid.IntRange(20, 200).Draw(t, "size")
		checkSplit(t, text, size)
	})
}

func FuzzSplit(f *testing.F) {
	f.Add("A title\nOne. Two! "+strings.Repeat("x", 90), 20)
	f.Add(strings.Repeat("漢", 50), 10)
	f.Add(strings.Repeat("\x80", 100), 10)
	f.Fuzz(func(t *testing.T, text string, size int) {
		if size >= 8 && size < 1<<20 {
			checkSplit(t, text, size)
		}
	})
}

func checkSplit(t interface {
	Fatalf(string, ...any)
}, text string, size int) {
	title := titleOf(text, size)
	at := 0
	for k, p := range split(text, title, size-title) {
		if p.From < at || p.To <= p.From || p.To > len(text) {
			t.Fatalf("got passage %d %v of %q after %d", k, p, text, at)
		}
		room := size - title
		if p.From == 0 {
			room = size
		}
		if p.To-p.From > room {
			t.Fatalf("got passage %v of %d bytes of %q, want %d at most", p, p.To-p.From, text, room)
		}
		if strings.TrimSpace(text[at:p.From]) != "" {
			t.Fatalf("%q is in no passage of %q", text[at:p.From], text)
		}
		if utf8.ValidString(text) && !utf8.ValidString(text[p.From:p.To]) {
			t.Fatalf("passage %q of %q cuts a character", text[p.From:p.To], text)
		}
		at = p.To
	}
	if len(text) <= maxRead && at > 0 && strings.TrimSpace(text[at:]) != "" {
		t.Fatalf("%q is in no passage of %q", text[at:], text)
	}
}

// A text that is made to hurt, or is very long, costs time in proportion to the 256 KiB of it that are looked at, and none past the deadline.
func TestReadingIsBounded(t *testing.T) {
	for name, text := range map[string]string{
		"spaces after a full stop": ". " + strings.Repeat(" ", 1<<20),
		"full stops":               strings.Repeat(".", 1<<20),
		"dots and spaces":          strings.Repeat(". ", 1<<19),
		"closing brackets":         strings.Repeat("a."+strings.Repeat(")", 1000), 1000),
		"one word of 50 MB":        strings.Repeat("x", 50<<20),
		"sentences of 50 MB":       strings.Repeat("The quick brown fox jumps over the lazy dog. ", 50<<20/45),
		"not UTF-8":                strings.Repeat("\x80", 1<<20),
	} {
		s := Stage{Passages: 3}
		start := time.Now()
		r := s.reading(t.Context(), "the quick fox", []string{text, "short"})
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
		for k, p := range r.passages {
			if p.To > maxRead || len(r.texts[k]) > defaultPassage && p != (Passage{}) {
				t.Errorf("%s: got passage %v of %d bytes", name, p, len(r.texts[k]))
			}
		}
	}
	late, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	s := Stage{Passages: 3}
	docs := slices.Repeat([]string{strings.Repeat("word ", 50_000)}, 100)
	if r := s.reading(late, "word", docs); !slices.Equal(r.texts, docs) {
		t.Errorf("got %d texts past the deadline, want the documents as they are", len(r.texts))
	}
}

// long is a text of n sentences about nothing, with one more in the middle.
func long(title, sentence string, n int) string {
	var b strings.Builder
	b.WriteString(title + "\n")
	for i := range n {
		if i == n/2 {
			b.WriteString(sentence + " ")
		}
		fmt.Fprintf(&b, "Paragraph %d says that the committee met, and that nothing was decided. ", i)
	}
	return b.String()
}

// The passage with the answer is the one that is read, its title with it, and what comes first is one passage of every hit.
func TestReading(t *testing.T) {
	docs := []string{
		"A short text about the committee.",
		long("Manual of the router", "To reset a forgotten password, hold the button for ten seconds.", 100),
		long("Minutes", "The password was changed.", 100),
	}
	s := Stage{Passages: 2, PassageSize: 400}
	r := s.reading(t.Context(), "How do I RESET a forgotten password?", docs)
	if want := []int{0, 1, 2, 1, 2}; !slices.Equal(r.of, want) {
		t.Fatalf("got texts of documents %v, want %v", r.of, want)
	}
	if r.texts[0] != docs[0] || r.passages[0] != (Passage{}) {
		t.Errorf("got %q for a short text, want it as it is", r.texts[0])
	}
	for k, want := range map[int]string{1: "hold the button", 2: "password was changed"} {
		title, _, _ := strings.Cut(docs[k], "\n")
		if text := r.texts[k]; !strings.Contains(text, want) || !strings.HasPrefix(text, title+"\n") || len(text) > 400 {
			t.Errorf("got %q first, want the passage with %q under its title", text, want)
		}
	}
	if r.passages[3].From != 0 {
		t.Errorf("got passage %v second, want the first of those that have nothing", r.passages[3])
	}
}

// reads is a scorer to which a text answers if it has a word, and which reads no more of it than a model does.
func readsFor(word string, reach int) scorer {
	return func(_ context.Context, _ string, docs []string) ([]float32, error) {
		logits := make([]float32, 0, len(docs))
		for _, doc := range docs[:min(reach, len(docs))] {
			logit := float32(-3)
			if strings.Contains(doc[:min(len(doc), 2000)], word) {
				logit = 3
			}
			logits = append(logits, logit)
		}
		return logits, nil
	}
}

// The answer in the middle of a long text is found in its passage, and not from its beginning.
func TestPassagesFindTheMiddle(t *testing.T) {
	hits := []Hit{
		{Text: long("Minutes", "The password was changed.", 200), Score: 9},
		{Text: long("More minutes", "Nothing about it here.", 200), Score: 8},
		{Text: long("Manual", "To reset a forgotten password, hold the button for ten seconds.", 200), Score: 7},
	}
	ranker := func(passages int) Ranker {
		return Ranker{Stages: []Stage{{Scorer: readsFor("hold the button", 100), Passages: passages}}, Fusion: Fusion{Method: FusionReplace}}
	}
	first, passages := ranker(0), ranker(3)
	const query = "reset forgotten password"
	if got := first.Rank(t.Context(), query, hits); !slices.Equal(got.Order, []int{0, 1, 2}) {
		t.Errorf("from the beginning: got %v, want the cluster's order", got.Order)
	}
	got := passages.Rank(t.Context(), query, hits)
	if !slices.Equal(got.Order, []int{2, 0, 1}) {
		t.Errorf("by passages: got %v, want the answer first", got.Order)
	}
	if p := got.Judged[0].Passage; !strings.Contains(hits[2].Text[p.From:p.To], "hold the button") {
		t.Errorf("got passage %q, want the one with the answer", hits[2].Text[p.From:p.To])
	}
	if want := (Report{Window: 3, Scored: 3, Passages: 9}); cmp.Diff(want, got.Stages[0], cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Took" }, cmp.Ignore())) != "" {
		t.Errorf("got %+v, want %+v", got.Stages[0], want)
	}
}

// However many texts the deadline leaves, whole hits are scored, in rank order, each by the best of its passages so far.
func TestPassagesProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "hits")
		docs := make([]string, n)
		for i := range docs {
			docs[i] = long(fmt.Sprintf("Title %d", i), "The fox sleeps.", rapid.IntRange(1, 30).Draw(t, "sentences"))
		}
		s := Stage{Passages: rapid.IntRange(1, 4).Draw(t, "passages"), PassageSize: rapid.IntRange(100, 500).Draw(t, "size")}
		r := s.reading(t.Context(), "where does the fox sleep", docs)
		for i := range n {
			if r.of[i] != i {
				t.Fatalf("got texts of %v, want one of each hit first", r.of)
			}
		}
		reached := rapid.IntRange(0, len(r.texts)).Draw(t, "reached")
		logits := rapid.SliceOfN(rapid.Float32Range(-9, 9), reached, reached).Draw(t, "logits")
		best, passages := r.best(logits)
		if len(best) != min(n, reached) || len(passages) != len(best) {
			t.Fatalf("got %d scores of %d texts, want those of %d hits", len(best), reached, min(n, reached))
		}
		for i := range best {
			want := float32(-10)
			for k, logit := range logits {
				if r.of[k] == i {
					want = max(want, logit)
				}
			}
			if best[i] != want {
				t.Errorf("got %v for hit %d, want %v of %v", best[i], i, want, logits)
			}
		}
		each := map[int]int{}
		for k, i := range r.of {
			each[i]++
			if each[i] > s.Passages || len(r.texts[k]) > s.PassageSize {
				t.Errorf("got %d passages of hit %d, one of %d bytes", each[i], i, len(r.texts[k]))
			}
		}
	})
}

// BenchmarkReading measures what choosing passages adds, for fifty texts of 32 KiB.
func BenchmarkReading(b *testing.B) {
	for name, sentence := range map[string]string{
		"English": "The quick brown fox (which is red) jumps over the lazy dog, and sleeps. ", "Russian": "Быстрая рыжая лиса прыгает через ленивую собаку и спит. ",
		"Chinese": "敏捷的棕色狐狸跳过懒狗，然后睡觉。",
	} {
		b.Run(name, func(b *testing.B) {
			docs := slices.Repeat([]string{strings.Repeat(sentence, 32<<10/len(sentence))}, 50)
			s := Stage{Passages: 3}
			b.SetBytes(50 * int64(len(docs[0])))
			b.ReportAllocs()
			for b.Loop() {
				s.reading(b.Context(), "where does the fox sleep лиса спит 狐狸睡觉", docs)
			}
		})
	}
}

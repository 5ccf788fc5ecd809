package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rerankd/rerankd/rerank/reranktest"
)

// runRank runs the command with the scripts' model, which counts the query's words in a document.
func runRank(ctx context.Context, stdin io.Reader, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	e := &environment{stdin: stdin, stdout: &out, stderr: &err, lookup: func(string) (string, bool) { return "", false }, open: openFake}
	code = e.run(ctx, append([]string{"rank"}, args...))
	return code, out.String(), err.String()
}

func TestRankRefusesLines(t *testing.T) {
	for _, test := range []struct{ name, input, want string }{
		{"another encoding", "A boat\nCaf\xe9\n", "error: standard input:2: is not text in UTF-8\nhint: convert it: iconv"},
		{"another encoding in JSON", "{\"title\":\"Caf\xe9\"}", "error: standard input:1: is not text in UTF-8"},
		{"UTF-16", "\xff\xfea\x00\n\x00", "error: standard input:1: is not text in UTF-8"},
		{"no end", "A boat\n" + strings.Repeat("x", maxLine+1), "error: standard input: line 2 is longer than 16 MiB\nhint: a document is one line"},
		{"two values", `"A boat" "A ship"` + "\n" + `{"a":1}{"b":2}`, ""},
		{"two objects", `{"a":1} {"b":2}`, "standard input:1: is not JSON: a second value"},
		{"half an escape", `{"a":"\ud800"}`, "standard input:1: is not JSON: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, stdout, stderr := runRank(t.Context(), strings.NewReader(test.input), "boat")
			if test.want == "" { // a line of two strings is no JSON, and so text
				if code != exitOK {
					t.Errorf("got %d, %q, want the lines ranked", code, stderr)
				}
				return
			}
			if code != exitFailed || stdout != "" || !strings.Contains(stderr, test.want) {
				t.Errorf("got %d, %q, %q, want %d and %q", code, stdout, stderr, exitFailed, test.want)
			}
		})
	}
	broken := iotest.ErrReader(errors.New("the disk is gone"))
	if code, _, stderr := runRank(t.Context(), io.MultiReader(strings.NewReader("A boat\n"), broken), "boat"); code != exitFailed || !strings.Contains(stderr, "the disk is gone") {
		t.Errorf("got %d, %q, want the reader's error", code, stderr)
	}
}

func TestRankTakesWhatEditorsAndSystemsAdd(t *testing.T) {
	code, stdout, stderr := runRank(t.Context(), strings.NewReader("\ufeff\"A boat\"\r\n\r\n\"A ship\""), "a boat", "--json")
	want := `{"rank":1,"index":0,"score":0.8807970779778823,"logit":2,"document":"A boat"}` + "\n" +
		`{"rank":2,"index":2,"score":0.7310585786300049,"logit":1,"document":"A ship"}` + "\n"
	if code != exitOK || stderr != "" || stdout != want {
		t.Errorf("got %d, %q, %q, want %s", code, stdout, stderr, want)
	}
}

// Whatever the lines: the best k are the first k of all, and every line that is not blank has one place.
func TestRankTopK(t *testing.T) {
	type ranking struct {
		Rank, Index int
		Score       float64
		Logit       float32
		Document    string
	}
	parse := func(rt *rapid.T, out string) (all []ranking) {
		for d := json.NewDecoder(strings.NewReader(out)); d.More(); {
			var r ranking
			if err := d.Decode(&r); err != nil {
				rt.Fatal(err)
			}
			all = append(all, r)
		}
		return all
	}
	rapid.Check(t, func(rt *rapid.T) {
		lines := rapid.SliceOfN(rapid.StringMatching(`[abc ]{0,9}`), 1, 500).Draw(rt, "lines")
		lines = append(lines, "a")
		k := rapid.IntRange(1, 200).Draw(rt, "k")
		input := strings.Join(lines, "\n")
		code, out, stderr := runRank(t.Context(), strings.NewReader(input), "a b c", "--json")
		if code != exitOK {
			rt.Fatal(stderr)
		}
		all := parse(rt, out)
		_, out, _ = runRank(t.Context(), strings.NewReader(input), "a b c", "--json", "--top-k", fmt.Sprint(k))
		if diff := cmp.Diff(all[:min(k, len(all))], parse(rt, out)); diff != "" {
			rt.Fatalf("the first of all -, the best +:\n%s", diff)
		}
		seen := map[int]bool{}
		for i, r := range all {
			if seen[r.Index] || r.Rank != i+1 || r.Document != strings.TrimSpace(lines[r.Index]) {
				rt.Fatalf("got %+v at place %d", r, i)
			}
			seen[r.Index] = true
			if i > 0 && (r.Logit > all[i-1].Logit || r.Logit == all[i-1].Logit && r.Index < all[i-1].Index) {
				rt.Fatalf("got %+v after %+v", r, all[i-1])
			}
		}
		for i, line := range lines {
			if seen[i] != (strings.TrimSpace(line) != "") {
				rt.Fatalf("line %d, %q, is in the ranking: %v", i, line, seen[i])
			}
		}
	})
}

// Somebody who interrupts a command that waits for its input does not have to end the input too.
func TestRankIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	stdin, input := io.Pipe()
	defer input.Close()
	ended := make(chan string)
	go func() {
		_, _, stderr := runRank(ctx, stdin, "boat")
		ended <- stderr
	}()
	fmt.Fprintln(input, "A boat")
	cancel()
	select {
	case stderr := <-ended:
		if stderr != "rerankd: error: interrupted\n" {
			t.Errorf("got %q, want it interrupted", stderr)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("still waiting for the input")
	}
}

// A scorer that stops early is a fault here, where nothing stands for a document without a score.
func TestRankWantsEveryScore(t *testing.T) {
	few := reranktest.ScorerFunc(func(context.Context, string, []string) ([]float32, error) { return []float32{1}, nil })
	r := ranked{}
	err := r.add(t.Context(), few, "boat", []document{{index: 0, text: "a"}, {index: 1, text: "b"}})
	if err == nil || err.Error() != "scoring: 1 scores for 2 documents" {
		t.Errorf("got %v", err)
	}
}

func FuzzDocuments(f *testing.F) {
	f.Add("A boat\n\"A ship\"\n", "title")
	f.Add("{\"title\":\"A boat\"}\n{\"title\":{\"en\":[\"A ship\",null,1]}}", "title.en")
	f.Add("\"\\ud83d\\ude00\"\n\r\n\t\n{", "")
	f.Fuzz(func(t *testing.T, input, field string) {
		r := documentReader{format: inputAuto, stream: strings.NewReader(input)}
		if field != "" {
			r.fields = []string{field}
		}
		batches := make(chan []document, strings.Count(input, "\n")+1)
		err := r.read(t.Context(), batches)
		close(batches)
		last := -1
		for batch := range batches {
			for _, d := range batch {
				if d.index <= last || d.index >= strings.Count(input, "\n")+1 {
					t.Errorf("got line %d after %d, with error %v", d.index, last, err)
				}
				last = d.index
				if d.raw != nil && !json.Valid(d.raw) || d.raw == nil && d.text == "" {
					t.Errorf("got %+v", d)
				}
			}
		}
	})
}

//go:build cgo

package onnx

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rerankd/rerankd/rerank/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestVersion(t *testing.T) {
	var major, minor, least int
	if _, err := fmt.Sscanf(wantedVersion, "1.%d", &least); err != nil {
		t.Fatal(err)
	}
	if n, _ := fmt.Sscanf(Version(), "%d.%d", &major, &minor); n < 2 || major != 1 || minor < least {
		t.Errorf("got version %q, want %s or later", Version(), wantedVersion)
	}
}

// TestTheEmbeddedModelRanks asks the model in the program what it is for.
func TestTheEmbeddedModelRanks(t *testing.T) {
	m := openEmbedded(t)
	for _, c := range []struct{ query, better, worse string }{
		{"tool to edit audio files", "Audacity is a multi-track audio editor for recording, slicing and mixing sound.", "A small and fast web server and reverse proxy."},
		{"resize photos from the command line", "Programs to create, convert and modify images in many formats.", "A music player daemon that is controlled over the network."},
		{"database that needs no server", "A C library that implements an SQL engine over a single file.", "An editor for chemical structures."},
		{"learn to touch type", "A typing tutor with lessons for several keyboard layouts.", "A tool that measures how fast a disk reads and writes."},
	} {
		better, worse := score(t, m, c.query, c.better), score(t, m, c.query, c.worse)
		if better <= worse+1 {
			t.Errorf("%q: got %.2f for %q and %.2f for %q, want the first clearly higher", c.query, better, c.better, worse, c.worse)
		}
	}
}

// TestScoresAreTheSameEachTime checks that a score is a function of the pair alone: the same bits again, also among other runs.
func TestScoresAreTheSameEachTime(t *testing.T) {
	models := []*Model{openEmbedded(t)}
	for _, name := range goldenModels {
		models = append(models, openGolden(t, name, Options{}))
	}
	for _, m := range models {
		query := tokenize(t, m, "tool to edit audio files")
		docs := make([][]uint32, 6)
		want := make([]float32, len(docs))
		for i := range docs {
			docs[i] = tokenize(t, m, strings.Repeat("a library for reading and writing audio files, ", i*i))
			var err error
			if want[i], err = m.Score(t.Context(), query, docs[i]); err != nil {
				t.Fatal(err)
			}
		}
		var running sync.WaitGroup
		for g := range 4 {
			running.Go(func() {
				for n := range 2 * len(docs) {
					i := (n*5 + g) % len(docs)
					got, err := m.Score(t.Context(), query, docs[i])
					if err != nil || math.Float32bits(got) != math.Float32bits(want[i]) {
						t.Errorf("document %d: got %v, %v, want %v", i, got, err, want[i])
					}
				}
			})
		}
		running.Wait()
	}
}

// TestDeadlineEndsARun gives a run that would take hours a few milliseconds.
func TestDeadlineEndsARun(t *testing.T) {
	m := openGraph(t, "endless")
	before := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := m.Score(ctx, []uint32{7}, []uint32{8})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want %v", err, context.DeadlineExceeded)
	}
	t.Logf("ended after %v", time.Since(before))

	// What was given up leaves the session in order.
	if _, err := m.Score(t.Context(), nil, nil); err != nil {
		t.Errorf("scoring after an aborted run: %v", err)
	}
}

func TestCancellationEndsOnlyItsOwnRun(t *testing.T) {
	m := openGraph(t, "endless")
	stay, leave := context.WithCancel(t.Context())
	gone, cancel := context.WithCancel(t.Context())
	cause := make(chan error, 2)
	for _, ctx := range []context.Context{stay, gone} {
		go func() {
			_, err := m.Score(ctx, []uint32{7}, []uint32{8})
			cause <- err
		}()
	}
	cancel()
	if err := <-cause; !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
	select {
	case err := <-cause:
		t.Errorf("the other run ended as well: %v", err)
	default:
	}
	leave()
	<-cause
}

func TestContextThatHasEnded(t *testing.T) {
	m := openGraph(t, "mean")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Score(ctx, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
}

func TestCloseWaitsForRuns(t *testing.T) {
	m := openGraph(t, "endless")
	ctx, cancel := context.WithCancel(t.Context())
	scored, closed := make(chan error), make(chan error)
	began := make(chan struct{})
	go func() {
		close(began)
		_, err := m.Score(ctx, []uint32{7}, []uint32{8})
		scored <- err
	}()
	<-began
	go func() { closed <- m.Close() }()
	cancel()
	if err := <-scored; !errors.Is(err, context.Canceled) && !errors.Is(err, ErrClosed) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
	if err := <-closed; err != nil {
		t.Errorf("closing: %v", err)
	}
	if _, err := m.Score(t.Context(), nil, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("scoring after Close: got error %v, want %v", err, ErrClosed)
	}
	if _, err := m.Tokenize("kalo"); !errors.Is(err, ErrClosed) {
		t.Errorf("tokenising after Close: got error %v, want %v", err, ErrClosed)
	}
	if err := m.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

func TestGraphsThatAreRight(t *testing.T) {
	for _, name := range []string{"mean", "vector", "other_name"} {
		m := openGraph(t, name)
		// The mean of [CLS] 10 [SEP] 20 [SEP], whatever the tokenizer's special ids are.
		p := m.template.assemble([]uint32{10}, []uint32{20}, m.maxLength)
		var want float32
		for _, id := range p.ids {
			want += float32(id) / float32(len(p.ids))
		}
		got, err := m.Score(t.Context(), []uint32{10}, []uint32{20})
		if err != nil || math.Abs(float64(got-want)) > 1e-4 {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, want)
		}
	}
}

func TestGraphsThatAreRefused(t *testing.T) {
	for _, c := range []struct{ graph, want string }{
		{"two_labels", "logits FLOAT[-1 2]"},
		{"token_logits", "logits FLOAT[-1 -1 1]"},
		{"no_logits", "embedding FLOAT[-1 1], norm"},
		{"position_ids", `asks for "position_ids"`},
		{"int32", "input_ids INT32[-1 -1]"},
		{"fixed_length", "input_ids INT64[1 128]"},
		{"no_ids", "does not ask for input_ids"},
		{"lying", "running it on an empty pair"},
		{"not_a_number", "the logit is NaN"},
	} {
		t.Run(c.graph, func(t *testing.T) {
			m, err := Open(graphFiles(t, c.graph), Options{})
			if err == nil {
				m.Close()
				t.Fatal("got no error")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %q, want one with %q", err, c.want)
			}
		})
	}
}

func TestLengthThatIsNotTheModels(t *testing.T) {
	for _, length := range []int{-1, 513} {
		if _, err := Open(goldenFiles(t, "bert"), Options{MaxLength: length}); err == nil || !strings.Contains(err.Error(), "1 to 512") {
			t.Errorf("%d tokens: got error %v, want one that says 1 to 512", length, err)
		}
	}
}

func goldenFiles(t testing.TB, name string) *model.Files {
	t.Helper()
	f, err := model.Directory(name, filepath.Join("testdata", name), "")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// graphFiles is one of testdata/graphs with the tokenizer of the golden BERT.
func graphFiles(t testing.TB, name string) *model.Files {
	t.Helper()
	f := goldenFiles(t, "bert")
	f.GraphPath, f.Digest = filepath.Join("testdata", "graphs", name+".onnx"), ""
	return f
}

func openGraph(t testing.TB, name string) *Model {
	t.Helper()
	return open(t, graphFiles(t, name), Options{})
}

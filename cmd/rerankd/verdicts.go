package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/proxy/admin"
	"github.com/rerankd/rerankd/proxy/experiment/sink"
	"github.com/rerankd/rerankd/proxy/experiment/verdict"
	"github.com/rerankd/rerankd/rerank/schedule"
)

// What a verdict on a page may cost. It is read from files in the midst of searches, which it must not be felt by.
const (
	// mostRead is how many bytes of records are taken into memory, where they need less than a byte for each; of more, one unit in so many is
	// read. That is some 60,000 searches.
	mostRead = 64 << 20
	// readingTimeout of one, below what the page gives an answer.
	readingTimeout = 2 * time.Minute
	// A report is good for keptFor, and for idleFor times as long as it took, so that reading takes a tenth of one processor's time at most.
	// Of files that have not changed it is good as long as they have not.
	keptFor = 5 * time.Second
	idleFor = 9
	// mostKept are the reports that are kept.
	mostKept = 16
	// fewestHalves and halves bound an A/A comparison, which takes time by units: of so many unit scores, a few seconds.
	fewestHalves = 20
	halvedUnits  = 2_000_000
)

// verdicts makes reports of the records in this program's directory, or in the cluster where they are there alone, for pages: one at a time, and
// each for a while.
type verdicts struct {
	configuration func() (*config.Config, http.RoundTripper) // and its cluster; nil: there is none yet
	lookup        func(string) (string, bool)
	most          int64 // bytes, mostRead

	turn chan struct{} // held by who reads; guards kept
	kept map[reading]made
}

// A reading is what a report is made of and how.
type reading struct {
	directory string // "": it is read from the cluster
	cluster   string // its URL, where records are kept there, too or alone
	noise     bool   // with an A/A comparison
	options   verdict.Options
}

// made is a report that is kept.
type made struct {
	*admin.Reported
	files []recordFile
	until time.Time
}

var _ admin.Reporter = (*verdicts)(nil)

func newVerdicts(p *program) *verdicts {
	return &verdicts{
		configuration: func() (*config.Config, http.RoundTripper) {
			if s := p.now.Load(); s != nil {
				return s.config, s.backend
			}
			return nil, nil
		},
		lookup: p.lookup, most: mostRead, turn: make(chan struct{}, 1), kept: map[reading]made{},
	}
}

// Report is part of [admin.Reporter].
func (v *verdicts) Report(ctx context.Context, name string, noise bool) (*admin.Reported, error) {
	c, cluster := v.configuration()
	if c == nil {
		return nil, errors.New("the models are still being loaded")
	}
	r := v.reading(c, name)
	r.noise = noise
	ctx, cancel := context.WithTimeoutCause(ctx, readingTimeout, fmt.Errorf("it took longer than %s, and the command has the time: %s", readingTimeout, command(r, nil)))
	defer cancel()
	select {
	case v.turn <- struct{}{}:
		defer func() { <-v.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	var reported *admin.Reported
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		schedule.StandBack() // behind the threads that forward
		reported, err = v.report(ctx, r, recordsIn(c, cluster))
	}()
	<-done // which is soon where ctx is over
	return reported, err
}

// reading is how an experiment is looked at: with the limits of the configuration, where it is in it.
func (v *verdicts) reading(c *config.Config, name string) reading {
	r := reading{options: verdict.Options{Experiment: name, Window: time.Duration(c.Events.Window)}}
	file, cluster := c.Kept()
	if cluster {
		r.cluster = strings.Join(c.Cluster.URLs, ",")
	}
	if file || !cluster { // where nothing is kept any more, what was is still there
		r.directory = eventsDirectory(c.Events, v.lookup)
	}
	if i := slices.IndexFunc(c.Experiments, func(e config.Experiment) bool { return e.Name == name }); i >= 0 {
		r.options.Guards, r.options.Horizon = guardsOf(c.Experiments[i].Guards), time.Duration(c.Experiments[i].Horizon)
	}
	return r
}

// report is one that is kept, or made now.
func (v *verdicts) report(ctx context.Context, r reading, cluster sink.ClusterSource) (*admin.Reported, error) {
	files, err := recordFiles(r.directory)
	if err != nil {
		return nil, err
	}
	if m, ok := v.kept[r]; ok && (time.Now().Before(m.until) || r.directory != "" && slices.Equal(m.files, files)) {
		return m.Reported, nil
	}
	began := time.Now()
	reported, err := v.read(ctx, r, files, cluster)
	if err != nil {
		return nil, err
	}
	if len(v.kept) >= mostKept {
		clear(v.kept)
	}
	now := time.Now()
	v.kept[r] = made{reported, files, now.Add(max(keptFor, idleFor*now.Sub(began)))}
	return reported, nil
}

func (v *verdicts) read(ctx context.Context, r reading, files []recordFile, cluster sink.ClusterSource) (*admin.Reported, error) {
	reported := &admin.Reported{Records: admin.Records{Directory: r.directory, Cluster: r.cluster != "", Files: len(files), Sample: 1, Read: time.Now(), Command: command(r, files)}}
	records := verdict.Records{}
	read := v.readFiles
	if r.directory == "" {
		read = func(ctx context.Context, _ []recordFile, records *verdict.Records, said *admin.Records) error {
			return v.readCluster(ctx, cluster, records, said)
		}
	}
	err := read(ctx, files, &records, &reported.Records)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	report, err := records.Report(r.options)
	if err == nil && r.noise {
		r.options.Halves = min(halves, max(fewestHalves, halvedUnits/max(report.Units.All, 1)))
		report, err = records.Report(r.options)
	}
	if which, ok := errors.AsType[*verdict.WhichError](err); ok {
		reported.Others = which.Names
		return reported, nil
	}
	if err != nil {
		return nil, err
	}
	reported.Report, reported.Others = report, report.Others
	return reported, nil
}

// readFiles reads those of a directory. What cannot be read of them is told.
func (v *verdicts) readFiles(ctx context.Context, files []recordFile, records *verdict.Records, said *admin.Records) error {
	copies := map[string]bool{}
	var text int64
	for _, f := range files {
		copies[f.writer()] = true
		said.Bytes += f.size
		text += f.text()
	}
	said.Copies = len(copies)
	v.sample(text, records, said)
	for _, f := range files {
		err := f.read(ctx, records)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // set aside or removed meanwhile, which the next look finds
			said.Unread = append(said.Unread, err.Error())
		}
	}
	return nil
}

// documentText is about how many bytes a document of the cluster would have in a file.
const documentText = 700

// readCluster reads what the cluster has.
func (v *verdicts) readCluster(ctx context.Context, s sink.ClusterSource, records *verdict.Records, said *admin.Records) error {
	n, err := s.Documents(ctx)
	if refused, ok := errors.AsType[*sink.RefusedError](err); ok && refused.Status == http.StatusNotFound {
		return nil // nothing has been written there yet
	}
	if err != nil {
		return fmt.Errorf("%w. rerankd asks with its own credentials; somebody who may read them can have the command do it: %s", err, said.Command)
	}
	said.Documents = n
	v.sample(int64(n)*documentText, records, said)
	if err := takeCluster(ctx, s, records); err != nil {
		return fmt.Errorf("%w. The command reads it too: %s", err, said.Command)
	}
	return nil
}

// sample has one unit in so many read of more text than may be taken.
func (v *verdicts) sample(text int64, records *verdict.Records, said *admin.Records) {
	if text > v.most {
		records.Sample = int((text + v.most - 1) / v.most)
		said.Sample = records.Sample
	}
}

// A recordFile is one with records.
type recordFile struct {
	path    string
	size    int64
	changed time.Time
}

// recordFiles are those of a directory, in order; none where there is no directory.
func recordFiles(directory string) ([]recordFile, error) {
	if directory == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(directory)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the records: %w", err)
	}
	var files []recordFile
	for _, e := range entries {
		if name := e.Name(); !strings.HasPrefix(name, "experiment-") || !strings.HasSuffix(strings.TrimSuffix(name, ".gz"), ".jsonl") {
			continue
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			files = append(files, recordFile{filepath.Join(directory, e.Name()), info.Size(), info.ModTime()})
		}
	}
	return files, nil
}

// setAside is what the name of a full file has more.
var setAside = regexp.MustCompile(`-\d{8}T\d{6}\.\d{3}Z(\.\d+)?$`)

// writer names the process that wrote the file.
func (f recordFile) writer() string {
	name, _, _ := strings.Cut(filepath.Base(f.path), ".jsonl")
	return setAside.ReplaceAllString(name, "")
}

// text is about how many bytes its records have.
func (f recordFile) text() int64 {
	if strings.HasSuffix(f.path, ".gz") {
		return 10 * f.size
	}
	return f.size
}

// read takes a file's records, as far as it went when it was listed.
func (f recordFile) read(ctx context.Context, records *verdict.Records) error {
	file, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer file.Close()
	return records.ReadFrom(f.path, untilDone{ctx, io.LimitReader(file, f.size)})
}

// untilDone reads until ctx is done.
type untilDone struct {
	ctx context.Context
	io.Reader
}

func (r untilDone) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// command is the one that reads the same files, all of them, and those of other copies.
func command(r reading, files []recordFile) string {
	words := []string{"rerankd experiment report --experiment " + quoted(r.options.Experiment)}
	unless := func(flag string, value, usual time.Duration) {
		if value > 0 && value != usual {
			words = append(words, flag+" "+value.String())
		}
	}
	usual := config.DefaultExperiment()
	unless("--window", r.options.Window, time.Duration(config.Default().Events.Window))
	unless("--horizon", r.options.Horizon, time.Duration(usual.Horizon))
	g, usually := r.options.Guards, guardsOf(usual.Guards)
	percent := func(share float64) string { return strconv.FormatFloat(100*share, 'g', 6, 64) }
	unless("--latency", g.Slower, usually.Slower)
	if g.Empty > 0 && g.Empty != usually.Empty {
		words = append(words, "--zero-results "+percent(g.Empty))
	}
	if g.Faults > 0 && g.Faults != usually.Faults {
		words = append(words, "--errors "+percent(g.Faults))
	}
	if r.directory == "" {
		return strings.Join(append(words, "--cluster "+quoted(r.cluster)+" --user NAME:PASSWORD"), " ")
	}
	pattern := "/experiment-*.jsonl"
	if slices.ContainsFunc(files, func(f recordFile) bool { return strings.HasSuffix(f.path, ".gz") }) {
		pattern += "*"
	}
	return strings.Join(append(words, quoted(r.directory)+pattern), " ") + " THE-OTHER-COPIES/experiment-*.jsonl"
}

var bare = regexp.MustCompile(`^[-\w./:@%+=,]+$`)

// quoted is a word as a shell reads it.
func quoted(word string) string {
	if bare.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

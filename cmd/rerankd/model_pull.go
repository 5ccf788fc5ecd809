package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/rerankd/rerankd/rerank/model"
	"github.com/rerankd/rerankd/rerank/model/hub"
)

func newModelPullCmd(e *environment) *cobra.Command {
	var o pullOptions
	cmd := &cobra.Command{
		Use:   "pull OWNER/NAME",
		Short: "Get a published model from the model hub",
		Long: `Gets the files of a published model that rerankd needs, at one commit, and checks each of them
against the digest that the hub gives for it. What was gotten before is not gotten again, also
after an interruption. A lock file beside the model (` + hub.LockName + `) says what was gotten;
"rerankd model verify" holds the files to it at any time, without the hub.

Without --to the model goes to where the configuration looks for published models:
$RERANKD_MODELS, else $XDG_DATA_HOME/rerankd/models (~/.local/share/rerankd/models).

The environment is Hugging Face's: HF_ENDPOINT names another hub or a mirror, HF_TOKEN (or the
token that "hf auth login" has left) opens gated models, HTTPS_PROXY and NO_PROXY are heeded.`,
		Example: `  rerankd model pull mixedbread-ai/mxbai-rerank-xsmall-v1
  rerankd model pull mixedbread-ai/mxbai-rerank-base-v1 --precision int8 --to ./base
  HF_ENDPOINT=https://hub.example.com rerankd model pull cross-encoder/ms-marco-MiniLM-L6-v2`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("%s takes the name of one model, and got %d", cmd.CommandPath(), len(args)), "rerankd model list shows some; any other is OWNER/NAME on the hub"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return pull(cmd.Context(), e, o, args[0]) },
	}
	cmd.Flags().StringVar(&o.precision, "precision", "", "fp32, fp16 or int8 (default: what this processor is fastest with, of what there is)")
	cmd.Flags().StringVar(&o.revision, "revision", "main", "branch, tag or commit")
	cmd.Flags().StringVar(&o.to, "to", "", "directory for the model's files (default: where published models lie)")
	return cmd
}

type pullOptions struct{ precision, revision, to string }

func pull(ctx context.Context, e *environment, o pullOptions, name string) error {
	precisions, _ := model.Preferred()
	switch o.precision {
	case "":
	case model.FP32, model.FP16, model.INT8:
		precisions = []string{o.precision}
	default:
		return usageError{fmt.Errorf("there is no precision %q", o.precision), "it is fp32, fp16 or int8"}
	}
	c, err := hub.FromEnvironment(e.lookup)
	if err != nil {
		return err
	}
	c.Agent = "rerankd/" + versions()["rerankd"]
	p := newPullProgress(ctx, e.stderr, cmp.Or(c.Endpoint, hub.DefaultEndpoint))
	c.Warn = p.warn
	dir := cmp.Or(o.to, filepath.Join(model.DefaultDirectory(e.lookup), filepath.FromSlash(name)))
	l, err := c.Pull(ctx, hub.Request{
		Repository: name, Revision: o.revision, Precisions: precisions, Directory: dir, Begun: p.begin, Held: p.hold, Progress: p.add,
	})
	p.end()
	if err != nil {
		if ctx.Err() != nil {
			return hintedError{errors.New("interrupted"), "the same command goes on where it stopped"}
		}
		return err
	}
	// What loads it must find it as it is: this also tells the precision of the weights, whatever the file is called.
	f, err := model.Directory(name, dir, o.precision)
	if err != nil {
		return err
	}
	t := newTable()
	t.row("model", fmt.Sprintf("%s at %.12s (%s)", name, l.Commit, o.revision))
	t.row("files", fmt.Sprintf("%d, %s, each as the hub's digest says", len(l.Files), hub.Size(p.plan.Bytes)))
	t.row("directory", dir)
	t.row("precision", f.Precision)
	if err := t.print(e.stdout); err != nil {
		return err
	}
	source := name
	if o.to != "" {
		if source = o.to; !model.IsPath(source) {
			source = "./" + source
		}
	}
	_, err = fmt.Fprintf(e.stdout, "\nTo use it:\n\n    models:\n      %s: { source: %s, precision: %s }\n", shortName(name), source, f.Precision)
	return err
}

// shortName is what a model may be called in a configuration.
func shortName(repository string) string {
	_, name, ok := strings.Cut(repository, "/")
	if !ok {
		name = repository
	}
	return name
}

// pullProgress shows on a terminal how far a pull has come, and elsewhere a line for each file, and for each tenth of a large one.
type pullProgress struct {
	out      io.Writer
	endpoint string
	plan     hub.Plan
	came     map[string]int64       // by path
	bars     *mpb.Progress          // nil where out is no terminal
	bar      *mpb.Bar               // nil before begin
	file     atomic.Pointer[string] // that is being gotten; the bar reads it whenever it draws
	last     time.Time              // when something came, or a file began
}

func newPullProgress(ctx context.Context, out io.Writer, endpoint string) *pullProgress {
	p := &pullProgress{out: out, endpoint: endpoint, came: map[string]int64{}}
	p.file.Store(new(string))
	if isTerminal(out) {
		p.bars = mpb.NewWithContext(ctx, mpb.WithOutput(out), mpb.WithWidth(32))
	}
	return p
}

func (p *pullProgress) begin(plan hub.Plan) {
	p.plan = plan
	switch {
	case p.bars == nil:
		fmt.Fprintf(p.out, "%d files, %s, %s, from %s\n", len(plan.Files), hub.Size(plan.Bytes), plan.Precision, p.endpoint)
	case p.bar != nil:
		p.bar.SetTotal(plan.Bytes, false)
	default:
		p.bar = p.bars.New(plan.Bytes,
			mpb.BarStyle().Lbound(" ").Filler("━").Tip("━").Padding("─").Rbound(" "),
			mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return "  " + *p.file.Load() }, decor.WCSyncSpaceR)),
			mpb.AppendDecorators(decor.Counters(decor.SizeB1000(0), "% .1f / % .1f"), decor.EwmaSpeed(decor.SizeB1000(0), "% .1f", speedOver, decor.WC{W: 12}), decor.EwmaETA(decor.ET_STYLE_GO, speedOver, decor.WC{W: 8})))
	}
}

const (
	largeFile = 100e6 // takes a while on most lines
	speedOver = 100   // reads, over which the speed is averaged
)

// hold is of bytes that were there already: they make the bar longer, and nothing faster.
func (p *pullProgress) hold(f hub.File, bytes int64) {
	p.file.Store(new(path.Base(f.Path)))
	p.last = time.Now()
	p.came[f.Path] += bytes
	if p.bar != nil {
		p.bar.IncrInt64(bytes)
	} else if p.came[f.Path] == f.Size {
		fmt.Fprintf(p.out, "  %s  %s, was here\n", f.Path, hub.Size(f.Size))
	}
}

func (p *pullProgress) add(f hub.File, bytes int64) {
	before := p.came[f.Path]
	came := before + bytes
	p.came[f.Path] = came
	switch {
	case p.bar != nil && bytes < 0:
		p.bar.IncrInt64(bytes)
	case p.bar != nil:
		p.bar.EwmaIncrInt64(bytes, time.Since(p.last))
		p.last = time.Now()
	case bytes > 0 && came == f.Size:
		fmt.Fprintf(p.out, "  %s  %s\n", f.Path, hub.Size(f.Size))
	case bytes > 0 && f.Size >= largeFile && came*10/f.Size > before*10/f.Size:
		fmt.Fprintf(p.out, "  %s  %d %%\n", f.Path, came*10/f.Size*10)
	}
}

func (p *pullProgress) warn(format string, args ...any) {
	out := p.out
	if p.bars != nil {
		out = p.bars // above the bar
	}
	fmt.Fprintf(out, "rerankd: "+format+"\n", args...)
}

// end takes the bar away.
func (p *pullProgress) end() {
	if p.bars == nil {
		return
	}
	if p.bar != nil {
		p.bar.Abort(true)
	}
	p.bars.Wait()
}

func newModelVerifyCmd(e *environment) *cobra.Command {
	var directory string
	cmd := &cobra.Command{
		Use:   "verify [SOURCE]",
		Short: "Hold a pulled model to the digests of its lock file",
		Long: `Reads every file of a model that was pulled and compares it with the digest that the hub gave for
it. Without SOURCE all models are verified where published models lie, and the one inside the
program. The hub is not needed.`,
		Example: `  rerankd model verify
  rerankd model verify mixedbread-ai/mxbai-rerank-xsmall-v1
  rerankd model verify ./base`,
		Args: atMostOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			return verify(e, cmp.Or(directory, model.DefaultDirectory(e.lookup)), args)
		},
	}
	cmd.Flags().StringVar(&directory, "directory", "", "where published models lie")
	return cmd
}

func verify(e *environment, directory string, args []string) error {
	var dirs []string
	switch {
	case len(args) == 0 || args[0] == "embedded":
		f, err := model.Embedded() // which compares it with its digest
		if err != nil {
			return err
		}
		fmt.Fprintf(e.stdout, "embedded: sha256:%s\n  ok       the graph inside the program\n", f.Digest)
		if len(args) == 0 {
			dirs = pulled(directory)
		}
	case model.IsPath(args[0]):
		dirs = []string{args[0]}
	default:
		dirs = []string{filepath.Join(directory, filepath.FromSlash(args[0]))}
	}
	var failed error
	for _, dir := range dirs {
		if err := verifyDirectory(e, dir); err != nil {
			if failed != nil {
				e.report(failed)
			}
			failed = err
		}
	}
	return failed
}

// verifyDirectory prints what became of each file of a model that was pulled. An error says that not all is well.
func verifyDirectory(e *environment, dir string) error {
	l, err := hub.ReadLock(dir)
	if errors.Is(err, os.ErrNotExist) {
		return usageError{fmt.Errorf("%s has no %s: it was not pulled, so nothing says how its files should be", dir, hub.LockName), "rerankd model pull OWNER/NAME --to " + dir}
	}
	if err != nil {
		return err
	}
	checks, extra, err := l.Verify(dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "%s at %.12s, pulled %s: %s\n", l.Repository, l.Commit, l.Pulled.Format("2006-01-02"), dir)
	failed := false
	for _, c := range checks {
		fmt.Fprintf(e.stdout, "  %-8s %s", c.State, c.Path)
		if c.State == hub.Changed {
			fmt.Fprintf(e.stdout, " (is %s)", c.Found)
		}
		fmt.Fprintln(e.stdout)
		failed = failed || c.State != hub.OK
	}
	for _, name := range extra {
		fmt.Fprintf(e.stdout, "  %-8s %s\n", "extra", name)
	}
	if !failed {
		return nil
	}
	return hintedError{fmt.Errorf("%s is not as it was pulled", l.Repository), fmt.Sprintf("`%s` gets again what is missing or changed", mendCommand(l, dir))}
}

// mendCommand is the pull after which a directory is as its lock file says: of the same commit, and with no graph that it did not have.
func mendCommand(l *hub.Lock, dir string) string {
	command := fmt.Sprintf("rerankd model pull %s --revision %s --to %s", l.Repository, l.Commit, dir)
	for _, precision := range []string{model.INT8, model.FP32, model.FP16} {
		if slices.ContainsFunc(l.Files, func(f hub.File) bool { return slices.Contains(model.GraphPaths(precision), f.Path) }) {
			return command + " --precision " + precision
		}
	}
	return command
}

// pulled are the directories below one that hold a pulled model.
func pulled(directory string) (dirs []string) {
	for _, pattern := range []string{"*", "*/*"} {
		locks, _ := filepath.Glob(filepath.Join(directory, filepath.FromSlash(pattern), hub.LockName)) // the pattern is well formed
		for _, l := range locks {
			dirs = append(dirs, filepath.Dir(l))
		}
	}
	return dirs
}

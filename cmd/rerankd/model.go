package main

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rerankd/rerankd/rerank/model"
	"github.com/rerankd/rerankd/rerank/model/hub"
)

func newModelCmd(e *environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "model",
		Short: "Get, list, verify, describe and measure models",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newModelListCmd(e), newModelInfoCmd(e), newModelPullCmd(e), newModelVerifyCmd(e), newModelBenchCmd(e), newModelPrepareCmd(e))
	return cmd
}

func newModelListCmd(e *environment) *cobra.Command {
	var directory string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the models that are known to work, and those that are here",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			t := newTable("SOURCE", "PARAMETERS", "PRECISIONS", "LENGTH", "LANGUAGES", "LICENSE").numbers(1, 3)
			for _, m := range model.Known() {
				t.row(m.Name, m.Parameters, strings.Join(m.Precisions, " "), strconv.Itoa(m.MaxLength), m.Languages, m.License)
			}
			if err := t.print(e.stdout); err != nil {
				return err
			}
			fmt.Fprint(e.stdout, `
Any other cross-encoder with one logit loads too, of the BERT, DeBERTa-v2, XLM-RoBERTa and
ModernBERT kinds: "rerankd model pull OWNER/NAME", or give its directory as source.
`)
			return listPulled(e, cmp.Or(directory, model.DefaultDirectory(e.lookup)))
		},
	}
	cmd.Flags().StringVar(&directory, "directory", "", "where published models lie")
	return cmd
}

// listPulled shows what was pulled into a directory.
func listPulled(e *environment, directory string) error {
	dirs := pulled(directory)
	if len(dirs) == 0 {
		_, err := fmt.Fprintf(e.stdout, "\nNone was pulled to %s.\n", directory)
		return err
	}
	fmt.Fprintf(e.stdout, "\nIn %s:\n\n", directory)
	t := newTable("SOURCE", "COMMIT", "PULLED", "GRAPHS", "SIZE").numbers(4)
	var unreadable error
	for _, dir := range dirs {
		l, err := hub.ReadLock(dir)
		if err != nil {
			if unreadable != nil {
				e.report(unreadable)
			}
			unreadable = err
			continue
		}
		var graphs []string
		size := int64(0)
		for _, f := range l.Files {
			size += f.Size
			if strings.HasSuffix(f.Path, ".onnx") {
				graphs = append(graphs, f.Path)
			}
		}
		t.row(l.Repository, l.Commit[:12], l.Pulled.Format("2006-01-02"), strings.Join(graphs, " "), hub.Size(size))
	}
	return cmp.Or(t.print(e.stdout), unreadable)
}

func newModelInfoCmd(e *environment) *cobra.Command {
	var precision, directory string
	cmd := &cobra.Command{
		Use:   "info [SOURCE]",
		Short: "Describe a model: the one inside the program, or a directory",
		Example: `  rerankd model info
  rerankd model info ./mxbai-rerank-xsmall-v1 --precision int8
  rerankd model info mixedbread-ai/mxbai-rerank-xsmall-v1 --directory /var/lib/rerankd/models`,
		Args: atMostOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			source := "embedded"
			if len(args) > 0 {
				source = args[0]
			}
			f, err := model.Open(source, source, precision, directory)
			if err != nil {
				return err
			}
			t := newTable()
			t.row("source", f.Source)
			if l, err := hub.ReadLock(f.Source); err == nil {
				t.row("commit", fmt.Sprintf("%s of %s, pulled %s", l.Commit, l.Repository, l.Pulled.Format("2006-01-02")))
			}
			precision := f.Precision
			for _, note := range []string{f.Choice, f.Warning} {
				if note != "" {
					precision += ": " + note
				}
			}
			t.row("precision", precision)
			if a := f.Architecture(); a != "" {
				t.row("architecture", a)
			}
			t.row("languages", cmp.Or(f.Languages, "not said in its files"))
			t.row("length", fmt.Sprintf("%d tokens of a query and a document together", f.MaxLength))
			t.row("license", cmp.Or(f.License, "not said in its files"))
			t.row("digest", "sha256:"+f.Digest)
			if err := t.print(e.stdout); err != nil {
				return err
			}
			if source == "embedded" {
				_, err = fmt.Fprintf(e.stdout, "\n%s", model.Card())
			}
			return err
		},
	}
	cmd.Flags().StringVar(&precision, "precision", "", "fp32, fp16 or int8, where the source has several")
	cmd.Flags().StringVar(&directory, "directory", "", "where published models lie")
	return cmd
}

func atMostOne(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usageError{fmt.Errorf("%s takes one argument, and got %d", cmd.CommandPath(), len(args)), "see " + cmd.CommandPath() + " --help"}
	}
	return nil
}

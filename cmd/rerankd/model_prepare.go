package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rerankd/rerankd/rerank/model"
	"github.com/rerankd/rerankd/rerank/model/hub"
	"github.com/rerankd/rerankd/rerank/onnx"
)

func newModelPrepareCmd(e *environment) *cobra.Command {
	var precision, directory string
	cmd := &cobra.Command{
		Use:   "prepare [SOURCE]",
		Short: "Save a model in the form in which it is run, so that it loads faster",
		Long: `Saves the graph of a model as ONNX Runtime makes it before the first run: constants computed,
operators joined. "rerankd serve" then loads that. It is kept in $XDG_CACHE_HOME/rerankd/prepared
(~/.cache/rerankd/prepared) under a digest of the graph, the version of ONNX Runtime and the
instructions of this processor, and is remade where it is damaged; removing it does no harm.

Both forms are run, and have to give the same scores to the bit. What a run of five tokens does is
measured with ONNX Runtime's own profiler: that much each document costs before its text does.`,
		Example: `  rerankd model prepare
  rerankd model prepare ./mxbai-rerank-xsmall-v1 --precision int8`,
		Args: atMostOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			source := "embedded"
			if len(args) > 0 {
				source = args[0]
			}
			return prepare(cmd.Context(), e, source, precision, directory)
		},
	}
	cmd.Flags().StringVar(&precision, "precision", "", "fp32, fp16 or int8, where the source has several")
	cmd.Flags().StringVar(&directory, "directory", "", "where published models lie")
	return cmd
}

func prepare(ctx context.Context, e *environment, source, precision, directory string) error {
	cache := onnx.PreparedDirectory()
	if cache == "" {
		return hintedError{fmt.Errorf("there is no place for a prepared graph"), "set XDG_CACHE_HOME or HOME"}
	}
	f, err := model.Open(source, source, precision, directory)
	if err != nil {
		return err
	}
	p, err := onnx.Prepare(ctx, f, onnx.Options{Prepared: cache})
	if err != nil {
		return err
	}
	t := newTable()
	t.row("saved", p.Path)
	t.row("size", hub.Size(p.Size))
	t.row("loads in", fmt.Sprintf("%v, before %v", p.Prepared.Round(time.Millisecond), p.Plain.Round(time.Millisecond)))
	t.row("run of five tokens", fmt.Sprintf("%.2f ms", p.Fixed.Seconds()*1000))
	t.row("on constants alone", constants(p.Constant))
	if err := t.print(e.stdout); err != nil {
		return err
	}
	fmt.Fprintln(e.stdout)
	t = newTable("OPERATOR", "IN A RUN", "TIME IN A RUN OF FIVE TOKENS").numbers(1, 2)
	for _, o := range p.Operators {
		t.row(o.Name, strconv.Itoa(o.Count), fmt.Sprintf("%d µs", o.Time.Microseconds()))
	}
	return t.print(e.stdout)
}

// constants tells what each run computes anew though it could have been saved.
func constants(nodes []string) string {
	if len(nodes) == 0 {
		return "nothing: all that could be computed beforehand is in the graph"
	}
	return fmt.Sprintf("%d operators in each run: %s", len(nodes), strings.Join(nodes, ", "))
}

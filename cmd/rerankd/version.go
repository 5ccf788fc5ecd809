package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/rerankd/rerankd/rerank/model"
	"github.com/rerankd/rerankd/rerank/onnx"
)

func newVersionCmd(e *environment) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of everything inside",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			v := versions()
			v["model"] = "none"
			if f, err := model.Embedded(); err == nil {
				v["model"] = fmt.Sprintf("%s %s sha256:%s", f.Name, f.Precision, f.Digest)
			}
			if asJSON {
				return printJSON(e.stdout, v)
			}
			t := newTable()
			for _, name := range []string{"rerankd", "go", "onnxruntime", "tokenizers", "model"} {
				t.row(name, v[name])
			}
			return t.print(e.stdout)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// versions names what this program is made of.
func versions() map[string]string {
	v := map[string]string{
		"rerankd":     "(devel)",
		"go":          fmt.Sprintf("%s %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH),
		"onnxruntime": onnx.Version(),
		"tokenizers":  "none",
	}
	if v["onnxruntime"] == "" {
		v["onnxruntime"] = "none"
	}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if build.Main.Version != "" {
		v["rerankd"] = build.Main.Version
	}
	for _, s := range build.Settings {
		if s.Key == "vcs.revision" && v["rerankd"] == "(devel)" {
			v["rerankd"] = "(devel) " + s.Value
		}
	}
	for _, dep := range build.Deps {
		if dep.Path == "github.com/daulet/tokenizers" {
			v["tokenizers"] = dep.Version
		}
	}
	return v
}

package dockerfile

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	got, err := Parse(`# A comment.
FROM golang:1 AS build
RUN --mount=type=cache,target=/root/.cache apt-get update \
    # A comment within.
    && apt-get install make

copy --from=other --chown=1:1 a b /there/
FROM debian:12
USER 7:7
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []Stage{
		{Name: "build", Image: "golang:1", Instructions: []Instruction{
			{Line: 3, Name: "RUN", Flags: []string{"--mount=type=cache,target=/root/.cache"}, Args: "apt-get update  && apt-get install make"},
			{Line: 7, Name: "COPY", Flags: []string{"--from=other", "--chown=1:1"}, Args: "a b /there/"},
		}},
		{Image: "debian:12", Instructions: []Instruction{{Line: 9, Name: "USER", Args: "7:7"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stages (-want +got):\n%s", diff)
	}
	if got, want := got[0].Instructions[1].Flag("from"), "other"; got != want {
		t.Errorf("--from: got %q, want %q", got, want)
	}
}

func TestParseRefusesWhatItDoesNotRead(t *testing.T) {
	for name, text := range map[string]string{
		"here-document":      "FROM a\nRUN <<EOF\n",
		"directive":          "# syntax=docker/dockerfile:1\nFROM a\n",
		"before FROM":        "ARG X=1\nFROM a\n",
		"unfinished":         "FROM a\nRUN b \\\n",
		"FROM with rubbish":  "FROM a b\n",
		"FROM without image": "FROM\n",
	} {
		t.Run(name, func(t *testing.T) {
			if stages, err := Parse(text); err == nil {
				t.Errorf("got %+v, want an error", stages)
			}
		})
	}
}

func TestExec(t *testing.T) {
	stages, err := Parse("FROM a\nCMD [\"x\"]\nCMD [\"serve\", \"-c\", \"/f\"]\nHEALTHCHECK --interval=5s CMD [\"probe\"]\nENTRYPOINT run me\n")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{"CMD": {"serve", "-c", "/f"}, "HEALTHCHECK": {"probe"}} {
		i, ok := stages[0].Last(name)
		if !ok {
			t.Fatalf("no %s", name)
		}
		got, err := i.Exec()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	entrypoint, _ := stages[0].Last("ENTRYPOINT")
	if words, err := entrypoint.Exec(); err == nil {
		t.Errorf("shell form: got %q, want an error", words)
	}
}

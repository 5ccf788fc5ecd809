// Package dockerfile reads a Dockerfile: enough of the language for this project's own, so that one and the same file can be rehearsed
// without a container engine (deploy/rehearse) and held to its promises by a test (e2e/compose).
//
// Here-documents and the escape and syntax directives are not read; they are refused rather than misunderstood.
package dockerfile

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// A Stage is what stands between one FROM and the next.
type Stage struct {
	Name         string // after AS; "" if it has none
	Image        string // an image with its tag, or the name of an earlier stage
	Instructions []Instruction
}

// An Instruction is one logical line: continuation lines joined, comments dropped.
type Instruction struct {
	Line  int // of the file, from 1
	Name  string
	Flags []string // "--from=build", in order, without the arguments proper
	Args  string
}

// Read parses the file at path.
func Read(path string) ([]Stage, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the Dockerfile: %w", err)
	}
	return Parse(string(data))
}

// Parse splits a Dockerfile into stages. Nothing may stand before the first FROM.
func Parse(text string) ([]Stage, error) {
	var stages []Stage
	var logical string
	start := 0
	for n, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(trimmed, "#"):
			if d := strings.ToLower(strings.ReplaceAll(trimmed, " ", "")); n == 0 && (strings.HasPrefix(d, "#syntax=") || strings.HasPrefix(d, "#escape=")) {
				return nil, fmt.Errorf("line 1: directive %q is not supported", trimmed)
			}
			continue // Also between the lines of one instruction, as the engine does.
		case trimmed == "":
			continue
		}
		if logical == "" {
			start = n + 1
		}
		if rest, more := strings.CutSuffix(trimmed, `\`); more {
			logical += rest + " "
			continue
		}
		i, err := parse(logical + trimmed)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", start, err)
		}
		i.Line, logical = start, ""

		if i.Name == "FROM" {
			stage, err := from(i)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", start, err)
			}
			stages = append(stages, stage)
			continue
		}
		if len(stages) == 0 {
			return nil, fmt.Errorf("line %d: %s before the first FROM is not supported", start, i.Name)
		}
		last := &stages[len(stages)-1]
		last.Instructions = append(last.Instructions, i)
	}
	if logical != "" {
		return nil, fmt.Errorf("line %d: the file ends within an instruction", start)
	}
	return stages, nil
}

func parse(logical string) (Instruction, error) {
	name, args, _ := strings.Cut(logical, " ")
	i := Instruction{Name: strings.ToUpper(name), Args: strings.TrimSpace(args)}
	for strings.HasPrefix(i.Args, "--") {
		flag, rest, _ := strings.Cut(i.Args, " ")
		i.Flags = append(i.Flags, flag)
		i.Args = strings.TrimSpace(rest)
	}
	if strings.Contains(i.Args, "<<") {
		return i, fmt.Errorf("%s with a here-document is not supported", i.Name)
	}
	return i, nil
}

func from(i Instruction) (Stage, error) {
	switch words := strings.Fields(i.Args); {
	case len(words) == 1:
		return Stage{Image: words[0]}, nil
	case len(words) == 3 && strings.EqualFold(words[1], "AS"):
		return Stage{Image: words[0], Name: words[2]}, nil
	default:
		return Stage{}, fmt.Errorf("FROM %s: want IMAGE [AS NAME]", i.Args)
	}
}

// Last is the instruction of that name that has effect, the last one; ok is false if there is none.
func (s Stage) Last(name string) (i Instruction, ok bool) {
	for _, candidate := range s.Instructions {
		if candidate.Name == name {
			i, ok = candidate, true
		}
	}
	return i, ok
}

// Exec reads arguments in their exec form, a JSON array; the shell form is an error, because a shell would stand between the program
// and the signals that stop it. A HEALTHCHECK's leading CMD is skipped.
func (i Instruction) Exec() ([]string, error) {
	args := i.Args
	if i.Name == "HEALTHCHECK" {
		args = strings.TrimSpace(strings.TrimPrefix(args, "CMD"))
	}
	var words []string
	if err := json.Unmarshal([]byte(args), &words); err != nil || len(words) == 0 {
		return nil, fmt.Errorf("line %d: %s %s: want the exec form, [\"word\", …]", i.Line, i.Name, args)
	}
	return words, nil
}

// Flag is the value of --name=value; "" if it is not given.
func (i Instruction) Flag(name string) string {
	for _, f := range i.Flags {
		if value, ok := strings.CutPrefix(f, "--"+name+"="); ok {
			return value
		}
	}
	return ""
}

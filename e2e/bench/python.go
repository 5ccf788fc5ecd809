package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// A python is a script that is started once and asked again and again: a line of JSON each way.
type python struct {
	cmd      *exec.Cmd
	in       io.WriteCloser
	out      *json.Decoder
	said     bytes.Buffer // on its standard error
	versions string       // of Python and what the script uses: its first line
}

// startPython runs a script. Where there is no such interpreter the error is [io/fs.ErrNotExist].
func startPython(ctx context.Context, interpreter, script string, args ...string) (*python, error) {
	if _, err := os.Stat(interpreter); err != nil {
		return nil, err
	}
	p := &python{cmd: exec.CommandContext(ctx, interpreter, append([]string{script}, args...)...)}
	p.cmd.Stderr = &p.said
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.in, p.out = in, json.NewDecoder(out)
	if err := p.out.Decode(&p.versions); err != nil {
		_ = p.close()
		return nil, fmt.Errorf("starting %s: %w\n%s", script, err, p.said.String())
	}
	return p, nil
}

// ask sends a request and waits for the answer.
func (p *python) ask(request, answer any) error {
	if err := json.NewEncoder(p.in).Encode(request); err != nil {
		return err
	}
	if err := p.out.Decode(answer); err != nil {
		_ = p.close()
		return fmt.Errorf("asking Python: %w\n%s", err, p.said.String())
	}
	return nil
}

func (p *python) close() error {
	p.in.Close()
	return p.cmd.Wait()
}

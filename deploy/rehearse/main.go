// Rehearse carries out the project's Dockerfile without a container engine: every RUN step in order, as root in a fresh Debian root
// folder, every COPY and ENV between them, and at the end the image's own command as the image's own user, judged by its HEALTHCHECK.
//
//	sudo go run ./deploy/rehearse
//
// The file itself is what is rehearsed, so it cannot drift from what was tried. What is not rehearsed: the base images, for which stand-ins
// are made with debootstrap and the toolchains of this machine (base.go); the builder's cache; networks and volumes.
//
// It needs Linux, root, debootstrap and rsync (apt-get install debootstrap rsync), and about 3 GB under .cache/rehearse.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/rerankd/rerankd/deploy/dockerfile"
)

func main() {
	file := flag.String("file", "Dockerfile", "the `Dockerfile` to rehearse; the working directory is its context")
	work := flag.String("work", ".cache/rehearse", "the `folder` for the roots")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *file, *work); err != nil {
		fmt.Fprintf(os.Stderr, "rehearse: error: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, file, work string) error {
	if os.Getuid() != 0 {
		return errors.New("chroot needs root")
	}
	for _, tool := range []string{"debootstrap", "rsync", "unshare", "chroot"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is missing; on Debian: apt-get install debootstrap rsync util-linux coreutils", tool)
		}
	}
	stages, err := dockerfile.Read(file)
	if err != nil {
		return err
	}
	work, err = filepath.Abs(work)
	if err != nil {
		return err
	}
	r := rehearsal{work: work, built: map[string]*root{}}
	var last *root
	for n, stage := range stages {
		if last, err = r.stage(ctx, n, stage); err != nil {
			return fmt.Errorf("stage %s: %w", last.name, err)
		}
	}
	return last.start(ctx)
}

// A rehearsal is one walk through the file.
type rehearsal struct {
	work  string
	built map[string]*root // by stage name
}

// stage carries out one stage. The root it returns has a name even when there is an error.
func (r *rehearsal) stage(ctx context.Context, n int, s dockerfile.Stage) (*root, error) {
	name := s.Name
	if name == "" {
		name = fmt.Sprint(n)
	}
	fmt.Printf("== FROM %s AS %s\n", s.Image, name)
	to := &root{name: name, dir: filepath.Join(r.work, "stage-"+name), env: map[string]string{}, workdir: "/", user: "0:0"}
	from, ok := r.built[s.Image]
	if !ok {
		var err error
		if from, err = base(ctx, filepath.Join(r.work, "base"), s.Image); err != nil {
			return to, fmt.Errorf("making a stand-in for %s: %w", s.Image, err)
		}
	}
	if err := to.copyOf(ctx, from); err != nil {
		return to, err
	}
	r.built[name] = to
	for _, i := range s.Instructions {
		began := time.Now()
		fmt.Printf("-- line %d: %s %s %s\n", i.Line, i.Name, strings.Join(i.Flags, " "), i.Args)
		if err := r.carryOut(ctx, to, i); err != nil {
			return to, fmt.Errorf("line %d: %s: %w", i.Line, i.Name, err)
		}
		if i.Name == "RUN" {
			fmt.Printf("   %.1fs\n", time.Since(began).Seconds())
		}
	}
	return to, nil
}

func (r *rehearsal) carryOut(ctx context.Context, to *root, i dockerfile.Instruction) error {
	switch i.Name {
	case "RUN":
		return to.shell(ctx, r.work, i)
	case "COPY":
		from := "."
		if name := i.Flag("from"); name != "" {
			stage, ok := r.built[name]
			if !ok {
				return fmt.Errorf("no stage %q before this one", name)
			}
			from = stage.dir
		}
		return to.copyIn(ctx, from, i)
	case "ENV":
		for _, assignment := range strings.Fields(i.Args) {
			key, value, ok := strings.Cut(assignment, "=")
			if !ok {
				return fmt.Errorf("%s: want KEY=VALUE", i.Args)
			}
			to.env[key] = to.expand(value)
		}
	case "WORKDIR":
		to.workdir = to.expand(i.Args)
		return os.MkdirAll(filepath.Join(to.dir, to.workdir), 0o755)
	case "USER":
		to.user = i.Args
	case "ENTRYPOINT":
		words, err := i.Exec()
		to.entrypoint, to.command = words, nil
		return err
	case "CMD":
		words, err := i.Exec()
		to.command = words
		return err
	case "HEALTHCHECK":
		words, err := i.Exec()
		to.health = words
		return err
	case "EXPOSE":
		to.ports = append(to.ports, strings.Fields(i.Args)...)
	case "LABEL", "STOPSIGNAL", "VOLUME":
		// Said to the engine alone.
	default:
		return errors.New("not supported")
	}
	return nil
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rerankd/rerankd/deploy/dockerfile"
)

// A root is a file system in a folder, with what a Dockerfile says of a container made from it.
type root struct {
	name, dir                   string
	env                         map[string]string
	workdir, user               string
	entrypoint, command, health []string
	ports                       []string
}

// copyOf makes the root a fresh copy of another.
func (r *root) copyOf(ctx context.Context, from *root) error {
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return err
	}
	r.env, r.workdir = maps.Clone(from.env), from.workdir
	return run1(ctx, "rsync", "-aHX", "--delete", from.dir+"/", r.dir+"/")
}

func (r *root) expand(s string) string {
	return os.Expand(s, func(key string) string { return r.env[key] })
}

// copyIn is COPY: from the context, which is what git would carry less what .dockerignore names, or from another root.
func (r *root) copyIn(ctx context.Context, from string, i dockerfile.Instruction) error {
	words := strings.Fields(r.expand(i.Args))
	if len(words) < 2 {
		return fmt.Errorf("%s: want SOURCE… TARGET", i.Args)
	}
	sources, target := words[:len(words)-1], words[len(words)-1]
	if !filepath.IsAbs(target) {
		target = filepath.Join(r.workdir, target) + map[bool]string{true: "/"}[strings.HasSuffix(target, "/") || target == "." || target == "./"]
	}
	args := []string{"-a", "--mkpath", "--no-owner", "--no-group"}
	if owner := i.Flag("chown"); owner != "" {
		args = append(args, "--chown="+owner)
	}
	if mode := i.Flag("chmod"); mode != "" {
		args = append(args, "--chmod="+mode)
	}
	if from == "." {
		args = append(args, "--filter=:- .gitignore", "--exclude=/.git")
		ignored, err := ignored()
		if err != nil {
			return err
		}
		for _, name := range ignored {
			args = append(args, "--exclude=/"+name)
		}
	}
	for _, source := range sources {
		path := filepath.Join(from, source)
		if info, err := os.Stat(path); err != nil {
			return err
		} else if info.IsDir() { // COPY copies what is in a folder, not the folder.
			path += "/"
			target = strings.TrimSuffix(target, "/") + "/"
		}
		if err := run1(ctx, "rsync", append(slices.Clone(args), path, r.dir+target)...); err != nil {
			return err
		}
	}
	return nil
}

// ignored reads .dockerignore, in which only plain names at the top are supported.
func ignored() ([]string, error) {
	data, err := os.ReadFile(".dockerignore")
	if err != nil {
		return nil, err
	}
	var names []string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.ContainsAny(line, "*?!") {
			return nil, fmt.Errorf(".dockerignore: %q: only plain names are supported", line)
		}
		names = append(names, strings.Trim(line, "/"))
	}
	return names, nil
}

// shell is RUN in its shell form, as root. A cache mount is a folder under work that is kept for the next rehearsal.
func (r *root) shell(ctx context.Context, work string, i dockerfile.Instruction) error {
	var binds []string
	for _, flag := range i.Flags {
		var target string
		for _, option := range strings.Split(strings.TrimPrefix(flag, "--mount="), ",") {
			switch key, value, _ := strings.Cut(option, "="); {
			case key == "target":
				target = value
			case option == "type=cache" || key == "sharing":
			default:
				return fmt.Errorf("%s is not supported", flag)
			}
		}
		cache := filepath.Join(work, "cache", strings.ReplaceAll(strings.Trim(target, "/"), "/", "-"))
		if err := errors.Join(os.MkdirAll(cache, 0o755), os.MkdirAll(r.dir+target, 0o755)); err != nil {
			return err
		}
		binds = append(binds, cache, target)
	}
	return r.run(ctx, r.env, binds, "/bin/sh", "-c", "cd "+r.workdir+" && "+i.Args)
}

// run runs a command in the root, in a mount and process namespace of its own, so that nothing of it outlives the call. As with an engine, the
// resolver's configuration and the proxy variables are this machine's. So are the certificate authorities, in case its way out has one of
// its own; with an engine that is for its administrator to arrange. None of it is left in the root.
func (r *root) run(ctx context.Context, env map[string]string, binds []string, argv ...string) error {
	script := `set -e; root=$1; shift
		touch "$root/etc/resolv.conf"
		mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
		authorities=/etc/ssl/certs/ca-certificates.crt
		if [ -f $authorities ] && [ -f "$root$authorities" ]; then mount --bind $authorities "$root$authorities"; fi
		mount --rbind /dev "$root/dev"
		mount -t proc proc "$root/proc"
		while [ "$1" != -- ]; do mount --bind "$1" "$root$2"; shift 2; done
		shift; exec chroot "$root" "$@"`
	args := append([]string{"--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, "sh", r.dir}, binds...)
	cmd := exec.CommandContext(ctx, "unshare", append(append(args, "--"), argv...)...)
	cmd.Env = environ(env, "/root")
	for _, key := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"} {
		if value, ok := os.LookupEnv(key); ok {
			cmd.Env = append(cmd.Env, key+"="+value)
		}
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// start runs the image as an engine would: its command as its user, on a root that cannot be written, with no network but loopback,
// until its own HEALTHCHECK is content and every exposed port answers; then it asks the program to stop.
func (r *root) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	argv := append(slices.Clone(r.entrypoint), r.command...)
	if len(argv) == 0 || len(r.health) == 0 {
		return errors.New("the last stage has no command or no HEALTHCHECK")
	}
	fmt.Printf("== starting %q as %s\n", argv, r.user)

	// One shell in the namespaces starts the program, asks after its health until that is good, and says what came of it. The
	// cluster is an address where nobody answers: an image is healthy without one.
	script := `root=$1; user=$2; health=$3; ports=$4; shift 4
		ip link set lo up
		mount --bind "$root" "$root" && mount -o remount,bind,ro "$root"
		mount --rbind /dev "$root/dev"
		mount -t proc proc "$root/proc"
		chroot --userspec="$user" "$root" "$@" & program=$!
		for try in $(seq 60); do
			if eval "chroot --userspec=$user $root $health" 2>&-; then
				echo "healthy after $try tries"
				grep -E '^(Uid|Gid|VmRSS)' /proc/$program/status
				for port in $ports; do
					# 127.0.0.2 is answered by who listens on 0.0.0.0, and by nobody else.
					timeout 30 bash -c "exec 3<>/dev/tcp/127.0.0.2/$port; printf 'GET / HTTP/1.0\\r\\nHost: rehearsal\\r\\n\\r\\n' >&3; read -r line <&3; echo port $port: \$line" ||
						echo "port $port: no answer"
				done
				kill -TERM $program; wait $program; echo "exit $?"; exit
			fi
			kill -0 $program 2>&- || { wait $program; echo "exit $?, never healthy"; exit; }
			sleep 1
		done
		echo "never healthy"`
	cmd := exec.CommandContext(ctx, "unshare", append([]string{"--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script, "sh", r.dir, r.user, quoted(r.health), strings.Join(r.ports, " ")}, argv...)...)
	env := maps.Clone(r.env)
	env["RERANKD_CLUSTER"] = "http://127.0.0.1:9200"
	cmd.Env = environ(env, "/nonexistent")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var healthy, clean bool
	answers := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		fmt.Println("   " + lines.Text())
		healthy = healthy || strings.HasPrefix(lines.Text(), "healthy after")
		clean = lines.Text() == "exit 0"
		if strings.HasPrefix(lines.Text(), "port ") && strings.Contains(lines.Text(), ": HTTP/") {
			answers++
		}
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("starting the image: %w", err)
	}
	if !healthy || !clean || answers < len(r.ports) {
		return errors.New("the image's command did not become healthy, answer on its ports and stop cleanly")
	}
	fmt.Println("== rehearsed: the steps ran; the program became healthy as its user, answered on its ports and stopped when asked")
	return nil
}

// environ is a whole environment, the machine's own left out.
func environ(env map[string]string, home string) []string {
	list := []string{"HOME=" + home}
	for key, value := range env {
		list = append(list, key+"="+value)
	}
	return list
}

func quoted(words []string) string {
	var b strings.Builder
	for _, w := range words {
		fmt.Fprintf(&b, "'%s' ", strings.ReplaceAll(w, "'", `'\''`))
	}
	return b.String()
}

// run1 runs one command of this machine with its output shown only if it fails.
func run1(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		tail := out[max(0, len(out)-2000):]
		return fmt.Errorf("%s: %w\n%s", name, err, tail)
	}
	return nil
}

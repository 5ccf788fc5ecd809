package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

var goImage = regexp.MustCompile(`^golang:(\d+\.\d+\.\d+)-bookworm$`)
var rustImage = regexp.MustCompile(`^rust:(\d+\.\d+\.\d+)-slim-bookworm$`)

// path is the search path of the Debian image.
const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// base makes a stand-in for a public image: Debian 12 with what the image is documented to hold, in the places where it holds it.
// It is kept under dir, since the images do not change either.
func base(ctx context.Context, dir, image string) (*root, error) {
	debian, err := kept(ctx, dir, "debian", "", func(r *root) error {
		return run1(ctx, "debootstrap", "--variant=minbase", "bookworm", r.dir)
	})
	if err != nil {
		return nil, err
	}
	debian.env["PATH"] = path
	// The official image also knows the update and security archives, and comes without lists; so does this, by this machine's own sources.
	const sources = "/etc/apt/sources.list.d/debian.sources"
	if data, err := os.ReadFile(sources); err == nil {
		if err := errors.Join(os.WriteFile(debian.dir+sources, data, 0o644), os.WriteFile(debian.dir+"/etc/apt/sources.list", nil, 0o644)); err != nil {
			return nil, err
		}
	}

	switch {
	case strings.HasPrefix(image, "debian:12.") && strings.HasSuffix(image, "-slim"):
		return debian, nil
	case goImage.MatchString(image):
		version := goImage.FindStringSubmatch(image)[1]
		r, err := kept(ctx, dir, "golang-"+version, debian.dir, func(r *root) error { return addGo(ctx, r, version) })
		if err != nil {
			return nil, err
		}
		r.env = map[string]string{"GOLANG_VERSION": version, "GOTOOLCHAIN": "local", "GOPATH": "/go", "PATH": "/go/bin:/usr/local/go/bin:" + path}
		r.workdir = "/go"
		return r, nil
	case rustImage.MatchString(image):
		version := rustImage.FindStringSubmatch(image)[1]
		r, err := kept(ctx, dir, "rust-"+version, debian.dir, func(r *root) error { return addRust(ctx, r, version) })
		if err != nil {
			return nil, err
		}
		r.env = map[string]string{"RUSTUP_HOME": "/usr/local/rustup", "CARGO_HOME": "/usr/local/cargo", "PATH": "/usr/local/cargo/bin:" + path}
		return r, nil
	}
	return nil, errors.New("no recipe for it")
}

// kept returns the root dir/name, and makes it first if it is not there: a copy of the root at from, if that is not "", then what fill does.
func kept(ctx context.Context, dir, name, from string, fill func(*root) error) (*root, error) {
	r := &root{name: name, dir: filepath.Join(dir, name), env: map[string]string{}, workdir: "/", user: "0:0"}
	done := r.dir + ".done"
	if _, err := os.Stat(done); !errors.Is(err, fs.ErrNotExist) {
		return r, err
	}
	if err := os.RemoveAll(r.dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return nil, err
	}
	if from != "" {
		if err := run1(ctx, "rsync", "-aHX", from+"/", r.dir+"/"); err != nil {
			return nil, err
		}
	}
	if err := fill(r); err != nil {
		return nil, err
	}
	return r, os.WriteFile(done, nil, 0o644)
}

// addGo adds what golang:VERSION-bookworm adds: the packages its own file lists, and the toolchain, which the go command of this
// machine fetches and verifies.
func addGo(ctx context.Context, r *root, version string) error {
	err := r.run(ctx, map[string]string{"PATH": path}, nil, "/bin/sh", "-ec", `apt-get -q update
		apt-get -qy install --no-install-recommends ca-certificates curl git tzdata g++ gcc libc6-dev make pkg-config
		rm -rf /var/lib/apt/lists/*
		mkdir -p /go/src /go/bin`)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "env", "GOROOT")
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=go"+version)
	goroot, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("getting Go %s: %w", version, err)
	}
	// The copy that the go command keeps has no write bits.
	return run1(ctx, "rsync", "-a", "--chmod=u+w", strings.TrimSpace(string(goroot))+"/", r.dir+"/usr/local/go/")
}

// addRust adds the toolchain of this machine, which must be of that version, without the rustup proxies that stand before it in the image.
func addRust(ctx context.Context, r *root, version string) error {
	sysroot, err := exec.CommandContext(ctx, "rustc", "--print", "sysroot").Output()
	if err != nil {
		return fmt.Errorf("finding Rust: %w", err)
	}
	got, err := exec.CommandContext(ctx, "rustc", "--version").Output()
	if err != nil {
		return fmt.Errorf("finding Rust: %w", err)
	}
	if !strings.HasPrefix(string(got), "rustc "+version+" ") {
		return fmt.Errorf("this machine has %s, not %s", strings.TrimSpace(string(got)), version)
	}
	toolchain := "/usr/local/rustup/toolchains/" + version
	bin := r.dir + "/usr/local/cargo/bin/"
	if err := errors.Join(os.MkdirAll(bin, 0o755), os.MkdirAll(r.dir+toolchain, 0o755)); err != nil {
		return err
	}
	if err := run1(ctx, "rsync", "-a", "--exclude=/share/doc", strings.TrimSpace(string(sysroot))+"/", r.dir+toolchain+"/"); err != nil {
		return err
	}
	return errors.Join(os.Symlink(toolchain+"/bin/cargo", bin+"cargo"), os.Symlink(toolchain+"/bin/rustc", bin+"rustc"))
}

// Package compose holds docker-compose.yml and the Dockerfile to what they promise, with the loader that docker compose itself uses. No
// container engine is needed, and none is used: what this cannot see is whether the images start.
package compose

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/deploy/dockerfile"
)

const top = "../.." // the repository

// load reads docker-compose.yml in the way that docker compose does: the shell's variables first, then .env.
func load(t *testing.T, env ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(top, "docker-compose.yml")},
		cli.WithWorkingDirectory(top), cli.WithEnv(env), cli.WithEnvFiles(), cli.WithDotEnv, cli.WithDefaultProfiles())
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatalf("loading docker-compose.yml with %q: %v", env, err)
	}
	// An optional dependency on an engine that the profile leaves out stays in the model; docker compose passes it over, and so does this.
	return project.WithoutUnresolvedOptionalDependencies()
}

func stages(t *testing.T) []dockerfile.Stage {
	t.Helper()
	stages, err := dockerfile.Read(filepath.Join(top, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	return stages
}

func stage(t *testing.T, name string) dockerfile.Stage {
	t.Helper()
	all := stages(t)
	i := slices.IndexFunc(all, func(s dockerfile.Stage) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("the Dockerfile has no stage %q", name)
	}
	return all[i]
}

func TestOneEngineAtATime(t *testing.T) {
	for name, test := range map[string]struct {
		env  []string
		want []string
	}{
		"by default":                  {nil, []string{"opensearch", "rerankd", "seed"}},
		"profile elasticsearch":       {[]string{"COMPOSE_PROFILES=elasticsearch"}, []string{"elasticsearch", "rerankd", "seed"}},
		"a cluster of the user's own": {[]string{"COMPOSE_PROFILES=", "CLUSTER_URL=http://search.example:9200"}, []string{"rerankd"}},
	} {
		t.Run(name, func(t *testing.T) {
			project := load(t, test.env...)
			got := project.ServiceNames()
			slices.Sort(got)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("services (-want +got):\n%s", diff)
			}
		})
	}
}

// eachProfile runs a test on the services of both engines.
func eachProfile(t *testing.T, test func(t *testing.T, engine string, project *types.Project)) {
	for _, engine := range []string{"opensearch", "elasticsearch"} {
		t.Run(engine, func(t *testing.T) { test(t, engine, load(t, "COMPOSE_PROFILES="+engine)) })
	}
}

func TestNothingIsPublishedBeyondThisMachine(t *testing.T) {
	eachProfile(t, func(t *testing.T, _ string, project *types.Project) {
		published := map[string]string{} // "service target" by published port
		for name, service := range project.Services {
			if service.NetworkMode == "host" {
				t.Errorf("%s: network_mode host publishes everything", name)
			}
			for _, port := range service.Ports {
				if ip, err := netip.ParseAddr(port.HostIP); err != nil || !ip.IsLoopback() {
					t.Errorf("%s: port %s is published to %q, want a loopback address", name, port.Published, port.HostIP)
				}
				published[port.Published] = fmt.Sprint(name, " ", port.Target)
			}
		}
		if got, want := published["9280"], "rerankd 9280"; got != want {
			t.Errorf("127.0.0.1:9280 leads to %q, want %q", got, want)
		}
	})
}

func TestTheClusterIsAwaited(t *testing.T) {
	eachProfile(t, func(t *testing.T, engine string, project *types.Project) {
		cluster := project.Services[engine]
		if cluster.HealthCheck == nil || cluster.HealthCheck.Disable || len(cluster.HealthCheck.Test) == 0 {
			t.Fatalf("%s has no health check", engine)
		}
		if aliases := cluster.Networks["default"].Aliases; !slices.Contains(aliases, "cluster") {
			t.Errorf("%s answers to %q, want cluster among them", engine, aliases)
		}
		for _, name := range []string{"seed", "rerankd"} {
			want := types.DependsOnConfig{engine: {Condition: types.ServiceConditionHealthy, Required: false}}
			if diff := cmp.Diff(want, project.Services[name].DependsOn); diff != "" {
				t.Errorf("%s depends on (-want +got):\n%s", name, diff)
			}
		}
		const url = "http://cluster:9200"
		if got := project.Services["rerankd"].Environment["RERANKD_CLUSTER"]; got == nil || *got != url {
			t.Errorf("RERANKD_CLUSTER: got %v, want %s", got, url)
		}
		if got := project.Services["seed"].Command; !slices.Contains(got, url) {
			t.Errorf("seed's command %q does not name %s", got, url)
		}
	})
}

func TestTheClusterMayBeTheUsersOwn(t *testing.T) {
	const url = "http://search.example:9200"
	rerankd := load(t, "COMPOSE_PROFILES=", "CLUSTER_URL="+url).Services["rerankd"]
	if got := rerankd.Environment["RERANKD_CLUSTER"]; got == nil || *got != url {
		t.Errorf("RERANKD_CLUSTER: got %v, want %s", got, url)
	}
	if len(rerankd.DependsOn) != 0 {
		t.Errorf("rerankd depends on %v, want nothing", rerankd.DependsOn)
	}
}

// A tag that moves is a build that changes by itself: at least the minor version is said.
var pinned = regexp.MustCompile(`^[a-z0-9/._-]+:\d+\.\d+(\.\d+)?(-[a-z0-9.-]+)?$`)

func TestImagesArePinned(t *testing.T) {
	eachProfile(t, func(t *testing.T, _ string, project *types.Project) {
		for name, service := range project.Services {
			switch {
			case service.Build == nil && !pinned.MatchString(service.Image):
				t.Errorf("%s: image %q is not pinned to a version", name, service.Image)
			case service.Build != nil:
				stage(t, service.Build.Target)
			}
		}
	})
	known := map[string]bool{}
	for _, s := range stages(t) {
		if !known[s.Image] && !pinned.MatchString(s.Image) {
			t.Errorf("stage %s: image %q is not pinned to a version", s.Name, s.Image)
		}
		known[s.Name] = true
	}
}

// The image has GOTOOLCHAIN=local or fetches one more toolchain, so its version and go.mod's are one.
func TestTheBuildImageHasOurToolchain(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join(top, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	toolchain := regexp.MustCompile(`(?m)^toolchain go(\S+)$`).FindSubmatch(mod)
	if toolchain == nil {
		t.Fatal("go.mod names no toolchain")
	}
	if got, want := stage(t, "build").Image, "golang:"+string(toolchain[1])+"-bookworm"; got != want {
		t.Errorf("image of stage build: got %s, want %s", got, want)
	}
}

func TestOurImagesDoNotRunAsRoot(t *testing.T) {
	user := regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`) // in figures, so that an orchestrator can verify it without the image's passwd
	for _, name := range []string{"rerankd", "seed"} {
		i, ok := stage(t, name).Last("USER")
		if !ok || !user.MatchString(i.Args) {
			t.Errorf("stage %s: USER %q, want UID:GID in figures, not root", name, i.Args)
		}
		service := load(t).Services[name]
		if service.User != "" || service.Privileged || len(service.CapAdd) > 0 {
			t.Errorf("service %s: user %q, privileged %v, cap_add %v: takes back what the image gave up", name, service.User, service.Privileged, service.CapAdd)
		}
		if !slices.Contains(service.CapDrop, "ALL") {
			t.Errorf("service %s keeps capabilities: cap_drop %v, want ALL", name, service.CapDrop)
		}
	}
}

func TestTheImageOfRerankd(t *testing.T) {
	all := stages(t)
	if got, want := all[len(all)-1].Name, "rerankd"; got != want {
		t.Errorf("last stage, the one built by default: got %q, want %q", got, want)
	}
	s := stage(t, "rerankd")
	if i, _ := s.Last("EXPOSE"); i.Args != "9280 9281" {
		t.Errorf("EXPOSE %q, want 9280 9281", i.Args)
	}
	if i, ok := s.Last("HEALTHCHECK"); !ok || !strings.Contains(i.Args, "/-/healthy") && !strings.Contains(i.Args, "rerankd") {
		t.Errorf("HEALTHCHECK %q does not ask the program", i.Args)
	}

	// The configuration inside the image is one the program takes, and listens where a container's ports can be published.
	const path = "deploy/rerankd.yaml"
	data, err := os.ReadFile(filepath.Join(top, path))
	if err != nil {
		t.Fatal(err)
	}
	url := func(string) (string, bool) { return "http://cluster:9200", true }
	c, err := config.Parse(path, data, url)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Listen, want.Admin.Listen, want.Cluster.URLs = "0.0.0.0:9280", "0.0.0.0:9281", []string{"http://cluster:9200"}
	if c.Listen != want.Listen || c.Admin != want.Admin || !slices.Equal(c.Cluster.URLs, want.Cluster.URLs) {
		t.Errorf("%s: listen %s, admin %s, cluster %s", path, c.Listen, c.Admin.Listen, c.Cluster.URLs)
	}

	if cmd, _ := s.Last("CMD"); !strings.Contains(cmd.Args, "/etc/rerankd/rerankd.yaml") || !copies(s, path, "/etc/rerankd/rerankd.yaml") {
		t.Errorf("CMD %s does not serve the configuration that the image holds", cmd.Args)
	}
}

// What the images are told to run is what the program understands: a flag it does not know fails before --help is answered.
func TestTheProgramUnderstandsItsCommands(t *testing.T) {
	program := filepath.Join(t.TempDir(), "rerankd")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/rerankd")
	build.Dir, build.Env = top, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	understands := func(args []string) error {
		out, err := exec.CommandContext(t.Context(), program, append(args, "--help")...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("rerankd %q: %w\n%s", args, err, out)
		}
		return nil
	}
	if err := understands([]string{"serve", "--no-such-flag"}); err == nil {
		t.Fatal("an unknown flag is understood, so this test would find nothing")
	}
	for _, name := range []string{"rerankd", "seed"} {
		argv, err := execOf(stage(t, name), "ENTRYPOINT")
		if err != nil {
			t.Fatal(err)
		}
		if argv[0] != "rerankd" {
			t.Errorf("stage %s runs %s, want rerankd", name, argv[0])
		}
		arguments := []string(load(t).Services[name].Command)
		if arguments == nil {
			if arguments, err = execOf(stage(t, name), "CMD"); err != nil {
				t.Fatal(err)
			}
		}
		if err := understands(append(argv[1:], arguments...)); err != nil {
			t.Error(err)
		}
	}
}

// The image's HEALTHCHECK tells a healthy program from one that answers otherwise and from none.
func TestTheHealthCheckTellsTheDifference(t *testing.T) {
	argv, err := execOf(stage(t, "rerankd"), "HEALTHCHECK")
	if err != nil {
		t.Fatal(err)
	}
	var healthy atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/-/healthy" || !healthy.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	last := len(argv) - 1
	argv[last] = strings.Replace(argv[last], "9281", port, 1)
	check := func() error { return exec.CommandContext(t.Context(), argv[0], argv[1:]...).Run() }

	healthy.Store(true)
	if err := check(); err != nil {
		t.Errorf("200: got %v, want healthy", err)
	}
	healthy.Store(false)
	if check() == nil {
		t.Error("503: got healthy")
	}
	server.Close()
	if check() == nil {
		t.Error("nobody listens: got healthy")
	}
}

func execOf(s dockerfile.Stage, name string) ([]string, error) {
	i, ok := s.Last(name)
	if !ok {
		return nil, fmt.Errorf("stage %s has no %s", s.Name, name)
	}
	return i.Exec()
}

func copies(s dockerfile.Stage, from, to string) bool {
	return slices.ContainsFunc(s.Instructions, func(i dockerfile.Instruction) bool {
		return i.Name == "COPY" && i.Flag("from") == "" && i.Args == from+" "+to
	})
}

//go:build cgo

package onnx

import (
	"os"
	"os/exec"
	"testing"
)

// TestNoTelemetry loads the library and runs a model in a process of its own, with nothing said in its environment, and with the opposite:
// the switch is set before the library is there, and nothing is left where its telemetry keeps its session and its log.
func TestNoTelemetry(t *testing.T) {
	if os.Getenv("ONNX_TEST_TELEMETRY") != "" {
		openEmbedded(t)
		if got := os.Getenv(telemetryVariable); got != "1" {
			t.Errorf("%s is %q when the library is there, want 1", telemetryVariable, got)
		}
		return
	}
	for _, said := range []string{"", "0"} {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0], "-test.run=^TestNoTelemetry$")
		cmd.Env = append(os.Environ(), "ONNX_TEST_TELEMETRY=1", "TMPDIR="+dir, telemetryVariable+"="+said)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		left, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range left {
			t.Errorf("with %s=%q: %s was left behind", telemetryVariable, said, file.Name())
		}
	}
}

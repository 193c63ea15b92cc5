package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/bench"
	"bitgpu/gpu"
	"bitgpu/nn/webgpu/tuned"

	"github.com/urfave/cli/v2"
)

func TestBench(t *testing.T) {
	dir := t.TempDir()
	json, html := filepath.Join(dir, "report.json"), filepath.Join(dir, "report.html")
	only := "^parity/ops/embed|^op/Step/decode/"
	out, _ := mustRun(t, "bench", "--quick", "--backend", "cpu", "--only", only, "--json", json, "--html", html)
	for _, want := range []string{"parity/ops/embed", "Step/decode/", "GFLOP/s", "yes"} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in %s", want, out)
		}
	}
	if page, err := os.ReadFile(html); err != nil || !bytes.Contains(page, []byte("<svg")) {
		t.Errorf("want a page with charts: %v", err)
	}
	r, err := bench.LoadReport(json)
	if err != nil || len(r.Ops) == 0 || r.Command != "bitgpu bench --backend cpu --quick --only "+only {
		t.Errorf("want a report that says how it was made: %+v, %v", r, err)
	}
	out, _ = mustRun(t, "bench", "--quick", "--backend", "cpu", "--only", "^op/Step/decode/", "--compare", json)
	if !strings.Contains(out, "cpu op/Step/decode/") || !strings.Contains(out, "Since ") {
		t.Errorf("want a comparison in %s", out)
	}
}

// A report that was kept is shown and drawn without measuring, and two are compared.
func TestBenchShowsReports(t *testing.T) {
	dir := t.TempDir()
	const results = "../../bench/results/2026-11-28-epyc-avx2-2-threads-"
	old, kept, page := results+"c697615-decode-1.json", results+"c697615-decode-2.json", filepath.Join(dir, "report.html")
	out, _ := mustRun(t, "bench", "--from", kept, "--html", page)
	if !strings.Contains(out, "c697615") || strings.Contains(out, "Since ") {
		t.Errorf("got %s, want the report", out)
	}
	if data := read(t, dir, "report.html"); !bytes.Contains(data, []byte("<svg")) {
		t.Error("want a page with charts")
	}
	for _, args := range [][]string{{"--compare", old, kept}, {"--from", kept, "--compare", old}} {
		out, _ := mustRun(t, append([]string{"bench", "--html", page}, args...)...)
		if !strings.Contains(out, "Since ") || !bytes.Contains(read(t, dir, "report.html"), []byte("are faster and")) {
			t.Errorf("%v: got %s, want a comparison", args, out)
		}
	}
	fails(t, exitUsage, `bench: "other": want no argument but one report after --compare FILE`, "bench", "--from", kept, "other")
	fails(t, exitUsage, `bench: "other": want no argument but one report after --compare FILE`, "bench", "other")
	fails(t, exitUsage, "bench: --quick has nothing to act on: "+kept+" is shown as it was measured", "bench", "--quick", "--from", kept)
	fails(t, exitError, "missing.json", "bench", "--from", "missing.json")
	fails(t, exitUsage, `bench: --from: got "", want FILE`, "bench", "--from", "")
}

func TestBenchRefuses(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"--quick --full", 2, "--quick and --full"},
		{"--only (", 2, "regular expression"},
		{"--batch 1,x", 2, `got "x"`},
		{"--batch 0", 2, "batch: 1 to"},
		{"--batch 65", 2, "batch: 1 to 64"},
		{"--only ^nothing", 2, "matches none"},
		{"--backend cpu --adapter software", 2, "--adapter software"},
		{"--json /nonexistent/x.json", 1, "--json: /nonexistent/x.json: cannot"},
		{"--html /nonexistent/x.html", 1, "--html: /nonexistent/x.html: cannot"},
		{"--dim 7", 2, "multiple of 4"},
		{"--mixer other", 2, `got "other"`},
		{"--backend tpu", 2, `got "tpu"`},
		{"--compare missing.json", 1, "missing.json"},
	} {
		r := bitgpuRun("", append([]string{"bench"}, strings.Fields(c.args)...)...)
		if r.code != c.code || !strings.Contains(r.err, c.want) || strings.Count(r.err, "\n") != 1 {
			t.Errorf("bench %s: got exit code %d and %q, want %d and %q in one line", c.args, r.code, r.err, c.code, c.want)
		}
	}
}

// A broken bound ends the program with 1, after the report.
func TestBenchBrokenBound(t *testing.T) {
	broken := &bench.Report{Parity: []bench.Parity{{Engine: "gpu", Key: "parity/ops/linear", Failed: 1, Failures: []string{"far off"}}}}
	var out bytes.Buffer
	app := &cli.App{Writer: &out, ExitErrHandler: func(*cli.Context, error) {}, Action: func(c *cli.Context) error { return showReport(c, broken, nil) }}
	err := app.Run([]string{"bitgpu"})
	if err == nil || exitCode(err) != exitError || !strings.Contains(err.Error(), "far off") {
		t.Errorf("got exit code %v, want 1", err)
	}
	if !strings.Contains(out.String(), "NO, 1 times") {
		t.Errorf("got %s, want the report", out.String())
	}
}

// A file that fails does not keep the others from being written.
func TestBenchWritesTheRest(t *testing.T) {
	dir := t.TempDir()
	html := filepath.Join(dir, "report.html")
	app := benchApp(func(c *cli.Context) error { return showReport(c, &bench.Report{}, nil) })
	err := app.Run([]string{"bitgpu", "--json", filepath.Join(dir, "missing", "x.json"), "--html", html})
	if err == nil || !strings.Contains(err.Error(), "x.json") {
		t.Errorf("got %v, want an error with x.json", err)
	}
	if _, err := os.Stat(html); err != nil {
		t.Errorf("want the page all the same: %v", err)
	}
}

// Where a GPU is required, a run without one is no success.
func TestBenchRequiresGPU(t *testing.T) {
	t.Setenv("BITGPU_REQUIRE_GPU", "1")
	app := benchApp(func(c *cli.Context) error {
		_, done, err := benchBackends(c, func(string) (*tuned.GPU, error) { return nil, gpu.ErrNoAdapter })
		if err == nil {
			done()
		}
		return err
	})
	if err := app.Run([]string{"bitgpu", "--backend", "auto"}); !errors.Is(err, gpu.ErrNoAdapter) {
		t.Errorf("got %v, want %v", err, gpu.ErrNoAdapter)
	}
	t.Setenv("BITGPU_REQUIRE_GPU", "")
	if err := app.Run([]string{"bitgpu", "--backend", "auto"}); err != nil {
		t.Errorf("got %v, want only the CPU", err)
	}
}

// benchApp has the flags of bench.
func benchApp(action cli.ActionFunc) *cli.App {
	return &cli.App{
		Flags: benchCommand().Flags, Action: action, Writer: io.Discard, ErrWriter: io.Discard, ExitErrHandler: func(*cli.Context, error) {},
	}
}

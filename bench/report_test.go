package bench

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sampleReport has a row of every kind.
func sampleReport() *Report {
	s := func(middle float64) Sample { return newSample([]float64{0.95 * middle, middle, 1.05 * middle}) }
	r := &Report{
		Version: reportVersion, Date: time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC), Command: "bitgpu bench", Commit: "0123456789abcdef",
		Engines: []EngineInfo{{Name: "cpu", Device: "a <processor>", Hardware: true}, {Name: "gpu", Device: "llvmpipe"}},
		Notes:   []string{"a note"},
	}
	for i, e := range []string{"cpu", "gpu"} {
		by := float64(i + 1)
		r.Floors = append(r.Floors, Floor{Engine: e, Traffic: "read", Bandwidth: s(3e10 * by), FLOPS: s(2e11 * by), Dispatch: s(1e-5 * float64(i))})
		r.Ops = append(r.Ops,
			OpTime{Engine: e, Key: "op/LinearAdd/decode/8x8,n1", Seconds: s(1e-5 * by), Bytes: 100_000, FLOPs: 1_000_000, Floor: 5e-6, Bound: "arithmetic"},
			OpTime{Engine: e, Key: "op/AdamW/training/8x8,n1", Seconds: s(2e-5 * by), Bytes: 300_000, FLOPs: 100_000, Floor: 1e-5, Bound: "memory", Cached: true})
		for _, mixer := range []string{"tied", "delta"} {
			for _, batch := range []string{"b1", "b8"} {
				r.Models = append(r.Models, ModelSpeed{Engine: e, Key: "model/256x8/V64/text/" + batch, Mixer: mixer, Seconds: s(1e-3 * by), Floor: 5e-4, Bound: "memory", Dispatches: 42, Submits: 0.125})
			}
			r.Positions = append(r.Positions,
				PositionCost{Engine: e, Key: "position/64x2/" + mixer, Position: 100, Seconds: s(1e-5), Memory: 1e6},
				PositionCost{Engine: e, Key: "position/64x2/" + mixer, Position: 10_000, Seconds: s(1e-5), Memory: 1e6})
		}
		p := Parity{Engine: e, Key: "parity/model/tied/random", Cases: 3, TopTokens: 100, TopEqual: 99, MaxKL: 1e-12}
		p.compare("logits", []float32{1, 2, 3}, []float32{1, 2, 3.0001}, nearRMS(1e-3))
		r.Parity = append(r.Parity, p)
	}
	r.Heads = []ModelSpeed{{Engine: "cpu", Key: "head/256x8/V64/F16", Seconds: s(1e-3), Bytes: 1e6}}
	r.Peers = []PeerSpeed{{Peer: "pytorch eager", Device: "cpu", Key: "model/256x8/V64/text/b1", Mixer: "tied", Seconds: s(1e-2)}}
	return r
}

func TestReportIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.json")
	r := sampleReport()
	r.Parity[0].compare("a number that is none", []float32{float32(math.NaN())}, []float32{1}, nearRMS(1))
	if err := r.Save(path); err != nil {
		t.Fatal(err)
	}
	back, err := LoadReport(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(r, back); d != "" {
		t.Errorf("what was saved and what was loaded differ: %s", d)
	}
}

func TestReportsThatAreNone(t *testing.T) {
	for name, content := range map[string]string{"empty": "", "text": "hello", "array": "[]", "future": `{"version": 99}`, "other": `{"a": 1}`} {
		path := filepath.Join(t.TempDir(), name+".json")
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadReport(path); err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want one sentence with the file's name", name, err)
		}
	}
}

func TestTables(t *testing.T) {
	var out bytes.Buffer
	if err := sampleReport().Print(&out); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{
		"llvmpipe (software)", `LinearAdd/decode/8x8,n1 +10\.0 ±5% +50 % a`, `AdamW.*50 % m\*`, `256x8/V64/text/b1 +1000 ±5%`,
		`our cpu is 10\.0×`, `42 +0\.12`, `99\.00 %`, "10000 .*yes", "note: a note", "256x8/V64/F16",
	} {
		if !regexp.MustCompile(want).MatchString(text) && !strings.Contains(text, want) {
			t.Errorf("want %q in\n%s", want, text)
		}
	}
}

func TestPageNeedsNothingElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.html")
	if err := sampleReport().WriteHTML(path, sampleReport()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	if n := strings.Count(text, "<svg"); n < 5 {
		t.Errorf("got %d, want 5 charts or more", n)
	}
	text = strings.ReplaceAll(text, `xmlns="http://www.w3.org/2000/svg"`, "")
	text = strings.ReplaceAll(text, `xmlns:xlink="http://www.w3.org/1999/xlink"`, "")
	for _, foreign := range []string{"http:", "https:", "src=", "<script", "<link", "@import", "url("} {
		if strings.Contains(text, foreign) {
			t.Errorf("%s found in a page that is to open without a network", foreign)
		}
	}
	if strings.Contains(text, "<processor>") {
		t.Error("a name from outside is not escaped")
	}
}

// The page begins with its verdict and the charts, and parity is folded unless a bound is broken.
func TestPageBeginsWithTheVerdict(t *testing.T) {
	page := func(r, before *Report) string {
		path := filepath.Join(t.TempDir(), "report.html")
		if err := r.WriteHTML(path, before); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	before, now := sampleReport(), sampleReport()
	now.Ops[0].Seconds = newSample([]float64{4e-6, 5e-6, 6e-6})
	text, at := page(now, before), 0
	for _, part := range []string{
		"what changed</h1>", `class="verdict"`, "are faster and 0 slower", "Right: all", "Tokens a second of text", "<h2>Since ", "<table", "× faster</td>",
		"<details><summary>All rows", "</details>", "<svg", "tokens a second<", "Roofline", "GFLOP/s<", "<table", "<details><summary>Parity", "parity/", "relative error<", "</details>", "</html>",
	} {
		next := strings.Index(text[at:], part)
		if next < 0 {
			t.Fatalf("want %q after %q", part, text[max(at-80, 0):at])
		}
		at += next
	}
	if text := page(now, now); !strings.Contains(text, "No row is faster or slower") {
		t.Error("a report beside itself: want a sentence that nothing changed")
	}
	now.Parity[0].Failed, now.Parity[0].Failures = 1, []string{"far off"}
	text = page(now, nil)
	if !strings.Contains(text, `<li class="alarm">1 of `) || !strings.Contains(text, "<details open><summary>Parity") || strings.Contains(text, "Since ") {
		t.Error("a broken bound is not in the verdict, or folded away")
	}
}

// A verdict says what is not flat and what failed.
func TestVerdict(t *testing.T) {
	r := sampleReport()
	r.fail("cpu", "model/a", errors.New("no room"))
	last := r.Positions[len(r.Positions)-1]
	last.Position, last.Memory = 10*last.Position, last.Memory+1
	r.Positions = append(r.Positions, last)
	var bad []string
	for _, f := range r.verdict(nil) {
		if f.Bad {
			bad = append(bad, f.Text)
		}
	}
	text := strings.Join(bad, " ")
	if len(bad) != 2 || !strings.Contains(text, "no room") || !strings.Contains(text, "takes more memory at position") {
		t.Errorf("got %q, want what failed and what is not flat", bad)
	}
}

// A peer is compared with the engine on the same kind of device, and with a GPU only if there is one.
func TestPeersOfOneKind(t *testing.T) {
	r := sampleReport()
	r.Models = append(r.Models, ModelSpeed{Engine: "gpu", Key: "model/256x8/V64/prompt/b1", Mixer: "tied", Seconds: r.Models[0].Seconds})
	r.Peers = []PeerSpeed{{Peer: "p", Device: "NVIDIA H100", Key: r.Models[0].Key, Mixer: "tied", Seconds: r.Peers[0].Seconds}}
	cells := func() string { return strings.Join(slices.Concat(r.modelTable().Rows...), "|") }
	if text := cells(); strings.Contains(text, "our") {
		t.Errorf("a driver on the processor is held against a GPU: %s", text)
	}
	r.Engines[1].Hardware = true
	if text := cells(); !strings.Contains(text, "our gpu is 5.0×") {
		t.Errorf("want our gpu in %s", text)
	}
	r.Peers[0].Device = "CPU (MKL)"
	if text := cells(); !strings.Contains(text, "our cpu is 10.0×") {
		t.Errorf("want our cpu in %s", text)
	}
}

// What is left out is counted, with its reason, and marked in charts.
func TestLeftOut(t *testing.T) {
	r := sampleReport()
	r.LeftOut = []LeftOut{
		{Engine: "gpu", Key: "model/a/text/tied/b1", Seconds: 2}, {Engine: "gpu", Key: "model/b/text/tied/b1", Seconds: 20},
		{Engine: "gpu", Key: "head/a/F32", Seconds: 3}, {Engine: "cpu", Key: "model/b/training/tied/b1", Memory: 5 << 30, Free: 1 << 30},
	}
	r.Models = slices.DeleteFunc(r.Models, func(m ModelSpeed) bool {
		return m.Engine == "gpu" && m.Mixer == "delta" && strings.HasSuffix(m.Key, "b1")
	})
	var out bytes.Buffer
	if err := r.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"note: 2 of model/… left out on the gpu engine, where one repetition would take 2.00 to 20.0 s; --full runs them: a/text/tied/b1, b/text/tied/b1\n",
		"note: 1 of head/… left out on the gpu engine, where one repetition would take 3.00 s; --full runs it: a/F32\n",
		"note: 1 of model/… left out on the cpu engine, where 1024 MB are free and up to 5120 MB needed: b/training/tied/b1\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("want %q in\n%s", want, out.String())
		}
	}
	if svg, err := r.bySize("text"); err != nil || strings.Count(string(svg), ">×<") != 1 {
		t.Errorf("got %d, want one mark for one missing bar: %v", strings.Count(string(svg), ">×<"), err)
	}
}

// Cells are empty where there is nothing to say, and say that a median is noise.
func TestCells(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{count(0), ""}, {count(3), "3"}, {withSpread(Sample{}), ""}, {withSpread(newSample([]float64{1, 2, 3})), "2.00 ±50%"},
		{withSpread(newSample([]float64{1, 2, 7})), "2.00 noise"}, {short(12_345_678), "12.3M"}, {short(12_345), "12.3k"}, {short(999), "999"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	r := sampleReport()
	r.Ops[0].Weights = 750_000 // in 10 µs, where 30 GB/s are 7.5e9 numbers of 4 bytes a second
	if cells := r.opCells(r.Ops[0]); cells[4] != "10.0" {
		t.Errorf("got %q, want ten times float32", cells)
	}
	r.Machine, r.Load = Machine{"a processor", 2, 8e9}, []float64{0.1, 1.5}
	if want := "On a processor, 2 threads, 8.0 GB of memory; load average 0.10 when the run began, 1.50 when it ended."; r.machine() != want {
		t.Errorf("got %q, want %q", r.machine(), want)
	}
	var out strings.Builder
	table{Header: []string{"a", "word", "number"}, Rows: [][]string{{"x", "yes", "10"}}, Words: []int{1}}.print(&out)
	if !strings.Contains(out.String(), "x  yes       10\n") {
		t.Errorf("got %q, want words left and numbers right", out.String())
	}
}

// A file that cannot be written is reported once, before anything is measured.
func TestCanWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "report.json")
	for _, err := range []error{CanWrite(path), sampleReport().Save(path), sampleReport().WriteHTML(path, nil)} {
		if err == nil || strings.Count(err.Error(), path) != 1 {
			t.Errorf("got %v, want an error that names the file once", err)
		}
	}
	path = filepath.Join(t.TempDir(), "report.json")
	if err := CanWrite(path); err != nil {
		t.Error(err)
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 0 {
		t.Errorf("got %v, want nothing to be left", files)
	}
}

func TestSample(t *testing.T) {
	s := newSample([]float64{3, 1, 2, 10})
	if d := cmp.Diff(Sample{2.5, 1, 10, 4}, s); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(Sample{4, 1, 10, 4}, s.per(10)); d != "" {
		t.Error(d)
	}
	calls := 0
	slow := func(record func()) (time.Duration, error) { record(); return time.Second, nil }
	got, err := repeated(slow, 4, time.Millisecond, func() { calls++ })
	if err != nil || got.Count != 4 || calls != 5 || got.Median != 1 {
		t.Errorf("want four repetitions and a first call: %+v, %d calls, %v", got, calls, err)
	}
	calls = 0
	none := func(record func()) (time.Duration, error) { record(); return 0, nil }
	if _, err := repeated(none, 1, time.Second, func() { calls++ }); err != nil || calls > 3*maxTogether {
		t.Errorf("a clock that stands still: %d calls, %v", calls, err)
	}
}

// A report with next to nothing in it, as of another program or an old version, is shown as it is.
func TestEmptyRowsAreShown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.json")
	if err := os.WriteFile(path, []byte(`{"version":1,"engines":[{}],"floors":[{}],"parity":[{}],"ops":[{},{"engine":"cpu"}],"models":[{},{"key":"model/"}],
		"heads":[{}],"positions":[{}],"families":[{},{"key":"family/x"}],"peers":[{}],"left_out":[{}],"failures":[""],"notes":[""]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := LoadReport(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Print(io.Discard), r.PrintComparison(io.Discard, r), r.WriteHTML(path+".html", r)); err != nil {
		t.Error(err)
	}
}

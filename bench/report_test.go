package bench

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bitgpu/nn"
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
			t.Errorf("%s: one sentence with the file's name wanted, %v found", name, err)
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
			t.Errorf("%q wanted in\n%s", want, text)
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
		t.Errorf("5 charts or more wanted, %d found", n)
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

func TestChangesBeyondNoise(t *testing.T) {
	before, now := sampleReport(), sampleReport()
	now.Ops[0].Seconds = newSample([]float64{4e-6, 5e-6, 6e-6})                                         // was 9.5 to 10.5 µs
	now.Ops[1].Seconds = newSample([]float64{1e-5, 1.2e-5, 2.1e-5})                                     // was 19 to 21 µs: noise
	now.Floors[0].Bandwidth = newSample([]float64{1e10, 1.1e10})                                        // was 28.5 to 31.5 GB/s
	now.Models = append(now.Models, ModelSpeed{Engine: "cpu", Key: "new", Seconds: now.Ops[0].Seconds}) // nothing to compare with
	found := map[string]Change{}
	for _, c := range Compare(before, now) {
		found[c.Key] = c
		real := c.Key == "cpu op/LinearAdd/decode/8x8,n1" || c.Key == "cpu floor/memory"
		if c.Real != real {
			t.Errorf("%s: real change %v wanted, %+v found", c.Key, real, c)
		}
	}
	if c := found["cpu op/LinearAdd/decode/8x8,n1"]; math.Abs(c.Ratio-2) > 1e-9 {
		t.Errorf("twice as fast wanted, %+v found", c)
	}
	if c := found["cpu floor/memory"]; !(c.Ratio < 0.4) {
		t.Errorf("slower wanted, %+v found", c)
	}
	if _, ok := found["cpu new "]; ok {
		t.Error("a row that one report lacks cannot have changed")
	}
	var out bytes.Buffer
	if err := now.PrintComparison(&out, before); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`LinearAdd/decode/8x8,n1 +10\.0 ±5% +5\.00 ±20% +2\.00× +1\.00× +faster`).Match(out.Bytes()) {
		t.Errorf("a line for LinearAdd wanted in\n%s", out.String())
	}
}

// Three repetitions and three of the same thing have ranges that lie apart in one row of ten.
func TestNoiseIsNoChange(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	draw := func() Sample {
		v := make([]float64, 3)
		for i := range v {
			v[i] = 1 + 0.1*r.NormFloat64()
		}
		return newSample(v)
	}
	const rows = 2000
	marked, apart := 0, 0
	for range rows {
		a, b := draw(), draw()
		if beyondNoise(a, b) {
			marked++
		}
		if a.High < b.Low || b.High < a.Low {
			apart++
		}
	}
	if apart < rows/20 || marked > apart/2 {
		t.Errorf("of %d rows of noise %d have ranges that lie apart and %d are marked", rows, apart, marked)
	}
	narrow := func(x float64) Sample { return newSample([]float64{0.999 * x, x, 1.001 * x}) }
	if beyondNoise(narrow(1), narrow(1.05)) || !beyondNoise(narrow(1), narrow(1.2)) {
		t.Error("a twentieth is no change, a fifth is one")
	}
}

// A comparison says in words what ran before and now, and how the limits changed.
func TestComparedDevices(t *testing.T) {
	before, now := sampleReport(), sampleReport()
	now.Engines[0].Device, now.Engines[0].Driver = "another", "AVX-512"
	now.Floors[0].FLOPS = now.Floors[0].FLOPS.scaled(0.5)
	text := comparison(before, now)
	if !strings.Contains(text.Text, "Now: cpu on another with AVX-512") || strings.Contains(text.Text, "{") {
		t.Errorf("a sentence wanted, %q found", text.Text)
	}
	for _, row := range text.Rows {
		if row[0] == "cpu op/LinearAdd/decode/8x8,n1" && row[4] != "0.50×" {
			t.Errorf("the change of the floor wanted, %q found", row)
		}
	}
}

// A peer is held against the engine on the same kind of device, and against a GPU only where there is one.
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
		t.Errorf("our gpu wanted in %s", text)
	}
	r.Peers[0].Device = "CPU (MKL)"
	if text := cells(); !strings.Contains(text, "our cpu is 10.0×") {
		t.Errorf("our cpu wanted in %s", text)
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
		"note: 1 of model/… left out on the cpu engine, where 1024 MB are free and up to 5120 MB wanted: b/training/tied/b1\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q wanted in\n%s", want, out.String())
		}
	}
	if svg, err := r.bySize("text"); err != nil || strings.Count(string(svg), ">×<") != 1 {
		t.Errorf("one mark for one missing bar wanted, %d found: %v", strings.Count(string(svg), ">×<"), err)
	}
}

// Every operation is a point of the roofline that says its name.
func TestRooflineNames(t *testing.T) {
	r := sampleReport()
	r.Ops[2].Bound = "dispatch"
	svg, err := r.roofline(r.Floors[1])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<title>LinearAdd/decode/8x8,n1: 50.0 GFLOP/s</title></circle>", "<title>AdamW/training/8x8,n1: ", "bound by dispatches"} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("%q wanted", want)
		}
	}
	if svg, err := r.roofline(r.Floors[0]); err != nil || strings.Contains(string(svg), "dispatches") {
		t.Errorf("a processor has no dispatches: %v", err)
	}
}

// Cells say nothing where there is nothing to say, and that a median is none.
func TestCells(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{count(0), ""}, {count(3), "3"}, {withSpread(Sample{}), ""}, {withSpread(newSample([]float64{1, 2, 3})), "2.00 ±50%"},
		{withSpread(newSample([]float64{1, 2, 7})), "2.00 noise"}, {short(12_345_678), "12.3M"}, {short(12_345), "12.3k"}, {short(999), "999"},
	} {
		if c.got != c.want {
			t.Errorf("%q wanted, %q found", c.want, c.got)
		}
	}
	r := sampleReport()
	r.Ops[0].Weights = 750_000 // in 10 µs, where 30 GB/s are 7.5e9 numbers of 4 bytes a second
	if cells := r.opCells(r.Ops[0]); cells[4] != "10.0" {
		t.Errorf("ten times float32 wanted, %q found", cells)
	}
	r.Machine, r.Load = Machine{"a processor", 2, 8e9}, []float64{0.1, 1.5}
	if want := "On a processor, 2 threads, 8.0 GB of memory; load average 0.10 when the run began, 1.50 when it ended."; r.machine() != want {
		t.Errorf("%q wanted, %q found", want, r.machine())
	}
	var out strings.Builder
	table{Header: []string{"a", "word", "number"}, Rows: [][]string{{"x", "yes", "10"}}, Words: []int{1}}.print(&out)
	if !strings.Contains(out.String(), "x  yes       10\n") {
		t.Errorf("words left and numbers right wanted, %q found", out.String())
	}
}

// A file that cannot be written is said once, and before anything is measured.
func TestCanWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "report.json")
	for _, err := range []error{CanWrite(path), sampleReport().Save(path), sampleReport().WriteHTML(path, nil)} {
		if err == nil || strings.Count(err.Error(), path) != 1 {
			t.Errorf("an error that names the file once wanted, %v found", err)
		}
	}
	path = filepath.Join(t.TempDir(), "report.json")
	if err := CanWrite(path); err != nil {
		t.Error(err)
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 0 {
		t.Errorf("nothing to be left wanted, %v found", files)
	}
}

func TestErr(t *testing.T) {
	r := sampleReport()
	if err := r.Err(); err != nil {
		t.Errorf("a report without faults: %v", err)
	}
	for name, grow := range map[string]func(p *PositionCost){
		"bytes of tensors": func(p *PositionCost) { p.Memory++ },
		"bytes of heap":    func(p *PositionCost) { p.Heap += 3 << 20 },
		"µs a token":       func(p *PositionCost) { p.Seconds = p.Seconds.scaled(1.7) },
	} {
		r := sampleReport()
		grow(&r.Positions[1])
		if err := r.Err(); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "after 10000") {
			t.Errorf("growing %s: %v", name, err)
		}
	}
	r.Positions[1].Heap += 1 << 20
	r.Positions[1].Seconds = r.Positions[1].Seconds.scaled(1.3)
	if err := r.Err(); err != nil {
		t.Errorf("what a disturbance makes: %v", err)
	}
	r.Failures = []string{"something"}
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "something") {
		t.Errorf("a failure: %v", err)
	}
	r.Parity[1].fail("too far")
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "too far") {
		t.Errorf("a broken bound: %v", err)
	}
}

func TestComparedNumbers(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, c := range []struct {
		got, want []float32
		holds     bool
	}{
		{[]float32{1, 2}, []float32{1, 2}, true},
		{[]float32{0, 1 + 1e-5}, []float32{0, 1}, true},
		{[]float32{0, 1 + 1e-3}, []float32{0, 1}, false},
		{[]float32{float32(math.NaN())}, []float32{1}, false},
		{[]float32{inf}, []float32{1}, false},
		{[]float32{inf}, []float32{inf}, true},
		{[]float32{1e-9}, []float32{0}, true},
		{[]float32{1}, []float32{1, 2}, false},
		{nil, nil, true},
	} {
		var p Parity
		p.compare("x", c.got, c.want, nearRMS(1e-4))
		if p.Holds() != c.holds {
			t.Errorf("%v for %v: %v wanted, %+v found", c.got, c.want, c.holds, p)
		}
	}
}

func TestHistogramBins(t *testing.T) {
	for relative, want := range map[float64]string{
		0: "0", 1e-30: "<1e-9", 3e-10: "<1e-9", 3e-9: "<1e-8", 0.02: "<1e-1", 0.5: "<1e0", 1: "≥1e0", 1e30: "≥1e0",
	} {
		if got := binName(bin(relative)); got != want {
			t.Errorf("%g: bin %s wanted, %s found", relative, want, got)
		}
	}
}

// The token that a draw takes is that of Sampling.Draw under every rule, and others lie far away.
func TestNearest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, rule := range textRules {
		for n := range uint32(200) {
			logits := make([]float32, 60)
			for i := range logits {
				logits[i] = float32(2 * r.NormFloat64())
			}
			before, recent := randomTokens(r, len(logits), 80), make([]uint32, nn.RecentSize)
			for _, id := range before {
				nn.Push(recent, id)
			}
			recent[nn.RecentSampled] = n
			id := rule.Draw(slices.Clone(logits), recent, make([]float32, len(logits)))
			if want, distance := nearest(rule.Sampling, logits, before, n, id); want != id || distance > 0 {
				t.Fatalf("%s, draw %d: token %d wanted, %d found, %g away", rule.name, n, id, want, distance)
			}
		}
	}
	logits := []float32{0, 0, 0, 0} // edges at 0.25, 0.5, 0.75
	p := nn.Sampling{Temperature: 1, Seed: 1}
	for n := range uint32(50) {
		id, _ := nearest(p, logits, nil, n, 0)
		if _, distance := nearest(p, logits, nil, n, (id+2)%4); distance < 1e-3 {
			t.Errorf("draw %d: a token that is not next lies %g away", n, distance)
		}
	}
	// A token that a rule leaves out is no neighbour, unless it is left out by rounding.
	logits = []float32{3, 2, 1, 1 - 1e-6}
	p.TopK = 3
	near := false
	for n := range uint32(50) {
		if _, distance := nearest(p, logits, nil, n, 3); distance == 0 {
			near = true
		}
		p := nn.Sampling{Temperature: 1, Seed: 1, TopK: 2}
		if _, distance := nearest(p, logits, nil, n, 2); distance < 1 {
			t.Errorf("draw %d: token 2, which top-k leaves out, is %g away", n, distance)
		}
	}
	if !near {
		t.Error("a token that ties within rounding with the last that is kept is never near")
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
		t.Errorf("four repetitions and a first call wanted: %+v, %d calls, %v", got, calls, err)
	}
	calls = 0
	none := func(record func()) (time.Duration, error) { record(); return 0, nil }
	if _, err := repeated(none, 1, time.Second, func() { calls++ }); err != nil || calls > 3*maxTogether {
		t.Errorf("a clock that stands still: %d calls, %v", calls, err)
	}
}

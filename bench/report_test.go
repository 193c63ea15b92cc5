package bench

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"regexp"
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
		`we are 10\.0×`, `42 +0\.12`, `99\.00 %`, "10000 .*yes", "note: a note", "256x8/V64/F16",
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
		real := c.Key == "cpu op/LinearAdd/decode/8x8,n1" || c.Key == "cpu floor/bandwidth"
		if c.Real != real {
			t.Errorf("%s: real change %v wanted, %+v found", c.Key, real, c)
		}
	}
	if c := found["cpu op/LinearAdd/decode/8x8,n1"]; math.Abs(c.Ratio-2) > 1e-9 {
		t.Errorf("twice as fast wanted, %+v found", c)
	}
	if c := found["cpu floor/bandwidth"]; !(c.Ratio < 0.4) {
		t.Errorf("slower wanted, %+v found", c)
	}
	if _, ok := found["cpu new "]; ok {
		t.Error("a row that one report lacks cannot have changed")
	}
	var out bytes.Buffer
	if err := now.PrintComparison(&out, before); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`LinearAdd/decode/8x8,n1 +10\.0 ±5% +5\.00 ±20% +2\.00× +faster`).Match(out.Bytes()) {
		t.Errorf("a line for LinearAdd wanted in\n%s", out.String())
	}
}

func TestErr(t *testing.T) {
	r := sampleReport()
	if err := r.Err(); err != nil {
		t.Errorf("a report without faults: %v", err)
	}
	r.Positions[1].Memory++
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "10000 tokens") {
		t.Errorf("growing memory: %v", err)
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

func TestNearest(t *testing.T) {
	logits := []float32{0, 0, 0, 0} // edges at 0.25, 0.5, 0.75
	p := usualSampling
	p.Temperature, p.TopK, p.TopP = 1, 0, 0
	for n := range uint32(50) {
		scratch, recent := make([]float32, 4), make([]uint32, 80)
		recent[1] = n // draws so far
		id := p.Draw(append([]float32(nil), logits...), recent, scratch)
		if want, distance := nearest(p, logits, n, id); want != id || distance != 0 {
			t.Fatalf("draw %d: token %d wanted, %d found, %g away", n, id, want, distance)
		}
		if _, distance := nearest(p, logits, n, (id+2)%4); distance < 1e-3 {
			t.Errorf("draw %d: a token that is not next lies %g away", n, distance)
		}
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

package bench

import (
	"bytes"
	"math"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

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
			t.Errorf("%s: got %+v, want real change %v", c.Key, c, real)
		}
	}
	if c := found["cpu op/LinearAdd/decode/8x8,n1"]; math.Abs(c.Ratio-2) > 1e-9 {
		t.Errorf("got %+v, want twice as fast", c)
	}
	if c := found["cpu floor/memory"]; !(c.Ratio < 0.4) {
		t.Errorf("got %+v, want slower", c)
	}
	if _, ok := found["cpu new "]; ok {
		t.Error("a row that one report lacks cannot have changed")
	}
	var out bytes.Buffer
	if err := now.PrintComparison(&out, before); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`LinearAdd/decode/8x8,n1 +10\.0 ±5% +5\.00 ±20% +2\.00× +1\.00× +faster`).Match(out.Bytes()) {
		t.Errorf("want a line for LinearAdd in\n%s", out.String())
	}
}

// With three repetitions each of the same thing, the ranges do not overlap in one row of ten.
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
		t.Errorf("got %q, want a sentence", text.Text)
	}
	for _, row := range text.Rows {
		if row[0] == "cpu op/LinearAdd/decode/8x8,n1" && row[4] != "0.50×" {
			t.Errorf("got %q, want the change of the floor", row)
		}
	}
}

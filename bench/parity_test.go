package bench

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"bitgpu/nn/op"
)

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
			t.Errorf("%v for %v: got %+v, want %v", c.got, c.want, p, c.holds)
		}
	}
}

func TestHistogramBins(t *testing.T) {
	for relative, want := range map[float64]string{
		0: "0", 1e-30: "<1e-9", 3e-10: "<1e-9", 3e-9: "<1e-8", 0.02: "<1e-1", 0.5: "<1e0", 1: "≥1e0", 1e30: "≥1e0",
	} {
		if got := binName(bin(relative)); got != want {
			t.Errorf("%g: got bin %s, want %s", relative, got, want)
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
			before, recent := randomTokens(r, len(logits), 80), make([]uint32, op.RecentSize)
			for _, id := range before {
				op.Push(recent, id)
			}
			recent[op.RecentSampled] = n
			id := rule.Draw(slices.Clone(logits), recent, make([]float32, len(logits)))
			if want, distance := nearest(rule.Sampling, logits, before, n, id); want != id || distance > 0 {
				t.Fatalf("%s, draw %d: got token %d, want %d, %g away", rule.name, n, want, id, distance)
			}
		}
	}
	logits := []float32{0, 0, 0, 0} // edges at 0.25, 0.5, 0.75
	p := op.Sampling{Temperature: 1, Seed: 1}
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
		p := op.Sampling{Temperature: 1, Seed: 1, TopK: 2}
		if _, distance := nearest(p, logits, nil, n, 2); distance < 1 {
			t.Errorf("draw %d: token 2, which top-k leaves out, is %g away", n, distance)
		}
	}
	if !near {
		t.Error("a token that ties within rounding with the last that is kept is never near")
	}
}

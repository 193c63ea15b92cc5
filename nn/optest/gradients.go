package optest

import (
	"math"
	"slices"
	"testing"

	"bitgpu/nn/cpu"
)

// withoutGradient lists the operations that are never differentiated.
var withoutGradient = map[string]bool{"adamw": true, "sample": true, "blocks": true, "gather": true, "columns": true}

// Gradients compares the reference's backward with differences of its forward in float64: in every
// case with a given gradient, for a few dozen elements of each tensor that receives one. The rounding
// of weights is not differentiated; the cases of linear check its gradient by its definition.
func Gradients(t *testing.T) {
	checked := map[string]bool{}
	for _, c := range allCases[*cpu.Tensor[float64]]() {
		if checked[c.Op] = checked[c.Op] || withoutGradient[c.Op]; c.Large {
			continue
		}
		b := newBench(cpu.NewScalar[float64](), c.Op+"/"+c.Name)
		trial := c.Make(b)
		if len(trial.Upstream) == 0 {
			continue
		}
		checked[c.Op] = true
		t.Run(c.Op+"/"+c.Name, func(t *testing.T) { differences(t, b, trial) })
	}
	for op, ok := range checked {
		if !ok {
			t.Errorf("%s: no case gives Upstream, so its gradient is not checked", op)
		}
	}
}

func differences(t *testing.T, b *Bench[*cpu.Tensor[float64]], trial Trial[*cpu.Tensor[float64]]) {
	data := func(name string) []float64 { return b.tensors[name].x.Data }
	loss := func() (sum float64) { // Σ dy·y over the outputs that Backward is given the gradient of
		trial.Forward()
		for _, y := range trial.Upstream {
			for i, dy := range b.Start("d" + y) {
				sum += float64(dy) * data(y)[i]
			}
		}
		return sum
	}
	trial.Forward()
	if trial.Backward != nil {
		trial.Backward()
	}
	found := map[string][]float64{}
	for _, x := range trial.Writes {
		found[x] = append([]float64(nil), data("d"+x)...)
	}
	for _, x := range slices.Concat(trial.Adds, trial.AddsLog) {
		for i, before := range b.Start("d" + x) {
			found[x] = append(found[x], data("d" + x)[i]-float64(before))
		}
	}
	elements := 40
	if testing.Short() {
		elements = 4
	}
	for x, gradient := range found {
		logarithm := slices.Contains(trial.AddsLog, x)
		largest := 0.0
		for _, g := range gradient {
			largest = max(largest, math.Abs(g))
		}
		r := b.random("differences of " + x)
		for range min(len(gradient), elements) {
			i := r.IntN(len(gradient))
			at, h := &data(x)[i], 1e-4
			start := *at
			moved := func(by float64) float64 {
				if *at = start + by; logarithm {
					*at = start * math.Exp(by)
				}
				defer func() { *at = start }()
				return loss()
			}
			// Central differences of fourth order.
			want := (8*(moved(h)-moved(-h)) - (moved(2*h) - moved(-2*h))) / (12 * h)
			if !(math.Abs(gradient[i]-want) <= 1e-6*(math.Abs(want)+largest)+1e-10) {
				t.Errorf("d%s[%d]: got %v, want %v by differences", x, i, gradient[i], want)
			}
		}
	}
}

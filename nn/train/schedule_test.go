package train_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/op"
	"bitgpu/nn/train"
)

func TestSchedule(t *testing.T) {
	s := train.Schedule{Peak: 1, Min: 0.2, Warmup: 10, Steps: 110}
	for step, want := range map[int]float64{0: 0, 5: 0.5, 10: 1, 60: 0.6, 110: 0.2, 500: 0.2} {
		if got := s.Rate(step); math.Abs(got-want) > 1e-12 {
			t.Errorf("step %d: got %v, want %v", step, got, want)
		}
	}
	s.DecaySteps = 20
	for step, want := range map[int]float64{5: 0.5, 10: 1, 60: 1, 90: 1, 100: 0.6, 110: 0.2} {
		if got := s.Rate(step); math.Abs(got-want) > 1e-12 {
			t.Errorf("a fall of 20 steps, step %d: got %v, want %v", step, got, want)
		}
	}
	s.DecaySteps = 1000
	if got := s.Rate(60); math.Abs(got-0.6) > 1e-12 {
		t.Errorf("a fall longer than the run, step 60: got %v, want 0.6", got)
	}
	short := train.Schedule{Peak: 1, Min: 0.2, Warmup: 10, Steps: 10}
	if got := short.Rate(9); got != 0.9 {
		t.Errorf("a run that is all warm-up: got %v, want 0.9", got)
	}
}

// TestInitialWeights holds every distribution by its mean and deviation.
func TestInitialWeights(t *testing.T) {
	c := nn.Config{Vocab: 500, Width: 64, Layers: 2, Mixer: nn.MixerDelta, MemoryWidth: 128}.WithDefaults()
	w := train.InitialWeights(c, 7)
	again, other := train.InitialWeights(c, 7), train.InitialWeights(c, 8)
	compare(t, c, "the same seed", again, w, 0)
	if again.Embed().F32[0] == other.Embed().F32[0] {
		t.Error("another seed gives the same weights")
	}
	nn.Walk(c, w, func(p nn.Param, h *op.HostTensor) {
		name := p.Names[0]
		mean, deviation := 0.0, math.Sqrt(2/float64(p.Shape[len(p.Shape)-1]))
		switch {
		case name == "embed.weight":
			deviation = 1
		case name == "lm_head.weight":
			deviation /= 2
		case strings.Contains(name, "conv"):
			third := len(h.F32) / 3
			for i, passed := range []int{2, 3, 3} { // of key, query and value
				for at := range op.ConvTaps {
					want := 0.0
					if at == passed {
						want = 1.5
					}
					if m := moments(h.F32[i*third:(i+1)*third], at, op.ConvTaps); math.Abs(m[0]-want) > 0.01 || math.Abs(m[1]-0.02) > 0.01 {
						t.Errorf("%s: tap %d: got %v, want mean %v and deviation 0.02", p.Names[i], at, m, want)
					}
				}
			}
			return
		case strings.Contains(name, "ttt.down"):
			third := len(h.F32) / 3
			key, query, value := h.F32[:third], h.F32[third:2*third], h.F32[2*third:]
			if !slices.Equal(key, query) || slices.Equal(key, value) {
				t.Errorf("%s: want the query's projection equal to the key's, and the value's another", name)
			}
		case strings.Contains(name, "step"):
			deviation = 0
		case strings.Contains(name, "norm"):
			mean, deviation = 1, 0
		}
		if m := moments(h.F32, 0, 1); math.Abs(m[0]-mean) > 0.05*deviation || math.Abs(m[1]-deviation) > 0.05*deviation {
			t.Errorf("%s: got %v, want mean %v and deviation %v", name, m, mean, deviation)
		}
	})
}

// moments are mean and deviation of every stride-th value.
func moments(v []float32, from, stride int) [2]float64 {
	var n, sum, squares float64
	for i := from; i < len(v); i += stride {
		n++
		sum += float64(v[i])
		squares += float64(v[i]) * float64(v[i])
	}
	mean := sum / n
	return [2]float64{mean, math.Sqrt(max(squares/n-mean*mean, 0))}
}

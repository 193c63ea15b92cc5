package train

import (
	"math"

	"bitgpu/nn/op"
)

// Constants of AdamW, as in docs/equations.md and the reference vectors.
const (
	beta1   = 0.9
	beta2   = 0.999
	epsilon = 1e-8
)

// Schedule is the learning rate over a run: linear warm-up from 0 to Peak, then half a cosine down to Min (arXiv 1608.03983).
// With DecaySteps the rate stays at Peak until then, so that a run can be extended, or ended early, from any checkpoint
// before the decay (warmup-stable-decay, arXiv 2404.06395).
type Schedule struct {
	Peak, Min     float64
	Warmup, Steps int
	DecaySteps    int // length of the decay, 0 = everything after the warm-up
}

// Rate returns the learning rate of a step, counted from 0.
func (s Schedule) Rate(step int) float64 {
	switch {
	case step < s.Warmup:
		return s.Peak * float64(step) / float64(s.Warmup)
	case step >= s.Steps:
		return s.Min
	}
	from := s.Warmup
	if s.DecaySteps > 0 {
		from = max(from, s.Steps-s.DecaySteps)
	}
	if step < from {
		return s.Peak
	}
	progress := float64(step-from) / float64(s.Steps-from)
	return s.Min + (s.Peak-s.Min)*0.5*(1+math.Cos(math.Pi*progress))
}

// hyper fills in what AdamW reads on the device for update number step, counted from 0.
func hyper(dst *[op.HyperCount]float32, step int, rate, decay, clip float64) {
	dst[op.HyperLR] = float32(rate)
	dst[op.HyperBeta1], dst[op.HyperBeta2], dst[op.HyperEps] = beta1, beta2, epsilon
	dst[op.HyperDecay], dst[op.HyperClip] = float32(decay), float32(clip)
	dst[op.HyperCorrect1] = float32(1 - math.Pow(beta1, float64(step+1)))
	dst[op.HyperCorrect2] = float32(1 - math.Pow(beta2, float64(step+1)))
}

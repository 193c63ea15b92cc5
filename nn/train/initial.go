package train

import (
	"math"
	"math/rand/v2"
	"strings"

	"bitgpu/nn"

	"github.com/x448/float16"
)

// InitialWeights draws the weights a training begins with, float32: embedding N(0, 1), BitLinear
// Kaiming normal (arXiv 1502.01852), head half of that, convolutions that pass the newest input
// on, steps 0, norms 1. Every parameter has a random stream of its own.
func InitialWeights(c nn.Config, seed uint64) *nn.Weights[nn.HostTensor] {
	w := new(nn.Weights[nn.HostTensor])
	stream := uint64(0)
	nn.Walk(c, w, func(p nn.Param, t *nn.HostTensor) {
		stream++
		values := make([]float32, nn.Count(p.Shape))
		*t = nn.HostTensor{Format: nn.F32, Shape: p.Shape, F32: values}
		normal := rand.New(rand.NewPCG(seed, stream)).NormFloat64
		kaiming := math.Sqrt(2 / float64(p.Shape[len(p.Shape)-1]))
		draw := func() float64 { return 1 } // norms
		switch name := p.Names[0]; {
		case name == "embed.weight":
			draw = normal
		case name == "lm_head.weight":
			draw = func() float64 { return kaiming / 2 * normal() }
		case p.Kind == nn.Linear:
			draw = func() float64 { return kaiming * normal() }
		case strings.Contains(name, "ttt.conv_"):
			draw = func() float64 { return 0.02 * normal() }
		case strings.Contains(name, "ttt.step."):
			draw = func() float64 { return 0 }
		}
		for i := range values {
			values[i] = float32(draw())
		}
		if strings.Contains(p.Names[0], "ttt.conv_") {
			for i := nn.ConvTail; i < len(values); i += nn.ConvTaps {
				values[i]++
			}
		}
	})
	return w
}

// FloatWeights gives weights that were read from a file as float32, whatever tables came as.
func FloatWeights(c nn.Config, w *nn.Weights[nn.HostTensor]) *nn.Weights[nn.HostTensor] {
	return nn.MapWeights(c, w, func(p nn.Param, h nn.HostTensor) nn.HostTensor {
		f := nn.HostTensor{Format: nn.F32, Shape: h.Shape, F32: h.F32}
		switch h.Format {
		case nn.F16:
			f.F32 = make([]float32, len(h.F16))
			for i, x := range h.F16 {
				f.F32[i] = float16.Frombits(x).Float32()
			}
		case nn.I8:
			f.F32 = make([]float32, len(h.I8))
			for i, x := range h.I8 {
				f.F32[i] = float32(x) * h.Scales[i/h.Shape[1]]
			}
		case nn.Ternary:
			panic("train: " + p.Names[0] + ": ternary weights have no masters")
		}
		return f
	})
}

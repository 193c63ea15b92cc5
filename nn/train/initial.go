package train

import (
	"math"
	"math/rand/v2"
	"strings"

	"bitgpu/nn"

	"github.com/x448/float16"
)

// tap is the initial weight of the one tap that each convolution of the delta mixer passes on.
const tap = 1.5

// InitialWeights draws the weights a training begins with, float32: embedding N(0, 1), BitLinear
// Kaiming normal (arXiv 1502.01852), head half of that, steps 0, norms 1. Every parameter has a
// random stream of its own.
//
// The delta mixer's query begins as its key, of which the convolution passes the token before on,
// those of query and value the newest: from the start a memory keeps "after this came that", and
// asks for it with "this". Projections of their own, all of the newest token, do not find back to it.
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
		if !c.Delta() || p.Layer < 0 {
			return
		}
		switch t {
		case &w.Layers[p.Layer].Mix: // key, query, value
			third := len(values) / 3
			copy(values[third:2*third], values[:third])
		case &w.Layers[p.Layer].Conv:
			for i := 0; i < len(values); i += nn.ConvTaps {
				newest := i + nn.ConvTaps - 1
				if i < len(values)/3 {
					newest-- // of the key, the token before
				}
				values[newest] += tap
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

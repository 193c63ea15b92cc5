package nn

import (
	"strings"

	"bitgpu/nn/layer"
	"bitgpu/nn/op"
	"bitgpu/nn/ternary"
)

// Packing is the memory layout of a public family's weights, which is that of their files.
type Packing struct {
	Group  int       // inputs of a row that share a float16 scale; 0: one float32 scale per matrix
	Tables op.Format // of embedding and head: Ternary, F16, BF16 or F32
}

// Packing returns the usual layout of a public family: Bonsai's groups of 128 and ternary tables, otherwise BitNet's one
// scale per matrix and tables in bfloat16.
func (c Config) Packing() Packing {
	if strings.HasPrefix(c.Decoder.Family, "qwen3") {
		return Packing{128, op.Ternary}
	}
	return Packing{0, op.BF16}
}

// WeightBytes returns the size of a public family's weights.
func (c Config) WeightBytes(p Packing) int64 {
	total := int64(0)
	for _, param := range Params(c) {
		n := int64(op.Count(param.Shape))
		switch {
		case param.Kind == layer.Gain:
			total += 4 * n
		case param.Kind == layer.Linear || p.Tables == op.Ternary:
			total += int64(param.Shape[0]) * int64(ternary.RowBytes(param.Shape[1]))
			if p.Group > 0 {
				total += 2 * (n / int64(p.Group))
			} else {
				total += 4 * int64(len(param.Names))
			}
		case p.Tables == op.F16 || p.Tables == op.BF16:
			total += 2 * n
		default:
			total += 4 * n
		}
	}
	return total
}

// HostBytes returns the size of weights in host memory, and so on a device that does not convert them.
func HostBytes(w *Weights[op.HostTensor]) int64 {
	total := int64(0)
	for _, h := range *w {
		total += int64(h.Bytes())
	}
	return total
}

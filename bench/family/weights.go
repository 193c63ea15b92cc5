package family

import (
	"math"
	"math/rand/v2"
	"strings"
	"sync"

	"bitgpu/nn"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
	"bitgpu/nn/ternary"

	"github.com/x448/float16"
)

// pool returns packed ternary weights that all matrices are made of pieces of, because drawing each weight would take minutes. Its
// length is odd, so that pieces start at different places in rows. It is drawn at first use, so that the program starts fast.
var pool = sync.OnceValue(func() []byte {
	r := rand.New(rand.NewPCG(1, 2))
	p := make([]byte, 1<<20+13)
	for i := range p {
		for s := 0; s < 8; s += 2 {
			p[i] |= byte(r.IntN(3)) << s
		}
	}
	return p
})

// Tensor makes the weights of parameter i of [nn.Params]. They are the same every time.
func (f Family) Tensor(i int, p nn.Param) op.HostTensor {
	r := rand.New(rand.NewPCG(3, uint64(i)))
	t := op.HostTensor{Shape: p.Shape}
	n := op.Count(p.Shape)
	switch {
	case p.Kind == layer.Gain:
		t.F32 = gains(r, n, p.Names[0])
	case f.floats(p):
		t.Format, t.F16 = op.F16, make([]uint16, n)
		for i := range t.F16 {
			t.F16[i] = uint16(r.Uint32())&0x83ff | 0x2000 // a sign and 10 bits, from 2⁻⁷ to 2⁻⁶
		}
	default:
		t.Format, t.Int8 = op.Ternary, p.Kind == layer.Linear && f.Decoder.Int8
		t.Codes = make([]byte, p.Shape[0]*ternary.RowBytes(p.Shape[1]))
		pool := pool()
		for at := 0; at < len(t.Codes); {
			at += copy(t.Codes[at:], pool[r.IntN(len(pool)/2):])
		}
		f.scale(&t, r, p)
	}
	return t
}

// floats reports whether a matrix is stored in float16.
func (f Family) floats(p nn.Param) bool { return f.Group == 0 && p.Kind == layer.Table }

// gains returns n numbers around 1, or values of the other vectors of the gated delta rule.
func gains(r *rand.Rand, n int, name string) []float32 {
	v := make([]float32, n)
	for i := range v {
		x := r.Float32()
		switch {
		case strings.HasSuffix(name, "linear_attn.decay"):
			v[i] = -x - 0.01
		case strings.HasSuffix(name, "linear_attn.dt_bias"), strings.HasSuffix(name, "linear_attn.conv1d.weight"):
			v[i] = 2*x - 1
		default:
			v[i] = 0.75 + x/2
		}
	}
	return v
}

// scale gives a matrix scales with which the activations of a random model stay near 1.
func (f Family) scale(t *op.HostTensor, r *rand.Rand, p nn.Param) {
	rows, cols := p.Shape[0], p.Shape[1]
	// A float16 between about √½ and √2 times the factor that keeps a product's mean square at 1.
	exponent := math.Round(math.Log2(math.Sqrt(1.5/float64(cols)))) - 0.5
	draw := func() float16.Float16 { return float16.Fromfloat32(float32(math.Exp2(exponent + r.Float64()))) }
	if f.Group == 0 {
		t.Absmean = true
		parts := f.PartRows(p)
		for _, n := range parts {
			γ := draw().Float32()
			if n*len(parts) == rows {
				t.Scales = append(t.Scales, γ)
				continue
			}
			for range n { // if parts differ in size, scales are stored per row
				t.Scales = append(t.Scales, γ)
			}
		}
		return
	}
	t.Group = f.Group
	groups := cols / f.Group
	// In files the columns of this matrix are in another order, a head at a time, so all groups of a row share one scale.
	whole := strings.HasSuffix(p.Names[0], "linear_attn.out_proj.weight")
	t.GroupScales = make([]uint16, rows*groups)
	for i := range t.GroupScales {
		if g := i % groups; g == 0 || g%2 == 0 && !whole {
			t.GroupScales[i] = draw().Bits()
		} else {
			t.GroupScales[i] = t.GroupScales[i-1]
		}
	}
}

// PartRows returns how many rows each name of a parameter has.
func (f Family) PartRows(p nn.Param) (rows []int) {
	d := f.Decoder
	for _, name := range p.Names {
		n := p.Shape[0] / len(p.Names)
		switch {
		case strings.HasSuffix(name, "self_attn.q_proj.weight"), strings.HasSuffix(name, "self_attn.gate_proj.weight"):
			n = d.Heads * d.HeadWidth
		case strings.HasSuffix(name, "self_attn.k_proj.weight"), strings.HasSuffix(name, "self_attn.v_proj.weight"):
			n = d.KVHeads * d.HeadWidth
		case strings.HasSuffix(name, "linear_attn.in_proj_z.weight"):
			n = d.Recurrent.Heads * d.Recurrent.ValueWidth
		case strings.HasSuffix(name, "linear_attn.in_proj_qkv.weight"):
			n = 2*d.Recurrent.KeyHeads*d.Recurrent.KeyWidth + d.Recurrent.Heads*d.Recurrent.ValueWidth
		}
		rows = append(rows, n)
	}
	return rows
}

// Bytes returns the size of a parameter as [Family.Tensor] makes it, without γ.
func (f Family) Bytes(p nn.Param) int64 {
	n := int64(op.Count(p.Shape))
	switch {
	case p.Kind == layer.Gain:
		return 4 * n
	case f.floats(p):
		return 2 * n
	case f.Group == 0:
		return n / 4
	}
	return n/4 + 2*n/int64(f.Group)
}

// Weights returns all parameters in host memory.
func (f Family) Weights() *nn.Weights[op.HostTensor] {
	return Load(f, func(t op.HostTensor) op.HostTensor { return t })
}

// Load makes the parameters one at a time and passes each to load.
func Load[T any](f Family, load func(op.HostTensor) T) *nn.Weights[T] {
	var w nn.Weights[T]
	for i, p := range nn.Params(f.Config(1)) {
		w = append(w, load(f.Tensor(i, p)))
	}
	return &w
}

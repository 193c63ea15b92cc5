package optest

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/x448/float16"

	"bitgpu/nn"
	"bitgpu/nn/arch"
	"bitgpu/nn/cpu"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// decoder is a small model of a public family.
type decoder struct {
	name  string
	group int       // inputs that share a scale, 0: γ
	table op.Format // of the embedding and the head; ternary ones have groups of 32
	whole bool      // all properties are held, and not the logits alone
	*arch.Decoder
}

// families returns one of each, with sizes that do not fill workgroups evenly.
func families() []decoder {
	with := func(change func(d *arch.Decoder)) *arch.Decoder {
		d := &arch.Decoder{
			Vocab: 101, Width: 96, Layers: 2, MLP: 160, Heads: 6, KVHeads: 2, HeadWidth: 36, Context: 330, Eps: 1e-6, Rope: arch.Rope{Width: 36, Theta: 1e4},
		}
		change(d)
		return d
	}
	hybrid := func(d *arch.Decoder) {
		d.HeadNorms, d.Gated, d.HeadWidth, d.Rope.Width, d.Tied = true, true, 64, 16, true
		d.Recurrent = &arch.Recurrent{KeyHeads: 2, Heads: 6, KeyWidth: 16, ValueWidth: 32, Taps: 4, Attends: []bool{false, true}}
	}
	wide := func(change func(d *arch.Decoder)) *arch.Decoder { // rows of Q4_K and Q6_K are multiples of 256
		d := with(change)
		d.Width = 256
		return d
	}
	return []decoder{
		{"llama with tables of Q8_0", 0, op.Q8_0, false, with(func(d *arch.Decoder) {})},
		{"qwen3 with a table of Q4_0", 32, op.Q4_0, true, with(func(d *arch.Decoder) { d.HeadNorms, d.Tied, d.HeadWidth = true, true, 64 })},
		{"bitnet with tables of Q4_K", 0, op.Q4_K, false, wide(func(d *arch.Decoder) { d.SubNorms, d.Squared, d.Int8 = true, true, true })},
		{"bitnet with a table of Q6_K", 0, op.Q6_K, true, wide(func(d *arch.Decoder) { d.SubNorms, d.Squared, d.Tied = true, true, true })},
		{"llama", 0, op.F16, false, with(func(d *arch.Decoder) {})},
		{"bitnet", 0, op.BF16, false, with(func(d *arch.Decoder) { d.SubNorms, d.Squared, d.Int8, d.Tied, d.Eps = true, true, true, true, 1e-5 })},
		{"falcon", 0, op.F32, false, with(func(d *arch.Decoder) { d.Int8, d.KVHeads = true, 1 })},
		{"qwen3", 32, op.Ternary, false, with(func(d *arch.Decoder) {
			d.HeadNorms, d.HeadWidth, d.Rope.Width = true, 64, 64
			d.Rope.YaRN = &arch.YaRN{Factor: 4, Original: 100, BetaFast: 32, BetaSlow: 1}
		})},
		{"qwen3 with a half cache", 32, op.BF16, true, with(func(d *arch.Decoder) { d.HeadNorms, d.HalfCache, d.HeadWidth, d.Context = true, true, 64, 600 })},
		{"hybrid", 32, op.Ternary, false, with(hybrid)},
		{"rotated hybrid", 32, op.Ternary, true, with(func(d *arch.Decoder) {
			hybrid(d)
			d.Rotation = 32
		})},
		{"falcon with norms of each matrix", 0, op.F32, false, with(func(d *arch.Decoder) { d.Int8, d.LinearNormEps = true, 1e-5 })},
		{"bitnet with norms of each matrix", 0, op.BF16, true, with(func(d *arch.Decoder) { d.SubNorms, d.Tied, d.LinearNormEps = true, true, 1e-6 })},
	}
}

// EachFamily visits a small model of each public family, the same each time.
func EachFamily(visit func(name string, c nn.Config, w *nn.Weights[op.HostTensor])) {
	for i, d := range families() {
		visit(d.name, nn.OfDecoder(d.Decoder), d.weights(uint64(i)))
	}
}

// weights returns random weights, the same for a seed.
func (d decoder) weights(seed uint64) *nn.Weights[op.HostTensor] {
	r := rand.New(rand.NewPCG(seed, 0))
	kind, grouped := d.table.Quants()
	w := new(nn.Weights[op.HostTensor])
	nn.Walk(nn.OfDecoder(d.Decoder), w, func(p nn.Param, t *op.HostTensor) {
		*t = op.HostTensor{Shape: p.Shape}
		values := make([]float32, op.Count(p.Shape))
		for i := range values {
			values[i] = float32(1 + 0.3*r.NormFloat64())
			switch name := p.Names[0]; {
			case p.Kind != layer.Gain:
				values[i] = float32(r.NormFloat64())
			case name[max(0, len(name)-6):] == ".signs":
				values[i] = float32(1 - 2*r.IntN(2))
			case name[max(0, len(name)-6):] == ".decay":
				values[i] = -float32(r.ExpFloat64())
			}
		}
		switch {
		case p.Kind == layer.Gain, p.Kind == layer.Table && d.table == op.F32:
			t.F32 = values
		case p.Kind == layer.Table && grouped:
			t.Format, t.Quants = d.table, randomQuants(kind, p.Shape[0], p.Shape[1], r)
		case p.Kind == layer.Table && d.table != op.Ternary:
			t.Format, t.F16 = d.table, make([]uint16, len(values))
			for i, v := range values {
				t.F16[i] = float16.Fromfloat32(v).Bits()
				if d.table == op.BF16 {
					t.F16[i] = uint16(math.Float32bits(v) >> 16)
				}
			}
		default:
			for i := range values {
				values[i] = float32(r.IntN(3) - 1)
			}
			*t = op.PackTernary(op.HostTensor{Shape: p.Shape, F32: values}, 1, true)
			scale := math.Sqrt(1.5 / float64(p.Shape[1]))
			group := d.group
			if p.Kind == layer.Table {
				scale, group = 1, 32
			}
			if group == 0 { // a row each, as of matrices of several parts
				t.Scales = make([]float32, p.Shape[0])
				for i := range t.Scales {
					t.Scales[i] = float32(scale * (0.5 + r.Float64()))
				}
				return
			}
			t.Scales, t.Absmean, t.Group = nil, false, group
			for range len(values) / group {
				t.GroupScales = append(t.GroupScales, float16.Fromfloat32(float32(scale*(0.5+r.Float64()))).Bits())
			}
		}
	})
	return w
}

// aStep is how far logits may differ if a number on the way is rounded to int8 or float16, where halves may go either way.
const aStep = 1e-2

// Decoders checks what models of the public families must do on every backend: logits and text like those of the reference in
// float64, read at once and in pieces, and the properties of sessions.
func Decoders[T any](t *testing.T, ops op.Executor[T], tolerance float64) {
	for i, d := range families() {
		t.Run(d.name, func(t *testing.T) {
			if err := d.Validate(); err != nil {
				t.Fatal(err)
			}
			c, weights := nn.OfDecoder(d.Decoder), d.weights(uint64(i))
			model, err := nn.NewModel(ops, c, weights)
			check(t, err)
			defer model.Release()
			reference, err := nn.NewModel(cpu.NewScalar[float64](), c, weights)
			check(t, err)
			s := fixture[T]{t, model, reference, tolerance}
			if d.Int8 || d.HalfCache {
				s.tolerance = max(tolerance, aStep)
			}
			t.Run("logits", func(t *testing.T) { s.on(t).logits() })
			for _, property := range []struct {
				name  string
				holds func(s fixture[T])
			}{
				{"steps=prefill", fixture[T].steps}, {"fork", fixture[T].fork}, {"reset", fixture[T].reset}, {"refuse", fixture[T].refuse},
				{"batch=singles", fixture[T].batch}, {"turns", fixture[T].turns},
			} {
				if !d.whole {
					break
				}
				t.Run(property.name, func(t *testing.T) { property.holds(s.on(t)) })
			}
		})
	}
}

func (s fixture[T]) on(t *testing.T) fixture[T] {
	s.t = t
	return s
}

// logits: those after every token, and the text that follows, are the reference's.
func (s fixture[T]) logits() {
	tokens := s.text(75, 30)
	all := func(pieces int, read func(tokens []uint32, visit func(int, []float32) error) error) (logits []float32) {
		for part := range slices.Chunk(tokens, pieces) {
			check(s.t, read(part, func(_ int, l []float32) error {
				logits = append(logits, l...)
				return nil
			}))
		}
		return logits
	}
	right := session(s.t, s.reference, 1)
	want := all(len(tokens), right.ForwardAll)
	text := generate(s.t, right, 20, -1, op.Sampling{})
	for _, pieces := range []int{len(tokens), 1, 9} {
		got := session(s.t, s.model, 1)
		closeTo(s.t, "logits", all(pieces, got.ForwardAll), want, s.tolerance)
		if found := generate(s.t, got, 20, -1, op.Sampling{}); s.tolerance < aStep && !slices.EqualFunc(found, text, slices.Equal) {
			s.t.Errorf("in pieces of %d: got %v, want %v", pieces, found, text)
		}
	}
}

package nn_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/arch"
	"bitgpu/nn/cpu"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"

	"github.com/x448/float16"
)

// decoders are small models of each family.
func decoders() map[string]*arch.Decoder {
	plain := arch.Decoder{
		Vocab: 96, Width: 128, Layers: 2, MLP: 192, Heads: 4, KVHeads: 2, HeadWidth: 32, Context: 64, Eps: 1e-5, Rope: arch.Rope{Width: 32, Theta: 1e4},
	}
	with := func(change func(d *arch.Decoder)) *arch.Decoder {
		d := plain
		change(&d)
		return &d
	}
	hybrid := func(d *arch.Decoder) {
		d.HeadNorms, d.Gated, d.Rope.Width = true, true, 8
		d.Recurrent = &arch.Recurrent{KeyHeads: 2, Heads: 6, KeyWidth: 16, ValueWidth: 32, Taps: 4, Attends: []bool{false, true}}
	}
	return map[string]*arch.Decoder{
		"llama":  &plain,
		"llama3": with(func(d *arch.Decoder) { d.Rope.Factors, d.KVHeads = slices.Repeat([]float64{1, 3}, 8), 1 }),
		"bitnet": with(func(d *arch.Decoder) { d.SubNorms, d.Squared, d.Int8, d.Tied = true, true, true, true }),
		"qwen3": with(func(d *arch.Decoder) {
			d.HeadNorms, d.HeadWidth, d.Rope.Width = true, 64, 64
			d.Rope.YaRN = &arch.YaRN{Factor: 4, Original: 16, BetaFast: 32, BetaSlow: 1}
		}),
		"qwen3 in float16":                 with(func(d *arch.Decoder) { d.HeadNorms, d.HalfCache = true, true }),
		"bitnet with norms of each matrix": with(func(d *arch.Decoder) { d.SubNorms, d.KVHeads, d.LinearNormEps = true, 1, 1e-6 }),
		"hybrid":                           with(hybrid),
		"rotated hybrid": with(func(d *arch.Decoder) {
			hybrid(d)
			d.Rotation = 64
		}),
	}
}

// randomDecoder gives a decoder weights: ternary tables and matrices with a scale each 32 inputs, or γ where activations are
// rounded, with numbers of about the size of 1 in all rows.
func randomDecoder(d *arch.Decoder, seed uint64) *nn.Weights[op.HostTensor] {
	rng := rand.New(rand.NewPCG(seed, 1))
	w := new(nn.Weights[op.HostTensor])
	nn.Walk(nn.OfDecoder(d), w, func(p nn.Param, t *op.HostTensor) {
		t.Shape = p.Shape
		n := op.Count(p.Shape)
		if p.Kind == layer.Gain {
			t.F32 = make([]float32, n)
			for i := range t.F32 {
				t.F32[i] = float32(1 + 0.3*rng.NormFloat64())
				switch name := p.Names[0][max(0, len(p.Names[0])-6):]; {
				case name == ".signs":
					t.F32[i] = float32(1 - 2*rng.IntN(2))
				case name == ".decay":
					t.F32[i] = -float32(rng.ExpFloat64())
				}
			}
			return
		}
		rows, cols := p.Shape[0], p.Shape[1]
		scale := float32(math.Sqrt(1.5 / float64(cols)))
		if p.Kind == layer.Table {
			scale = 1
		}
		codes := make([]float32, n)
		for i := range codes {
			codes[i] = float32(rng.IntN(3) - 1)
		}
		*t = op.PackTernary(op.HostTensor{Format: op.F32, Shape: p.Shape, F32: codes}, 1, true)
		if d.Int8 && p.Kind == layer.Linear {
			t.Scales[0] = scale
			return
		}
		t.Scales, t.Absmean, t.Group = nil, false, 32
		for range rows * cols / t.Group {
			t.GroupScales = append(t.GroupScales, float16.Fromfloat32(scale*(0.5+rng.Float32())).Bits())
		}
	})
	return w
}

func eachDecoder(t *testing.T, check func(t *testing.T, d *arch.Decoder, w *nn.Weights[op.HostTensor])) {
	for name, d := range decoders() {
		t.Run(name, func(t *testing.T) {
			if err := d.Validate(); err != nil {
				t.Fatal(err)
			}
			check(t, d, randomDecoder(d, 7))
		})
	}
}

func startDecoder[T any](t *testing.T, b op.Executor[T], d *arch.Decoder, w *nn.Weights[op.HostTensor], batch int) *nn.Session[T] {
	t.Helper()
	c := nn.OfDecoder(d)
	m, err := nn.NewModel(b, c, w)
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.NewSession(batch, c.DefaultScan())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		m.Release()
	})
	return s
}

func randomTokens(n int, d *arch.Decoder, seed uint64) []uint32 {
	rng := rand.New(rand.NewPCG(seed, 2))
	ids := make([]uint32, n)
	for i := range ids {
		ids[i] = uint32(rng.IntN(d.Vocab))
	}
	return ids
}

// readLogits reads tokens in pieces of a length and gives the logits behind each.
func readLogits[T any](t *testing.T, s *nn.Session[T], ids []uint32, piece int) (all []float32) {
	t.Helper()
	for part := range slices.Chunk(ids, piece) {
		if err := s.ForwardAll(part, func(_ int, logits []float32) error {
			all = append(all, logits...)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func distance(got, want []float32) float64 {
	off, peak := 0.0, 0.0
	for i := range want {
		off, peak = max(off, math.Abs(float64(got[i]-want[i]))), max(peak, math.Abs(float64(want[i])))
	}
	return off / peak
}

// The engine, in pieces of any length, is the reference in float64. Where activations are rounded, to whole numbers or to
// float16, a difference of float32 from float64 may round one the other way; there the reference in float32 is held to it.
func TestDecoderIsTheReference(t *testing.T) {
	eachDecoder(t, func(t *testing.T, d *arch.Decoder, w *nn.Weights[op.HostTensor]) {
		ids := randomTokens(40, d, 1)
		var want []float32
		if bound := 2e-5; d.Int8 || d.HalfCache {
			want = readLogits(t, startDecoder(t, cpu.NewScalar[float32](), d, w, 1), ids, 40)
		} else {
			want = readLogits(t, startDecoder(t, cpu.NewScalar[float64](), d, w, 1), ids, 40)
			if off := distance(readLogits(t, startDecoder(t, cpu.NewScalar[float32](), d, w, 1), ids, 1), want); !(off < bound) {
				t.Errorf("the reference in float32 is off by %g, want %g", off, bound)
			}
		}
		bound := 2e-5
		if d.Int8 || d.HalfCache {
			bound = 5e-2
		}
		for _, piece := range []int{1, 3, 9, 40} {
			got := readLogits(t, startDecoder(t, cpu.New(), d, w, 1), ids, piece)
			if off := distance(got, want); !(off < bound) {
				t.Errorf("pieces of %d: off by %g, want %g", piece, off, bound)
			}
		}
	})
}

// A batch gives each sequence what it gets alone, and a fork goes on as its original would.
func TestDecoderBatchAndFork(t *testing.T) {
	eachDecoder(t, func(t *testing.T, d *arch.Decoder, w *nn.Weights[op.HostTensor]) {
		const batch, n = 3, 12
		ids := randomTokens(batch*n, d, 2)
		together := startDecoder(t, cpu.New(), d, w, batch)
		if err := together.Forward(ids); err != nil {
			t.Fatal(err)
		}
		fork, err := together.Fork()
		if err != nil {
			t.Fatal(err)
		}
		defer fork.Close()
		write := func(s *nn.Session[*cpu.Tensor[float32]]) (text []uint32) {
			if err := s.Generate(8, op.Sampling{}, func(ids []uint32) bool {
				text = append(text, ids...)
				return true
			}); err != nil {
				t.Fatal(err)
			}
			return text
		}
		want := write(together)
		if got := write(fork); !slices.Equal(got, want) {
			t.Errorf("the fork wrote %v, want %v", got, want)
		}
		for b := range batch {
			alone := startDecoder(t, cpu.New(), d, w, 1)
			if err := alone.Forward(ids[b*n : (b+1)*n]); err != nil {
				t.Fatal(err)
			}
			for i, id := range write(alone) {
				if id != want[i*batch+b] {
					t.Fatalf("sequence %d wrote token %d as %d, want %d as in the batch", b, i, id, want[i*batch+b])
				}
			}
		}
	})
}

// What a session leaves behind makes another one go on in the same way.
func TestDecoderStates(t *testing.T) {
	eachDecoder(t, func(t *testing.T, d *arch.Decoder, w *nn.Weights[op.HostTensor]) {
		ids := randomTokens(30, d, 3)
		s := startDecoder(t, cpu.New(), d, w, 1)
		readLogits(t, s, ids[:20], 20)
		states, err := s.States()
		if err != nil {
			t.Fatal(err)
		}
		other := startDecoder(t, cpu.New(), d, w, 1)
		readLogits(t, other, randomTokens(50, d, 4), 50) // what was there before must not show
		if err := other.SetStates(states, 20); err != nil {
			t.Fatal(err)
		}
		if got, want := readLogits(t, other, ids[20:], 10), readLogits(t, s, ids[20:], 10); !slices.Equal(got, want) {
			t.Errorf("off by %g, want the same", distance(got, want))
		}
		if err := other.SetStates(states[1:], 20); err == nil {
			t.Error("a state is missing: want an error")
		}
		if err := other.SetStates(states, 21); err == nil && d.Recurrent == nil {
			t.Error("states of another length: want an error")
		}
		if err := other.SetStates(states, int64(d.Context)+1); !errors.Is(err, nn.ErrContext) {
			t.Errorf("got %v, want %v", err, nn.ErrContext)
		}
	})
}

// The context is an end and no crash; what would not fit is refused as a whole.
func TestDecoderContext(t *testing.T) {
	d := decoders()["qwen3"]
	s := startDecoder(t, cpu.New(), d, randomDecoder(d, 5), 1)
	if err := s.Forward(randomTokens(d.Context+1, d, 1)); !errors.Is(err, nn.ErrContext) || s.Position() != 0 {
		t.Fatalf("got %v at %d, want %v at 0", err, s.Position(), nn.ErrContext)
	}
	if err := s.Forward(randomTokens(d.Context-5, d, 1)); err != nil {
		t.Fatal(err)
	}
	wrote := 0
	if err := s.Generate(100, op.Sampling{}, func([]uint32) bool { wrote++; return true }); err != nil || wrote != 5 || s.Left() != 0 {
		t.Errorf("wrote %d tokens (%v), %d left, want 5 and 0", wrote, err, s.Left())
	}
	if err := s.Forward([]uint32{1}); !errors.Is(err, nn.ErrContext) {
		t.Errorf("got %v, want %v", err, nn.ErrContext)
	}
	s.Reset()
	if err := s.Forward(randomTokens(d.Context, d, 1)); err != nil {
		t.Error(err)
	}
}

// Angles of far positions are as exact as those of near ones.
func TestAnglesFarOut(t *testing.T) {
	r := arch.Rope{Width: 64, Theta: 1e6}
	for _, at := range []int{0, 1, 1 << 16, 1<<18 - 1} {
		row := r.Angles(at, 1)
		for i := range r.Width / 2 {
			want := math.Cos(float64(at) * math.Pow(1e6, -float64(i)/32))
			if off := math.Abs(float64(row[i]) - want); off > 1e-7 {
				t.Errorf("%s: cosine %d is off by %g", fmt.Sprint("position ", at), i, off)
			}
		}
	}
}

// Nothing is allocated per token once a session is under way.
func TestDecoderDoesNotAllocate(t *testing.T) {
	eachDecoder(t, func(t *testing.T, d *arch.Decoder, w *nn.Weights[op.HostTensor]) {
		s := startDecoder(t, cpu.New(), d, w, 1)
		if err := s.Forward(randomTokens(4, d, 1)); err != nil {
			t.Fatal(err)
		}
		write := func(n int) {
			if err := s.Generate(n, op.Sampling{}, func([]uint32) bool { return true }); err != nil {
				t.Fatal(err)
			}
		}
		write(2)
		few := testing.AllocsPerRun(1, func() { write(2) })
		if many := testing.AllocsPerRun(1, func() { write(22) }); many > few+5 { // what a thread that wakes up may need
			t.Errorf("20 tokens more allocate %v times more, want 0", many-few)
		}
	})
}

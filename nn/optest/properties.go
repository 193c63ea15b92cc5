package optest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// small are the models of the properties: both mixers, both scales, one head and several.
var small = []struct {
	name   string
	config nn.Config
}{
	{"tied-none", nn.Config{Vocab: 40, Width: 36, Layers: 2, InnerLR: 0.1}},
	{"tied-absmean", nn.Config{Vocab: 33, Width: 32, Layers: 2, InnerLR: 1, WeightScale: nn.ScaleAbsmean}},
	{"narrow-mlp", nn.Config{Vocab: 33, Width: 32, Layers: 2, InnerLR: 0.5, WeightScale: nn.ScaleAbsmean, MLPWidth: 56}},
	{"other-mlp", nn.Config{Vocab: 33, Width: 32, Layers: 2, InnerLR: 0.5, WeightScale: nn.ScaleAbsmean, Activation: nn.ActivationReLU2, NormEps: 1e-2}},
	{"delta", nn.Config{Vocab: 40, Width: 32, Layers: 2, WeightScale: nn.ScaleAbsmean, Mixer: nn.MixerDelta, MemoryWidth: 24, Heads: 3}},
	{"delta-eps", nn.Config{Vocab: 40, Width: 32, Layers: 2, Mixer: nn.MixerDelta, MemoryWidth: 24, Heads: 3, NormEps: 0.1}},
	{"tied-head", nn.Config{Vocab: 33, Width: 32, Layers: 2, InnerLR: 0.5, WeightScale: nn.ScaleAbsmean, TiedHead: true}},
	{"delta-tied-head", nn.Config{Vocab: 40, Width: 32, Layers: 2, Mixer: nn.MixerDelta, MemoryWidth: 24, Heads: 3, TiedHead: true}},
}

// RandomWeights returns float32 weights for a configuration, the same for a seed, about as large as
// trained ones.
func RandomWeights(c nn.Config, seed uint64) *nn.Weights[op.HostTensor] {
	r := rand.New(rand.NewPCG(seed, 0))
	w := new(nn.Weights[op.HostTensor])
	nn.Walk(c, w, func(p nn.Param, t *op.HostTensor) {
		*t = op.HostTensor{Shape: p.Shape, F32: make([]float32, op.Count(p.Shape))}
		for i := range t.F32 {
			x := r.NormFloat64()
			switch {
			case p.Kind == layer.Linear:
				x *= math.Sqrt(2 / float64(p.Shape[1]))
			case p.Kind == layer.Gain && len(p.Shape) == 1:
				x = 1 + 0.1*x
			case p.Kind == layer.Gain, p.Names[0] == nn.HeadName, p.Kind == layer.Table && c.TiedHead:
				x *= 0.3
			}
			t.F32[i] = float32(x)
		}
	})
	return w
}

// fixture is a small model on a backend, and the same in float64 on the reference.
type fixture[T any] struct {
	t         *testing.T
	model     *nn.Model[T]
	reference *nn.Model[*cpu.Tensor[float64]]
	tolerance float64
}

// Properties checks what whole models must do on every backend. tolerance is the largest relative
// error ‖a−b‖/‖b‖ between two ways to compute the same numbers.
func Properties[T any](t *testing.T, ops op.Executor[T], tolerance float64) {
	for i, s := range small {
		t.Run(s.name, func(t *testing.T) {
			c := s.config.WithDefaults()
			if err := c.Validate(); err != nil {
				t.Fatal(err)
			}
			weights := RandomWeights(c, uint64(i))
			model, err := nn.NewModel(ops, c, weights)
			if err != nil {
				t.Fatal(err)
			}
			defer model.Release()
			reference, err := nn.NewModel(cpu.NewScalar[float64](), c, weights)
			if err != nil {
				t.Fatal(err)
			}
			for _, property := range []struct {
				name  string
				holds func(s fixture[T])
			}{
				{"chunked=sequential", fixture[T].chunks}, {"steps=prefill", fixture[T].steps}, {"split=whole", fixture[T].splits},
				{"fork", fixture[T].fork}, {"memory", fixture[T].memory}, {"reset", fixture[T].reset},
				{"refuse", fixture[T].refuse}, {"seeds", fixture[T].seeds}, {"batch=singles", fixture[T].batch},
				{"turns", fixture[T].turns}, {"loss", fixture[T].loss}, {"finite", fixture[T].finite},
			} {
				t.Run(property.name, func(t *testing.T) { property.holds(fixture[T]{t, model, reference, tolerance}) })
			}
		})
	}
}

// text returns n random tokens.
func (s fixture[T]) text(n int, seed uint64) []uint32 {
	r, ids := rand.New(rand.NewPCG(seed, 1)), make([]uint32, n)
	for i := range ids {
		ids[i] = uint32(r.IntN(s.model.Config.Vocab))
	}
	return ids
}

// session begins to read tokens (B, T) on a model.
func session[T any](t *testing.T, m *nn.Model[T], batch int, tokens ...uint32) *nn.Session[T] {
	t.Helper()
	s, err := m.NewSession(batch, m.Config.DefaultScan())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	check(t, s.Forward(tokens))
	return s
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// seen returns everything that can be seen of a session with one sequence: prediction, memories, tails. For a model with caches it
// is the prediction alone, because caches may hold anything behind the position.
func seen[T any](t *testing.T, s *nn.Session[T], vocab int) []float32 {
	t.Helper()
	all := make([]float32, vocab)
	check(t, s.Logits(all))
	if s.Left() < math.MaxInt64 {
		return all
	}
	layers, err := s.Memory()
	check(t, err)
	for _, l := range layers {
		all = append(append(all, l.W...), l.Tail...)
	}
	return all
}

// same compares two sessions.
func (s fixture[T]) same(what string, got, want *nn.Session[T]) {
	s.t.Helper()
	V := s.model.Config.Vocab
	closeTo(s.t, what, seen(s.t, got, V), seen(s.t, want, V), s.tolerance)
	if got.Position() != want.Position() {
		s.t.Errorf("%s: got position %d, want %d", what, got.Position(), want.Position())
	}
}

// chunks: the size of chunks changes nothing, on random tokens and on one token 300 times; both are
// compared with the reference, token by token, in float64.
func (s fixture[T]) chunks() {
	for name, tokens := range map[string][]uint32{"random": s.text(70, 0), "repeated": make([]uint32, 300)} {
		one := s.model.Config.DefaultScan()
		one.Chunk = 1
		want, memories := read(s.t, s.reference, one, append(tokens, 0), len(tokens))
		for _, chunk := range []int{1, 7, 16, 64} {
			scan := one
			scan.Chunk = chunk
			logits, memory := read(s.t, s.model, scan, append(tokens, 0), len(tokens))
			what := fmt.Sprintf("%s, chunk %d: ", name, chunk)
			closeTo(s.t, what+"logits", logits, want, s.tolerance)
			for i := range memory {
				closeTo(s.t, fmt.Sprintf("%smemory %d", what, i), memory[i].W, memories[i].W, s.tolerance)
			}
		}
	}
}

// steps: reading at once is reading token by token, across the convolutions too.
func (s fixture[T]) steps() {
	tokens := s.text(19, 2)
	whole, single := session(s.t, s.model, 1, tokens...), session(s.t, s.model, 1)
	for _, id := range tokens {
		check(s.t, single.Forward([]uint32{id}))
	}
	s.same("steps", single, whole)
	s.goesOn("steps", single, whole)
}

// splits: a text read in any pieces is the text read at once. One is longer than a pass.
func (s fixture[T]) splits() {
	tokens := s.text(260, 3)
	whole := session(s.t, s.model, 1, tokens...)
	r := rand.New(rand.NewPCG(4, 4))
	for range 3 {
		pieces := session(s.t, s.model, 1)
		for rest := tokens; len(rest) > 0; {
			n := min(1+r.IntN(100), len(rest))
			check(s.t, pieces.Forward(rest[:n]))
			rest = rest[n:]
		}
		s.same("pieces", pieces, whole)
	}
	var last []float32
	all := session(s.t, s.model, 1)
	check(s.t, all.ForwardAll(tokens, func(_ int, logits []float32) error {
		last = append(last[:0], logits[len(logits)-s.model.Config.Vocab:]...)
		return nil
	}))
	s.same("ForwardAll", all, whole)
	closeTo(s.t, "last of ForwardAll", last, seen(s.t, whole, s.model.Config.Vocab)[:len(last)], s.tolerance)
}

// fork: a fork and the session that it came from do not affect each other.
func (s fixture[T]) fork() {
	begin, one, other := s.text(9, 5), s.text(7, 6), s.text(8, 7)
	origin := session(s.t, s.model, 1, begin...)
	fork, err := origin.Fork()
	check(s.t, err)
	defer fork.Close()
	s.same("at the fork", fork, origin)
	check(s.t, fork.Forward(other))
	check(s.t, origin.Forward(one))
	for _, way := range []struct {
		name string
		took *nn.Session[T]
		text []uint32
	}{{"origin", origin, one}, {"fork", fork, other}} {
		plain := session(s.t, s.model, 1, slices.Concat(begin, way.text)...)
		s.same(way.name, way.took, plain)
		s.goesOn(way.name, way.took, plain)
	}
}

// memory: going on after save and load is the same as going on.
func (s fixture[T]) memory() {
	begin, rest := s.text(21, 8), s.text(5, 9)
	on := session(s.t, s.model, 1, begin...)
	saved, err := on.Memory()
	check(s.t, err)
	loaded := session(s.t, s.model, 1, s.text(3, 10)...)
	check(s.t, loaded.SetMemory(saved, on.Position()))
	check(s.t, on.Forward(rest))
	check(s.t, loaded.Forward(rest))
	s.same("loaded", loaded, on)
}

// reset: nothing stays of what was read.
func (s fixture[T]) reset() {
	used := session(s.t, s.model, 1, s.text(30, 11)...)
	check(s.t, used.Generate(3, op.Sampling{Temperature: 1}, func([]uint32) bool { return true }))
	used.Reset()
	s.same("empty", used, session(s.t, s.model, 1))
	tokens := s.text(6, 12)
	check(s.t, used.Forward(tokens))
	plain := session(s.t, s.model, 1, tokens...)
	s.same("read again", used, plain)
	s.goesOn("read again", used, plain)
}

// loss: a batch cut into its sequences has the same mean loss and the same mean gradients.
func (s fixture[T]) loss() {
	const B, time = 3, 12
	c, ops := s.model.Config, s.model.Backend
	weights := RandomWeights(c, 16)
	// run returns the loss and all gradients of a batch.
	run := func(rows ...[]uint32) (all []float32) {
		scoped := &scope[T]{Executor: ops}
		defer scoped.release()
		tape, err := newTape[T](scoped, &Reference{Config: c, Weights: weights, Tokens: rows}, c.DefaultScan())
		check(s.t, err)
		tape.gradients()
		take := func(x T, n int) {
			host := make([]float32, n)
			check(s.t, ops.Download(x, 0, host))
			all = append(all, host...)
		}
		take(tape.loss, 1)
		nn.Walk(c, tape.dw, func(p nn.Param, g *T) { take(*g, op.Count(p.Shape)) })
		return all
	}
	var rows [][]uint32
	for b := range B {
		rows = append(rows, s.text(time+1, uint64(17+b)))
	}
	whole := run(rows...)
	for _, cut := range []int{1, 2} {
		head, tail := run(rows[:cut]...), run(rows[cut:]...)
		mean := make([]float32, len(whole))
		for i := range mean {
			mean[i] = (float32(cut)*head[i] + float32(B-cut)*tail[i]) / B
		}
		what := fmt.Sprintf("cut after %d", cut)
		closeTo(s.t, what+": loss", mean[:1], whole[:1], s.tolerance)
		closeTo(s.t, what+": gradients", mean[1:], whole[1:], 10*s.tolerance)
	}
}

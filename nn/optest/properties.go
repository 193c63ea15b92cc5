package optest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/cpu"
)

// small are the models of the properties: both mixers, both scales, one head and several.
var small = []struct {
	name   string
	config nn.Config
}{
	{"tied-none", nn.Config{Vocab: 40, Width: 36, Layers: 2, InnerLR: 0.1}},
	{"tied-absmean", nn.Config{Vocab: 33, Width: 32, Layers: 2, InnerLR: 1, WeightScale: nn.ScaleAbsmean}},
	{"delta", nn.Config{Vocab: 40, Width: 32, Layers: 2, WeightScale: nn.ScaleAbsmean, Mixer: nn.MixerDelta, MemoryWidth: 24, Heads: 3}},
}

// RandomWeights are float32 weights for a configuration, the same for a seed, about as large as
// trained ones.
func RandomWeights(c nn.Config, seed uint64) *nn.Weights[nn.HostTensor] {
	r := rand.New(rand.NewPCG(seed, 0))
	w := new(nn.Weights[nn.HostTensor])
	nn.Walk(c, w, func(p nn.Param, t *nn.HostTensor) {
		*t = nn.HostTensor{Shape: p.Shape, F32: make([]float32, nn.Count(p.Shape))}
		for i := range t.F32 {
			x := r.NormFloat64()
			switch {
			case p.Kind == nn.Linear:
				x *= math.Sqrt(2 / float64(p.Shape[1]))
			case p.Kind == nn.Gain && len(p.Shape) == 1:
				x = 1 + 0.1*x
			case p.Kind == nn.Gain, p.Names[0] == "lm_head.weight":
				x *= 0.3
			}
			t.F32[i] = float32(x)
		}
	})
	return w
}

// subject is a small model on a backend, and the same in float64 on the reference.
type subject[T any] struct {
	t         *testing.T
	model     *nn.Model[T]
	reference *nn.Model[*cpu.Tensor[float64]]
	tolerance float64
}

// Properties holds what whole models must do whatever computes them. tolerance is the largest
// relative error ‖a−b‖/‖b‖ between two ways to the same numbers.
func Properties[T any](t *testing.T, ops nn.Ops[T], tolerance float64) {
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
				holds func(s subject[T])
			}{
				{"chunked=sequential", subject[T].chunks}, {"steps=prefill", subject[T].steps}, {"split=whole", subject[T].splits},
				{"fork", subject[T].fork}, {"memory", subject[T].memory}, {"reset", subject[T].reset},
				{"refuse", subject[T].refuse}, {"seeds", subject[T].seeds}, {"batch=singles", subject[T].batch},
				{"loss", subject[T].loss},
			} {
				t.Run(property.name, func(t *testing.T) { property.holds(subject[T]{t, model, reference, tolerance}) })
			}
		})
	}
}

// text is n random tokens.
func (s subject[T]) text(n int, seed uint64) []uint32 {
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
	check(t, s.Read(tokens))
	return s
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// seen is all that one can see of a session of one sequence: prediction, memories, tails.
func seen[T any](t *testing.T, s *nn.Session[T], vocab int) []float32 {
	t.Helper()
	all := make([]float32, vocab)
	check(t, s.Logits(all))
	layers, err := s.Memory()
	check(t, err)
	for _, l := range layers {
		all = append(append(all, l.W...), l.Tail...)
	}
	return all
}

// same compares two sessions.
func (s subject[T]) same(what string, got, want *nn.Session[T]) {
	s.t.Helper()
	V := s.model.Config.Vocab
	closeTo(s.t, what, seen(s.t, got, V), seen(s.t, want, V), s.tolerance)
	if got.Position() != want.Position() {
		s.t.Errorf("%s: position %d wanted, %d found", what, want.Position(), got.Position())
	}
}

// goesOn compares what two sessions write from here: the repeat penalty shows which tokens they
// remember.
func (s subject[T]) goesOn(what string, got, want *nn.Session[T]) {
	s.t.Helper()
	p := nn.Sampling{RepeatPenalty: 3}
	found, wanted := generate(s.t, got, 6, -1, p), generate(s.t, want, 6, -1, p)
	if fmt.Sprint(found) != fmt.Sprint(wanted) {
		s.t.Errorf("%s: then %v wanted, %v found", what, wanted, found)
	}
}

// chunks: the chunk changes nothing, on random tokens and on one token 300 times; both are held
// against the reference token by token in float64.
func (s subject[T]) chunks() {
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
func (s subject[T]) steps() {
	tokens := s.text(19, 2)
	whole, single := session(s.t, s.model, 1, tokens...), session(s.t, s.model, 1)
	for _, id := range tokens {
		check(s.t, single.Read([]uint32{id}))
	}
	s.same("steps", single, whole)
	s.goesOn("steps", single, whole)
}

// splits: a text read in any pieces is the text read at once. One is longer than a pass.
func (s subject[T]) splits() {
	tokens := s.text(260, 3)
	whole := session(s.t, s.model, 1, tokens...)
	r := rand.New(rand.NewPCG(4, 4))
	for range 3 {
		pieces := session(s.t, s.model, 1)
		for rest := tokens; len(rest) > 0; {
			n := min(1+r.IntN(100), len(rest))
			check(s.t, pieces.Read(rest[:n]))
			rest = rest[n:]
		}
		s.same("pieces", pieces, whole)
	}
	var last []float32
	all := session(s.t, s.model, 1)
	check(s.t, all.ReadAll(tokens, func(_ int, logits []float32) error {
		last = append(last[:0], logits[len(logits)-s.model.Config.Vocab:]...)
		return nil
	}))
	s.same("ReadAll", all, whole)
	closeTo(s.t, "last of ReadAll", last, seen(s.t, whole, s.model.Config.Vocab)[:len(last)], s.tolerance)
}

// fork: what a fork reads is nothing to the session that it came from, nor the other way.
func (s subject[T]) fork() {
	begin, one, other := s.text(9, 5), s.text(7, 6), s.text(8, 7)
	origin := session(s.t, s.model, 1, begin...)
	fork, err := origin.Fork()
	check(s.t, err)
	defer fork.Close()
	s.same("at the fork", fork, origin)
	check(s.t, fork.Read(other))
	check(s.t, origin.Read(one))
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

// memory: saved, loaded and gone on is gone on.
func (s subject[T]) memory() {
	begin, rest := s.text(21, 8), s.text(5, 9)
	on := session(s.t, s.model, 1, begin...)
	saved, err := on.Memory()
	check(s.t, err)
	loaded := session(s.t, s.model, 1, s.text(3, 10)...)
	check(s.t, loaded.SetMemory(saved, on.Position()))
	check(s.t, on.Read(rest))
	check(s.t, loaded.Read(rest))
	s.same("loaded", loaded, on)
}

// reset: nothing stays of what was read.
func (s subject[T]) reset() {
	used := session(s.t, s.model, 1, s.text(30, 11)...)
	check(s.t, used.Generate(3, nn.Sampling{Temperature: 1}, func([]uint32) bool { return true }))
	used.Reset()
	s.same("empty", used, session(s.t, s.model, 1))
	tokens := s.text(6, 12)
	check(s.t, used.Read(tokens))
	plain := session(s.t, s.model, 1, tokens...)
	s.same("read again", used, plain)
	s.goesOn("read again", used, plain)
}

// generate gathers what a session writes, a row a step; it refuses step number refuse.
func generate[T any](t *testing.T, s *nn.Session[T], limit, refuse int, p nn.Sampling) (steps [][]uint32) {
	t.Helper()
	check(t, s.Generate(limit, p, func(ids []uint32) bool {
		steps = append(steps, slices.Clone(ids))
		return len(steps)-1 != refuse
	}))
	return steps
}

// refuse: after a token is refused, the memory holds what was accepted and nothing else, and so
// does what the repeat penalty looks at.
func (s subject[T]) refuse() {
	prompt := s.text(5, 13)
	greedy := nn.Sampling{RepeatPenalty: 1.2}
	const limit = 10
	full := generate(s.t, session(s.t, s.model, 1, prompt...), limit, -1, greedy)
	if len(full) != limit {
		s.t.Fatalf("%d tokens wanted, %d found", limit, len(full))
	}
	for _, at := range []int{0, 1, 3, 4, 5, 9, -1} {
		stopped, plain := session(s.t, s.model, 1, prompt...), session(s.t, s.model, 1, prompt...)
		steps := generate(s.t, stopped, limit, at, greedy)
		accepted := len(steps)
		if at >= 0 {
			accepted = at
			if len(steps) != at+1 {
				s.t.Errorf("refused at %d: %d tokens were shown", at, len(steps))
			}
		}
		for i, step := range steps {
			if !slices.Equal(step, full[i]) {
				s.t.Errorf("refused at %d: token %d is %v, without refusing %v", at, i, step, full[i])
			}
			if i < accepted {
				check(s.t, plain.Read(step))
			}
		}
		what := fmt.Sprintf("refused at %d", at)
		s.same(what, stopped, plain)
		s.goesOn(what, stopped, plain)
	}
}

// seeds: a seed is a text, and another seed is another.
func (s subject[T]) seeds() {
	prompt := s.text(4, 14)
	texts := map[uint64]string{}
	for _, seed := range []uint64{1, 2, 1, 1 << 40, 2} {
		p := nn.Sampling{Temperature: 2, TopP: 0.99, Seed: seed}
		text := fmt.Sprint(generate(s.t, session(s.t, s.model, 1, prompt...), 12, -1, p))
		if before, ok := texts[seed]; ok && before != text {
			s.t.Errorf("seed %d: %s, then %s", seed, before, text)
		}
		texts[seed] = text
	}
	if texts[1] == texts[2] || texts[1] == texts[1<<40] {
		s.t.Errorf("different seeds give the same text: %v", texts)
	}
}

// batch: three sequences at once are three sequences, in texts longer than a pass.
func (s subject[T]) batch() {
	const B, time = 3, 90
	V := s.model.Config.Vocab
	tokens := s.text(B*time, 15)
	together := session(s.t, s.model, B, tokens...)
	logits := make([]float32, B*V)
	check(s.t, together.Logits(logits))
	steps := generate(s.t, together, 6, 5, nn.Sampling{})
	after := make([]float32, B*V)
	check(s.t, together.Logits(after))
	for b := range B {
		alone := session(s.t, s.model, 1, tokens[b*time:(b+1)*time]...)
		want := make([]float32, V)
		check(s.t, alone.Logits(want))
		closeTo(s.t, fmt.Sprintf("logits of sequence %d", b), logits[b*V:(b+1)*V], want, s.tolerance)
		for i, step := range generate(s.t, alone, 6, 5, nn.Sampling{}) {
			if step[0] != steps[i][b] {
				s.t.Errorf("sequence %d, token %d: %d alone, %d in the batch", b, i, step[0], steps[i][b])
			}
		}
		check(s.t, alone.Logits(want))
		closeTo(s.t, fmt.Sprintf("logits of sequence %d after writing", b), after[b*V:(b+1)*V], want, s.tolerance)
	}
}

// loss: a batch cut into its sequences has the same mean loss and the same mean gradients.
func (s subject[T]) loss() {
	const B, time = 3, 12
	c, ops := s.model.Config, s.model.Ops
	weights := RandomWeights(c, 16)
	// run gives the loss and all gradients of a batch.
	run := func(rows ...[]uint32) (all []float32) {
		scoped := &scope[T]{Ops: ops}
		defer scoped.release()
		tape := newTape[T](scoped, &Reference{Config: c, Weights: weights, Tokens: rows}, c.DefaultScan())
		tape.gradients()
		take := func(x T, n int) {
			host := make([]float32, n)
			check(s.t, ops.Read(x, 0, host))
			all = append(all, host...)
		}
		take(tape.loss, 1)
		nn.Walk(c, tape.dw, func(p nn.Param, g *T) { take(*g, nn.Count(p.Shape)) })
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

// scope is a backend that gives back all that was made through it.
type scope[T any] struct {
	nn.Ops[T]
	made []T
}

func (s *scope[T]) keep(t T) T {
	s.made = append(s.made, t)
	return t
}

func (s *scope[T]) New(format nn.Format, shape ...int) T { return s.keep(s.Ops.New(format, shape...)) }

func (s *scope[T]) NewTernary(rows, cols, blocks int, absmean bool) T {
	return s.keep(s.Ops.NewTernary(rows, cols, blocks, absmean))
}

func (s *scope[T]) Load(t nn.HostTensor) T { return s.keep(s.Ops.Load(t)) }

func (s *scope[T]) release() { s.Release(s.made...) }

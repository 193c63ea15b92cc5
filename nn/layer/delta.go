package layer

import "bitgpu/nn/op"

// Delta is a memory with separate keys, values and queries, each behind a short convolution, with learned step sizes and a
// normalised output: W ← W + β(v − Wk)kᵀ, the delta rule (arXiv 2406.06484).
type Delta[T any] struct {
	Width, Inner, Heads int     // D, d, h
	Chunk               int     // tokens taken together
	Eps                 float64 // of the norms, 0: op.NormEps

	Project, Up                             Projection[T] // (3d, D), (D, d)
	Norm, Conv, StepSize, StepBias, OutNorm T             // (D), (3, d, 4), (h, D), (h), (c)

	X, Projected, Beta T // (n, D), (n, 3d) before the convolutions, (n, h)
	KQV, Answers       T // (n, 3d) as the rule gets them, (n, d) the memory's answers before the norm
	Out, Starts        T // (n, d), (B, chunks, h, c, c)

	Slots, Documents T // (B) or none, (n, 2) or none
	State, Tail      T // (S, h, c, c), (S, 3, 3, d): the last inputs of the convolutions of key, query and value, oldest first
}

// head is c, the width of one head.
func (l *Delta[T]) head() int { return l.Inner / l.Heads }

// Declare implements Layer.
func (l *Delta[T]) Declare(d Declarer[T]) {
	D, inner, c := l.Width, l.Inner, l.head()
	d.Param(&l.Norm, gain("norm1.weight", D))
	project := linear([]int{3 * inner, D}, "ttt.down.weight", "ttt.query.weight", "ttt.value.weight")
	project.Init = func(values []float32, normal func() float64) { keyIsQuery(values, normal, D) }
	l.Project.declare(d, project, evenly(project)...)
	d.Param(&l.Conv, Param{
		Names: []string{"ttt.conv_key.weight", "ttt.conv_query.weight", "ttt.conv_value.weight"},
		Shape: []int{3, inner, op.ConvTaps}, Kind: Gain, Init: tokenBefore,
	})
	d.Param(&l.StepSize, Param{Names: []string{"ttt.step.weight"}, Shape: []int{l.Heads, D}, Kind: Gain, Init: Constant(0)})
	d.Param(&l.StepBias, Param{Names: []string{"ttt.step.bias"}, Shape: []int{l.Heads}, Kind: Gain, Init: Constant(0)})
	d.Param(&l.OutNorm, gain("ttt.norm.weight", c))
	l.Up.declare(d, linear([]int{D, inner}, "ttt.up.weight"), op.LowRankBlock{Rows: D})
	d.Rows(&l.X, Rows{Name: "x", Shape: []int{D}, Gradient: true})
	d.Rows(&l.Projected, Rows{Name: "projected", Shape: []int{3 * inner}, Gradient: true})
	d.Rows(&l.Beta, Rows{Name: "beta", Shape: []int{l.Heads}, Gradient: true})
	d.Rows(&l.KQV, Rows{Name: "kqv", Shape: []int{3 * inner}})
	d.Rows(&l.Answers, Rows{Name: "answers", Shape: []int{inner}})
	d.Rows(&l.Out, Rows{Name: "out", Shape: []int{inner}, Gradient: true})
	d.Rows(&l.Starts, Rows{Name: "starts", Shape: []int{l.Heads, c, c}, Chunks: true})
	d.State(&l.State, State{Shape: []int{l.Heads, c, c}})
	d.State(&l.Tail, State{Name: ".conv", Shape: []int{3, op.ConvTail, inner}})
	d.Shared(&l.Slots, Slots)
	d.Shared(&l.Documents, Documents)
}

// passed is the initial weight of the one tap that each convolution lets through.
const passed = 1.5

// keyIsQuery initialises the projections so that query and key start equal.
func keyIsQuery(values []float32, normal func() float64, width int) {
	Kaiming(width)(values, normal)
	third := len(values) / 3 // key, query, value
	copy(values[third:2*third], values[:third])
}

// tokenBefore initialises the convolutions so that the key's passes the previous token, and those of query and value the
// newest one. As query and key start equal, the memory stores "after this came that" from the start, and is asked for it with
// "this". Without this start, with all three looking at the newest token, training does not discover it.
func tokenBefore(values []float32, normal func() float64) {
	Normal(0.02)(values, normal)
	for i := 0; i < len(values); i += op.ConvTaps {
		newest := i + op.ConvTaps - 1
		if i < len(values)/3 {
			newest--
		}
		values[newest] += passed
	}
}

// Forward implements Layer.
func (l *Delta[T]) Forward(p *op.Program[T], s Stream[T]) {
	p.Add(&op.RMSNorm[T]{X: l.X, H: s.In, Gain: l.Norm, Eps: l.Eps})
	l.Project.forward(p, l.Projected, l.X)
	p.Add(
		&op.StepSize[T]{Beta: l.Beta, X: l.X, W: l.StepSize, Bias: l.StepBias},
		&op.DeltaScan[T]{
			O: l.Out, U: l.Projected, Beta: l.Beta, Conv: l.Conv, Gain: l.OutNorm, State: l.State, Tail: l.Tail,
			KQV: l.KQV, Answers: l.Answers, Starts: l.Starts, Slots: l.Slots, Documents: l.Documents, Chunk: l.Chunk, Eps: l.Eps,
		},
	)
	s.Dropout.Append(p, l.Out)
	l.Up.add(p, s.Out, s.In, l.Out)
}

// Backward implements Layer.
func (l *Delta[T]) Backward(p *op.Program[T], grad Layer[T], s Stream[T]) {
	g := grad.(*Delta[T])
	l.Up.backward(p, &g.Up, g.Out, s.DH, l.Out)
	s.Dropout.Append(p, g.Out)
	p.Add(
		&op.DeltaScanBackward[T]{
			DU: g.Projected, DBeta: g.Beta, DConv: g.Conv, DGain: g.OutNorm, DO: g.Out, U: l.Projected, Beta: l.Beta,
			Conv: l.Conv, Gain: l.OutNorm, KQV: l.KQV, Answers: l.Answers, Starts: l.Starts, Documents: l.Documents, Chunk: l.Chunk, Eps: l.Eps,
		},
	)
	l.Project.backward(p, &g.Project, g.X, g.Projected, l.X)
	p.Add(
		&op.StepSizeBackward[T]{DX: g.X, DW: g.StepSize, DBias: g.StepBias, DBeta: g.Beta, Beta: l.Beta, X: l.X, W: l.StepSize},
		&op.RMSNormBackward[T]{DH: s.DH, DGain: g.Norm, DX: g.X, H: s.In, Gain: l.Norm, Eps: l.Eps},
	)
}

// Memory implements Memory.
func (l *Delta[T]) Memory() (state, seen T) { return l.State, l.KQV }

// Learning implements Memory.
func (l *Delta[T]) Learning() Learning { return Learning{Loss: "|v - W k|²", Normalised: true} }

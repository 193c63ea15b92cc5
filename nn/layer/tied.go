package layer

import "bitgpu/nn/op"

// Tied is a memory in which one projection serves as key, value and query, W ← W − η(Wk − k)kᵀ (arXiv 2407.04620): the mixer
// of the first models.
type Tied[T any] struct {
	Width, Inner int // D, d
	Scan         op.Scan
	Eps          float64 // of the norm, 0: op.NormEps

	Key, Up Projection[T] // (d, D), (D, d)
	Norm    T             // (D)

	X, Keys, Out, Starts T // (n, D), (n, d), (n, d), (B, chunks, d, d)

	State, Slots, Documents T // (S, d, d), (B) or none, (n, 2) or none
}

// Declare implements Layer.
func (l *Tied[T]) Declare(d Declarer[T]) {
	d.Param(&l.Norm, gain("norm1.weight", l.Width))
	l.Key.declare(d, linear([]int{l.Inner, l.Width}, "ttt.down.weight"), op.LowRankBlock{Rows: l.Inner})
	l.Up.declare(d, linear([]int{l.Width, l.Inner}, "ttt.up.weight"), op.LowRankBlock{Rows: l.Width})
	d.Rows(&l.X, Rows{Name: "x", Shape: []int{l.Width}, Gradient: true})
	d.Rows(&l.Keys, Rows{Name: "keys", Shape: []int{l.Inner}, Gradient: true})
	d.Rows(&l.Out, Rows{Name: "out", Shape: []int{l.Inner}, Gradient: true})
	d.Rows(&l.Starts, Rows{Name: "starts", Shape: []int{l.Inner, l.Inner}, Chunks: true})
	d.State(&l.State, State{Shape: []int{l.Inner, l.Inner}})
	d.Shared(&l.Slots, Slots)
	d.Shared(&l.Documents, Documents)
}

// Forward implements Layer.
func (l *Tied[T]) Forward(p *op.Program[T], s Stream[T]) {
	p.Add(&op.RMSNorm[T]{X: l.X, H: s.In, Gain: l.Norm, Eps: l.Eps})
	l.Key.forward(p, l.Keys, l.X)
	p.Add(&op.TiedScan[T]{Z: l.Out, F: l.Keys, State: l.State, Starts: l.Starts, Slots: l.Slots, Documents: l.Documents, Scan: l.Scan})
	s.Dropout.Append(p, l.Out)
	l.Up.add(p, s.Out, s.In, l.Out)
}

// Backward implements Layer.
func (l *Tied[T]) Backward(p *op.Program[T], grad Layer[T], s Stream[T]) {
	g := grad.(*Tied[T])
	l.Up.backward(p, &g.Up, g.Out, s.DH, l.Out)
	s.Dropout.Append(p, g.Out)
	p.Add(&op.TiedScanBackward[T]{DF: g.Keys, DZ: g.Out, F: l.Keys, Starts: l.Starts, Documents: l.Documents, Scan: l.Scan})
	l.Key.backward(p, &g.Key, g.X, g.Keys, l.X)
	p.Add(&op.RMSNormBackward[T]{DH: s.DH, DGain: g.Norm, DX: g.X, H: s.In, Gain: l.Norm, Eps: l.Eps})
}

// Memory implements Memory.
func (l *Tied[T]) Memory() (state, seen T) { return l.State, l.Keys }

// Learning implements Memory.
func (l *Tied[T]) Learning() Learning { return Learning{Loss: "|z - k|²", Tied: true} }

// gain declares the gain of a norm.
func gain(name string, width int) Param {
	return Param{Names: []string{name}, Shape: []int{width}, Kind: Gain, Init: Constant(1)}
}

// fixed declares numbers that training does not change.
func fixed(name string, width int) Param {
	p := gain(name, width)
	p.Fixed = true
	return p
}

// linear declares a ternary matrix with Kaiming initialisation (arXiv 1502.01852).
func linear(shape []int, names ...string) Param {
	return Param{Names: names, Shape: shape, Kind: Linear, Init: Kaiming(shape[1])}
}

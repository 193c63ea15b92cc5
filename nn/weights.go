package nn

import "fmt"

// Kind is what a parameter is for, which decides how it may be stored.
type Kind int

const (
	Gain   Kind = iota // float32: norms, convolutions, the step
	Linear             // BitLinear: float32 when trained, ternary when run
	Table              // embedding and head: float32, F16 or I8
)

// Param describes one parameter of the model.
type Param struct {
	// Names are the tensors of a file that make up the parameter, stacked along the first axis.
	Names []string
	// Shape is that of the whole. Each of the k names has the shape (Shape[0]/k, Shape[1:]…), but
	// the convolutions, (3, d, 4) in memory, are (d, 4) each.
	Shape []int
	Kind  Kind
	Layer int // -1 for those outside the layers
}

// PartShape is the shape in a file of each of the parameter's names.
func (p Param) PartShape() []int {
	if len(p.Names) > 1 && len(p.Shape) == 3 {
		return p.Shape[1:]
	}
	s := append([]int(nil), p.Shape...)
	s[0] /= len(p.Names)
	return s
}

// Weights are the model's parameters, or anything that is one tensor a parameter: gradients,
// moments, packed copies.
type Weights[T any] struct {
	Embed  T // (V, D)
	Layers []Layer[T]
	NormF  T // (D)
	Head   T // (V, D)
}

// Layer holds the parameters of one block. Those marked delta are unused by the tied mixer.
type Layer[T any] struct {
	Norm1    T // (D)
	Mix      T // tied (d, D): the key; delta (3d, D): key, query, value
	Conv     T // delta (3, d, 4): key, query, value
	Step     T // delta (h, D)
	StepBias T // delta (h)
	MixNorm  T // delta (c)
	Up       T // (D, d)
	Norm2    T // (D)
	GateUp   T // (2H, D): gate, up
	Down     T // (D, H)
}

// Walk visits every parameter that the configuration has, with its description, in the order of
// the data flow. It makes w.Layers when it is missing.
func Walk[T any](c Config, w *Weights[T], visit func(p Param, t *T)) {
	if w.Layers == nil {
		w.Layers = make([]Layer[T], c.Layers)
	}
	D, d, H := c.Width, c.MemoryWidth, c.MLPWidth()
	visit(Param{[]string{"embed.weight"}, []int{c.Vocab, D}, Table, -1}, &w.Embed)
	for i := range w.Layers {
		l := &w.Layers[i]
		at := func(t *T, kind Kind, shape []int, names ...string) {
			full := make([]string, len(names))
			for j, n := range names {
				full[j] = fmt.Sprintf("layers.%d.%s.weight", i, n)
			}
			visit(Param{full, shape, kind, i}, t)
		}
		at(&l.Norm1, Gain, []int{D}, "norm1")
		if c.Delta() {
			at(&l.Mix, Linear, []int{3 * d, D}, "ttt.down", "ttt.query", "ttt.value")
			at(&l.Conv, Gain, []int{3, d, ConvTaps}, "ttt.conv_key", "ttt.conv_query", "ttt.conv_value")
			at(&l.Step, Gain, []int{c.Heads, D}, "ttt.step")
			visit(Param{[]string{fmt.Sprintf("layers.%d.ttt.step.bias", i)}, []int{c.Heads}, Gain, i}, &l.StepBias)
			at(&l.MixNorm, Gain, []int{c.HeadWidth()}, "ttt.norm")
		} else {
			at(&l.Mix, Linear, []int{d, D}, "ttt.down")
		}
		at(&l.Up, Linear, []int{D, d}, "ttt.up")
		at(&l.Norm2, Gain, []int{D}, "norm2")
		at(&l.GateUp, Linear, []int{2 * H, D}, "mlp.gate_proj", "mlp.up_proj")
		at(&l.Down, Linear, []int{D, H}, "mlp.down_proj")
	}
	visit(Param{[]string{"norm_f.weight"}, []int{D}, Gain, -1}, &w.NormF)
	visit(Param{[]string{"lm_head.weight"}, []int{c.Vocab, D}, Table, -1}, &w.Head)
}

// MapWeights makes a Weights[B] by applying f to every parameter of a Weights[A].
func MapWeights[A, B any](c Config, a *Weights[A], f func(p Param, t A) B) *Weights[B] {
	var from []A
	Walk(c, a, func(_ Param, t *A) { from = append(from, *t) })
	var b Weights[B]
	i := 0
	Walk(c, &b, func(p Param, t *B) {
		*t = f(p, from[i])
		i++
	})
	return &b
}

// ParamCount is the number of parameters of a configuration.
func (c Config) ParamCount() int {
	total := 0
	Walk(c, new(Weights[struct{}]), func(p Param, _ *struct{}) { total += Count(p.Shape) })
	return total
}

package nn

import (
	"math"

	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// Param describes one parameter of the model.
type Param = layer.Param

// Weights has one tensor per parameter, in the order of Walk: a model's parameters, gradients, moments, packed copies.
type Weights[T any] []T

// Walk visits every parameter of the configuration, with its description, in the order of the data flow. Missing weights are
// made.
func Walk[T any](c Config, w *Weights[T], visit func(p Param, t *T)) {
	params := Params(c)
	if *w == nil {
		*w = make(Weights[T], len(params))
	}
	for i, p := range params {
		visit(p, &(*w)[i])
	}
}

// Params describes every parameter of the configuration, in the order of the data flow.
func Params(c Config) []Param {
	var all []Param
	NewNet[struct{}](c, c.DefaultScan()).Bind(Binding[struct{}]{Param: func(p Param) struct{} {
		all = append(all, p)
		return struct{}{}
	}})
	return all
}

// Embed returns the first parameter, the embedding (V, D).
func (w Weights[T]) Embed() *T { return &w[0] }

// Head returns the head (V, D): the last parameter, or the embedding where that is the head.
func (w Weights[T]) Head(c Config) *T {
	if c.TiedHead {
		return w.Embed()
	}
	return &w[len(w)-1]
}

// param hands out the weights one after the other, as Binding.Param needs it.
func (w Weights[T]) param() func(Param) T {
	i := 0
	return func(Param) T {
		i++
		return w[i-1]
	}
}

// MapWeights makes a Weights[B] by applying f to every parameter of a Weights[A].
func MapWeights[A, B any](c Config, a *Weights[A], f func(p Param, t A) B) *Weights[B] {
	var b Weights[B]
	Walk(c, a, func(p Param, t *A) { b = append(b, f(p, *t)) })
	return &b
}

// ParamCount returns the number of parameters of a configuration.
func (c Config) ParamCount() int {
	total := 0
	for _, p := range Params(c) {
		total += op.Count(p.Shape)
	}
	return total
}

// LinearCount returns the number of weights in the ternary matrices of all blocks.
func (c Config) LinearCount() (n int) {
	for _, p := range Params(c) {
		if p.Kind == layer.Linear {
			n += op.Count(p.Shape)
		}
	}
	return n
}

// headScale is the standard deviation of the head's initial values: half of Kaiming's.
func headScale(width int) float64 { return math.Sqrt(2/float64(width)) / 2 }

package layer

import "bitgpu/nn/op"

// activation is what an MLP does with its gate: how A (n, H) comes from GateUp (n, 2H), gate beside up.
type activation[T any] struct {
	name     string // in config.json
	forward  func(a, gateUp T) op.Op[T]
	backward func(dGateUp, da, gateUp T) op.Op[T]
}

// Names of activations in config.json.
const (
	SiLU  = "silu"  // silu(gate) ⊙ up, SwiGLU (arXiv 2002.05202)
	ReLU2 = "relu2" // relu(gate)² ⊙ up (BitNet b1.58 2B4T)
)

// activations lists all that an MLP may have, the default first. An activation is added here and nowhere else: the
// configuration, its checks and its flags take the names from this list.
func activations[T any]() []activation[T] {
	return []activation[T]{
		{
			SiLU,
			func(a, gateUp T) op.Op[T] { return &op.SwiGLU[T]{A: a, GateUp: gateUp} },
			func(dGateUp, da, gateUp T) op.Op[T] {
				return &op.SwiGLUBackward[T]{DGateUp: dGateUp, DA: da, GateUp: gateUp}
			},
		},
		{
			ReLU2,
			func(a, gateUp T) op.Op[T] { return &op.SquaredReLU[T]{A: a, GateUp: gateUp} },
			func(dGateUp, da, gateUp T) op.Op[T] {
				return &op.SquaredReLUBackward[T]{DGateUp: dGateUp, DA: da, GateUp: gateUp}
			},
		},
	}
}

// Activations returns the names of all activations, the default first.
func Activations() (names []string) {
	for _, a := range activations[struct{}]() {
		names = append(names, a.name)
	}
	return names
}

// activation returns the MLP's own.
func (l *MLP[T]) activation() activation[T] {
	all := activations[T]()
	for _, a := range all {
		if a.name == l.Activation {
			return a
		}
	}
	return all[0]
}

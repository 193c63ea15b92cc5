package optest

import (
	"slices"

	"bitgpu/nn"
	"bitgpu/nn/cpu"
)

// Deviation is a tensor of a case as a backend computes it, beside the reference in float64.
type Deviation struct {
	Case, Tensor string
	Got, Want    []float32
	Tolerance    Tolerance
	Err          error // the case breaks a rule of its own; then there are no numbers
}

// Deviations runs the cases of the wanted operations that compare numbers, and shows how a backend's
// differ.
func Deviations[T any](ops nn.Ops[T], wanted func(op string) bool, visit func(Deviation)) {
	reference := Cases[*cpu.Tensor[float64]]()
	for i, c := range Cases[T]() {
		if c.Large || c.Refuses || !wanted(c.Op) {
			continue
		}
		name := c.Op + "/" + c.Name
		b, r := newBench(ops, name), newBench(cpu.NewScalar[float64](), name)
		got, err := c.try(b)
		want, wrong := reference[i].try(r)
		if err == nil {
			err = wrong
		}
		b.close()
		if err != nil {
			visit(Deviation{Case: name, Err: err})
			continue
		}
		tensors := make([]string, 0, len(want))
		for tensor := range want {
			tensors = append(tensors, tensor)
		}
		slices.Sort(tensors)
		for _, tensor := range tensors {
			visit(Deviation{name, tensor, got[tensor], want[tensor], c.Tolerance, nil})
		}
	}
}

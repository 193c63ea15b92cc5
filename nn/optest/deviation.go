package optest

import (
	"maps"
	"slices"

	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
)

// Deviation is a tensor of a case as a backend computes it, beside the reference in float64.
type Deviation struct {
	Case, Tensor string
	Got, Want    []float32
	Tolerance    Tolerance
	Err          error // the case breaks a rule of its own; then there are no numbers
}

// References keeps the results of the reference for cases, by their names, so that several backends and variants are compared with
// one computation. The zero value is empty.
type References struct {
	known map[string]reference
}

type reference struct {
	tensors map[string][]float32
	err     error
}

// of runs a case on the reference, the first time.
func (r *References) of(c *Case[*cpu.Tensor[float64]], name string) reference {
	known, ok := r.known[name]
	if !ok {
		known.tensors, known.err = c.try(newBench(cpu.NewScalar[float64](), name))
		if r.known == nil {
			r.known = map[string]reference{}
		}
		r.known[name] = known
	}
	return known
}

// Deviations runs the cases that compare numbers and are wanted, by the operation's file and the case's name, and reports how the
// numbers of a backend differ.
func Deviations[T any](ops op.Executor[T], references *References, wanted func(op, name string) bool, visit func(Deviation)) {
	table := Cases[*cpu.Tensor[float64]]()
	for i, c := range Cases[T]() {
		if c.Large || c.Refuses || !wanted(c.Op, c.Name) {
			continue
		}
		name := c.Op + "/" + c.Name
		b := newBench(ops, name)
		got, err := c.try(b)
		b.close()
		right := references.of(&table[i], name)
		if err == nil {
			err = right.err
		}
		if err != nil {
			visit(Deviation{Case: name, Err: err})
			continue
		}
		for _, tensor := range slices.Sorted(maps.Keys(right.tensors)) {
			visit(Deviation{name, tensor, got[tensor], right.tensors[tensor], c.Tolerance, nil})
		}
	}
}

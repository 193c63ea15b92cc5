package bench

import (
	"fmt"
	"slices"

	"bitgpu/nn/op"
	"bitgpu/nn/optest"
)

// paths returns all rows that a run could have, as --only chooses them.
func (o Options) paths() []string {
	e := o.preset()
	all := []string{"floor"}
	if len(o.Families) > 0 {
		return append(all, o.familyPaths()...)
	}
	for _, c := range optest.Cases[struct{}]() {
		if path := "parity/ops/" + c.Op; !slices.Contains(all, path) {
			all = append(all, path)
		}
	}
	for _, mixer := range o.mixers() {
		for _, in := range inputs() {
			all = append(all, modelParityPath(mixer, in.name))
		}
		all = append(all, modelParityPath(mixer, wideModel))
		for _, p := range textRules {
			all = append(all, textParityPath(mixer, p.name))
		}
	}
	for _, kind := range trainingKinds {
		all = append(all, trainingParityPath(kind.name))
	}
	for _, width := range e.widths {
		for _, w := range workloads[struct{}](width, e) {
			all = append(all, w.key)
		}
	}
	for _, size := range e.sizes {
		all = append(all, headPaths(size)...)
	}
	for _, mixer := range o.mixers() {
		for _, size := range e.sizes {
			all = append(all, speedPaths(size, mixer, e)...)
		}
		for _, goal := range e.positions {
			all = append(all, positionPath(goal.size, mixer))
		}
	}
	return all
}

func modelParityPath(mixer, name string) string {
	return fmt.Sprintf("parity/model/%s/%s", mixer, name)
}

func textParityPath(mixer, name string) string { return fmt.Sprintf("parity/text/%s/%s", mixer, name) }

func trainingParityPath(name string) string { return "parity/training/" + name }

func positionPath(size Size, mixer string) string { return fmt.Sprintf("position/%s/%s", size, mixer) }

func headPath(size Size, format op.Format) string { return fmt.Sprintf("head/%s/%v", size, format) }

// headFormats lists the formats of a head.
var headFormats = []op.Format{op.F32, op.F16, op.I8}

func headPaths(size Size) (all []string) {
	for _, format := range headFormats {
		all = append(all, headPath(size, format))
	}
	return all
}

// speedPaths returns the rows of a model.
func speedPaths(size Size, mixer string, e preset) (all []string) {
	m := testModel{size: size, mixer: mixer}
	for _, batch := range e.batches {
		for _, kind := range []string{"prompt", "text", "training"} {
			all = append(all, m.path(kind, batch))
		}
	}
	for _, n := range e.streams {
		all = append(all, m.path("streams", n))
	}
	return all
}

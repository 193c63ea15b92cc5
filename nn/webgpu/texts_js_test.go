package webgpu

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

// axis is what a variant may be chosen to be, for the kernels that have one of the constants.
type axis struct {
	consts []string
	values []func(*variant)
}

// over is an axis of a field's values.
func over[T any](set func(*variant, T), values []T, consts ...string) axis {
	a := axis{consts: consts}
	for _, x := range values {
		a.values = append(a.values, func(v *variant) { set(v, x) })
	}
	return a
}

func flags(set func(*variant, bool), consts ...string) axis {
	return over(set, []bool{false, true}, consts...)
}

// powers are the powers of two up to the most.
func powers(most uint32) (list []uint32) {
	for x := uint32(1); x <= most; x *= 2 {
		list = append(list, x)
	}
	return list
}

// teams are the ways to compute a product row by row, fitted to rows of any number of blocks.
func teams() (list []choice) {
	usual := choice{Lanes: maxLanes, Quads: 4, Workgroup: 64}
	for _, c := range append(slices.Clone(choices), usual) {
		for stride := uint32(1); !c.Tiles && stride <= 32; stride *= 2 {
			if fitted := c.fit(stride); !slices.Contains(list, fitted) {
				list = append(list, fitted)
			}
		}
	}
	return list
}

func axes() []axis {
	sizes := func(v *variant, n uint32) { v.workgroup = n }
	return []axis{
		over(func(v *variant, c choice) { v.lanes, v.quads, v.workgroup = c.Lanes, c.Quads, c.Workgroup }, teams(), "LANES"),
		over(sizes, blocksThreads, "INPUT_QUADS"),
		over(sizes, []uint32{32, 64, 128, 256}, "WORKGROUP"),
		over(func(v *variant, f op.Format) { v.format = f }, []op.Format{op.F32, op.F16, op.BF16, op.I8, op.Ternary, op.Q8_0, op.Q4_0, op.Q4_K, op.Q6_K}, "FORMAT"),
		over(func(v *variant, n int) { v.group = n }, []int{0, groupUnit, 3 * groupUnit, 128}, "GROUP"),
		flags(func(v *variant, b bool) { v.norm = b }, "NORM"),
		flags(func(v *variant, b bool) { v.int8 = b }, "INT8"),
		flags(func(v *variant, b bool) { v.add = b }, "ADD"),
		flags(func(v *variant, b bool) { v.inPlace = b }, "IN_PLACE", "ADD"),
		flags(func(v *variant, b bool) { v.embed = b }, "EMBED"),
		flags(func(v *variant, b bool) { v.keep = b }, "STARTS"),
		flags(func(v *variant, b bool) { v.error = b }, "ERRORS"),
		flags(func(v *variant, b bool) { v.delta = b }, "DELTA"),
		flags(func(v *variant, b bool) { v.squared = b }, "SQUARED"),
		flags(func(v *variant, b bool) { v.half = b }, "HALF"),
		flags(func(v *variant, b bool) { v.split = b }, "SPLIT"),
		over(func(v *variant, n uint32) { v.key = n }, []uint32{1, 36, maxStepKey}, "KEY"),
		over(func(v *variant, n uint32) { v.input = n }, []uint32{16, 512}, "INPUT_QUADS"),
		over(func(v *variant, n uint32) { v.block = n }, powers(wgsl.HadamardMaxBlock), "BLOCK"),
		over(func(v *variant, n uint32) { v.source = n }, []uint32{0, wgsl.HadamardOfNorm, wgsl.HadamardOfSwiGLU, wgsl.HadamardOfSquaredReLU}, "SOURCE"),
		over(func(v *variant, n uint32) { v.queries = n }, []uint32{4, 8}, "QUERIES"),
		over(func(v *variant, n uint32) { v.head = n }, powers(wgsl.AttentionMaxHead/4), "QUADS"),
	}
}

// possible says whether a product of a variant can be asked for.
func possible(v variant) bool {
	byRow := strings.HasSuffix(v.kernel.Name, "_vector")
	product := strings.HasPrefix(v.kernel.Name, "linear") || strings.HasPrefix(v.kernel.Name, "swiglu")
	halves := v.format == op.Q8_0 || v.format == op.Q4_0
	switch {
	case halves && v.group != groupUnit, v.group > 0 && !halves && v.format != op.Ternary, product && v.format == op.I8:
		return false
	case !byRow && max(v.lanes, v.quads) > 1: // tiles have no teams
		return false
	case v.norm && (v.int8 || v.add || v.inPlace) && v.kernel != wgsl.LinearRound, v.add && v.inPlace:
		return false
	}
	return true
}

// texts are the constants of every text that a kernel can be compiled from: of open ones, as sizes of models are, some.
func texts(k *wgsl.Kernel) iter.Seq2[wgsl.Consts, string] {
	return func(yield func(wgsl.Consts, string) bool) {
		seen := map[string]bool{}
		var along func(v variant, rest []axis) bool
		along = func(v variant, rest []axis) bool {
			if len(rest) == 0 {
				consts := v.consts(64)
				key := fmt.Sprint(consts)
				if !possible(v) || seen[key] {
					return true
				}
				seen[key] = true
				text, err := k.Source(consts)
				if err != nil {
					panic(err)
				}
				return yield(consts, text)
			}
			used := false
			for _, set := range rest[0].values {
				if used = slices.ContainsFunc(rest[0].consts, func(name string) bool { _, ok := k.Consts[name]; return ok }); !used {
					break
				}
				if rest[0].consts[0] == "WORKGROUP" && v.workgroup > 0 { // the team's
					used = false
					break
				}
				next := v
				if set(&next); !along(next, rest[1:]) {
					return false
				}
			}
			return used || along(v, rest[1:])
		}
		along(variant{kernel: k}, axes())
	}
}

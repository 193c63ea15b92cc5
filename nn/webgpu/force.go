package webgpu

import (
	"fmt"

	"bitgpu/wgsl"
)

// Variant is one way to compute some operations. Tune chooses among such ways by measuring them.
type Variant struct {
	Name            string
	Ops             []string // the operations' files
	product, blocks *choice
	plain           bool
	storage         int // storage buffers that a kernel may bind, 0: as many as usual
}

// Variants lists all of them.
func Variants() []Variant {
	var all []Variant
	for i := range choices {
		c := &choices[i]
		name := fmt.Sprintf("%d×%d of %d", c.Lanes, c.Quads, c.Workgroup)
		if c.Tiles {
			name = "tiles"
		}
		all = append(all, Variant{Name: name, Ops: []string{"linear", "swiglu", "head"}, product: c})
	}
	for _, threads := range append([]uint32{0}, blocksThreads...) {
		name := "block by block"
		if threads > 0 {
			name = fmt.Sprintf("blocks by %d", threads)
		}
		all = append(all, Variant{Name: name, Ops: []string{"blocks"}, blocks: &choice{Workgroup: threads}})
	}
	token := func(name string, k *wgsl.Kernel) Variant {
		return Variant{Name: "delta token by " + name, Ops: []string{"step", "deltascan"}, storage: len(k.Bindings) - 1}
	}
	return append(all, token("one kernel", wgsl.DeltaDecode), token("two kernels", wgsl.DeltaToken), Variant{
		Name: "unfused", plain: true,
		Ops: []string{"embed", "rmsnorm", "linear", "swiglu", "deltascan", "step", "head", "sample", "blocks", "hadamard", "squaredrelu"},
	})
}

// Force makes operations prepared from now on use one variant or, with nil, the usual choice again. Tests use it to compare
// each variant with the reference. ok is false if the adapter cannot run the variant.
func (o *Ops) Force(v *Variant) (ok bool) {
	o.forced, o.forcedBlocks, o.plain, o.storage = nil, nil, false, storageBuffers(o.dev)
	if v == nil {
		return true
	}
	if v.storage > int(o.dev.Limits().MaxStorageBuffersPerShaderStage) {
		return false
	}
	if v.storage > 0 {
		o.storage = v.storage
	}
	for _, c := range []*choice{v.product, v.blocks} {
		if c != nil && c.Workgroup > o.dev.Limits().MaxInvocationsPerWorkgroup {
			return false
		}
	}
	o.forced, o.forcedBlocks, o.plain = v.product, v.blocks, v.plain
	return true
}

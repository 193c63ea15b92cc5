package webgpu

import (
	"fmt"
	"time"

	"bitgpu/gpu"
	"bitgpu/nn"
	"bitgpu/wgsl"
)

// lookahead is how many tokens are sampled before the host looks at them.
const lookahead = 8

// Ops are the operations on one device.
type Ops struct {
	dev       *gpu.Device
	limit     int    // bytes that a kernel can see of one buffer
	workgroup uint32 // threads of the kernels that leave it open
	few       int    // up to how many rows of activations a product is usually taken row by row; more are taken by tiles

	tuning     *Tuning          // what is known of the fastest variants; nil: all as usual
	chosen     map[class]choice // what was looked up in it
	tuned      time.Duration    // spent on measuring since tuningFrom
	tuningFrom time.Time
	forced     *choice // of products: the one that is being measured or tested, or nil
	walk       *choice // of blocks, likewise

	// nothing is bound where a kernel has no use for what it could read, a slice of sink where it could write: one for
	// each binding, because WebGPU allows no two that write to overlap.
	nothing, sink *gpu.Buffer
	pipelines     map[variant]*gpu.Pipeline
	scratches     map[string]*gpu.Buffer
	bound         []gpu.Binding // scratch of dispatch
	reads         map[reading]*gpu.Readback
	drawn         draw    // the Sample that waits for the operation after it
	stepped       stepped // the Step that waits likewise
	wide          bool    // kernels may bind as many buffers as DeltaDecode does
	stacks        map[*Tensor]*stack
}

var _ nn.Ops[*Tensor] = (*Ops)(nil)

// New makes the operations on a device, which they share with nobody while they are used.
func New(dev *gpu.Device) *Ops {
	return &Ops{
		dev: dev, limit: int(min(dev.Limits().MaxStorageBufferBindingSize, 1<<31-1)), workgroup: 64, few: few(dev),
		nothing: dev.NewBuffer("nothing", 256), sink: dev.NewBuffer("sink", sinkSlice*mostBindings()),
		pipelines: map[variant]*gpu.Pipeline{}, scratches: map[string]*gpu.Buffer{},
		reads: map[reading]*gpu.Readback{}, stacks: map[*Tensor]*stack{},
		wide: int(dev.Limits().MaxStorageBuffersPerShaderStage) >= len(wgsl.DeltaDecode.Bindings)-1,
	}
}

// sinkSlice is the size of a slice of the sink, and the largest alignment of a binding's offset that WebGPU allows a
// device to ask for.
const sinkSlice = 256

func mostBindings() int {
	most := 0
	for _, k := range wgsl.All() {
		most = max(most, len(k.Bindings))
	}
	return most
}

// few is where tiles begin to win: late where loads cost more than arithmetic, as on a software adapter.
func few(dev *gpu.Device) int {
	if dev.Info().Hardware() {
		return 16
	}
	return 48
}

// Device is what the operations run on.
func (o *Ops) Device() *gpu.Device { return o.dev }

// Close gives back what the operations hold beside tensors. The device stays open.
func (o *Ops) Close() {
	o.settle()
	for _, r := range o.reads {
		r.Discard()
	}
	for _, b := range o.scratches {
		b.Release()
	}
	for first := range o.stacks {
		o.dropStack(first)
	}
	o.nothing.Release()
	o.sink.Release()
}

// BytesInUse is the device's memory that all buffers take.
func (o *Ops) BytesInUse() int { return int(o.dev.BytesInUse()) }

func (o *Ops) Lookahead() int { return lookahead }

func (o *Ops) Submit() {
	o.settle()
	o.dev.Submit()
}

func (o *Ops) Flush() error {
	o.settle()
	return o.dev.Flush()
}

// variant is a kernel with the constants that a call chooses.
type variant struct {
	kernel       *wgsl.Kernel
	format       nn.Format // of the weights
	norm         bool      // RMSNorm comes first
	add, inPlace bool      // something is added in the end, or the product to what is there
	embed        bool      // the sampled token is looked up
	keep, error  bool      // a scan keeps states, or errors
	lanes, quads uint32    // of a team in a product
	key          uint32    // room for a key
	workgroup    uint32    // threads, 0 = as the others
	input        uint32    // room for a product's input, in quads
	delta        bool      // the mixer
}

// consts are the variant's constants, those that the kernel has.
func (v variant) consts(workgroup uint32) wgsl.Consts {
	if v.workgroup > 0 {
		workgroup = v.workgroup
	}
	quads := map[nn.Format]uint32{nn.F32: 1, nn.F16: 2, nn.I8: 4, nn.Ternary: 16}[v.format]
	all := wgsl.Consts{
		"WORKGROUP": workgroup, "LANES": max(v.lanes, 1), "TEAM_QUADS": max(v.quads, 1), "KEY": max(v.key, 1),
		"FORMAT": uint32(v.format), "BLOCK_QUADS": quads, "TILE_BLOCKS": 256 / quads,
		"NORM": flag(v.norm), "ADD": flag(v.add), "EMBED": flag(v.embed), "STARTS": flag(v.keep), "ERRORS": flag(v.error),
		"INPUT_QUADS": max(v.input, 1), "DELTA": flag(v.delta),
	}
	if v.inPlace {
		all["ADD"] = 2
	}
	for name := range all {
		if _, ok := v.kernel.Consts[name]; !ok {
			delete(all, name)
		}
	}
	return all
}

func flag(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// dispatch records a kernel over `groups` workgroups (folded into x and y) times z. nil buffers are bound to what
// nobody reads.
func (o *Ops) dispatch(v variant, params []byte, groups, z int, buffers ...*gpu.Buffer) {
	o.settle()
	x, y := gpu.Grid(groups)
	o.dispatchGrid(v, params, x, y, uint32(z), buffers...)
}

func (o *Ops) dispatchGrid(v variant, params []byte, x, y, z uint32, buffers ...*gpu.Buffer) {
	o.settle()
	p := o.pipelines[v]
	if p == nil {
		p = o.dev.Pipeline(v.kernel, v.consts(o.workgroup))
		if o.dev.Err() == nil {
			o.pipelines[v] = p
		}
	}
	o.bound = o.bound[:0]
	bindings := v.kernel.Bindings[1:]
	for i, b := range buffers {
		var bound gpu.Binding
		switch {
		case b != nil:
			bound = b.All()
		case bindings[i].Access == wgsl.Read:
			bound = o.nothing.All()
		default:
			bound = o.sink.Range(i*sinkSlice, sinkSlice)
		}
		o.bound = append(o.bound, bound)
	}
	o.dev.Dispatch(p, params, o.bound, x, y, z)
}

// each records an elementwise kernel with a thread for each of n elements.
func (o *Ops) each(v variant, params []byte, n int, buffers ...*gpu.Buffer) {
	o.dispatch(v, params, ceil(n, int(o.workgroup)), 1, buffers...)
}

// scratch is a buffer of at least n numbers of 4 bytes that operations with the same name share. Nothing in it
// outlives an operation.
func (o *Ops) scratch(name string, n int) *gpu.Buffer {
	b := o.scratches[name]
	if b == nil || b.Size() < 4*n {
		if b != nil {
			b.Release()
		}
		if 4*n > o.limit {
			o.dev.Fail(fmt.Errorf("webgpu: scratch memory for %s: %d bytes wanted, a kernel can see %d at once", name, 4*n, o.limit))
			n = 1
		}
		b = o.dev.NewBuffer(name, 4*n)
		o.scratches[name] = b
	}
	return b
}

func ceil(n, d int) int { return (n + d - 1) / d }

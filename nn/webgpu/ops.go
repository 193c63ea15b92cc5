package webgpu

import (
	"time"

	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

// Lookahead is how many tokens are sampled before the host looks at them.
const Lookahead = 8

// Overhead bounds the device memory that a session takes in addition to its [nn.Footprint], in bytes: parameters of its
// programs, and readback buffers.
const Overhead = 512 << 10

// Ops computes operations on one device.
type Ops struct {
	dev       *gpu.Device
	limit     int    // bytes of a buffer that one kernel can bind
	workgroup uint32 // threads of the kernels that do not fix their number
	tileAbove int    // up to this many rows of activations, products usually go row by row; above, by tiles

	tuning       *Tuning          // the fastest variants so far; nil: the usual ones
	chosen       map[class]choice // choices that were looked up
	tuned        time.Duration    // time spent measuring since tuningFrom
	tuningFrom   time.Time
	forced       *choice // the choice for products that is being measured or tested, or nil
	forcedBlocks *choice // the same for the kernel of all blocks

	// dummyRead is bound where a kernel does not use a buffer that it could read, a slice of dummyWrite where it could write:
	// one slice per binding, because WebGPU does not let written bindings overlap.
	dummyRead, dummyWrite *gpu.Buffer
	pipelines             map[variant]*gpu.Pipeline
	scratches             map[string]*scratch
	bound                 []gpu.Binding // reused by dispatch
	reads                 map[reading]*gpu.Readback
	storage               int      // how many buffers a kernel may bind
	plain                 bool     // nothing is fused
	alike                 bool     // rows are computed as if each were alone
	recording             *program // the program that is being prepared, or nil
	packed                map[*Tensor]*packedLayers
}

var _ op.Executor[*Tensor] = (*Ops)(nil)

// New makes the operations of a device. Nothing else may use the device at the same time.
func New(dev *gpu.Device) *Ops {
	return &Ops{
		dev: dev, limit: int(min(dev.Limits().MaxStorageBufferBindingSize, 1<<31-1)), workgroup: 64, tileAbove: tileThreshold(dev),
		dummyRead: dev.NewBuffer("dummy read", 256), dummyWrite: dev.NewBuffer("dummy write", dummySlice*mostBindings()),
		pipelines: map[variant]*gpu.Pipeline{}, scratches: map[string]*scratch{},
		reads: map[reading]*gpu.Readback{}, packed: map[*Tensor]*packedLayers{},
		storage: storageBuffers(dev),
	}
}

// storageBuffers is how many storage buffers a kernel may bind: what the device offers, or, on a software adapter, the 8 that
// WebGPU promises. There the kernels that want more are slower than the several that they stand for: they read back what
// they have just written, and a text by the demo took 2.5 times as long on lavapipe.
func storageBuffers(dev *gpu.Device) int {
	const promised = 8
	offered := int(dev.Limits().MaxStorageBuffersPerShaderStage)
	if !dev.Info().Hardware() {
		return min(offered, promised)
	}
	return offered
}

// binds reports whether the device can bind all buffers of a kernel.
func (o *Ops) binds(k *wgsl.Kernel) bool { return len(k.Bindings)-1 <= o.storage }

// dummySlice is the size of a slice of dummyWrite: the largest alignment of a binding's offset that WebGPU lets a device
// require.
const dummySlice = 256

func mostBindings() int {
	most := 0
	for _, k := range wgsl.All() {
		most = max(most, len(k.Bindings))
	}
	return most
}

// tileThreshold is the number of rows from which tiles win: late where loads cost more than arithmetic, as on a software
// adapter.
func tileThreshold(dev *gpu.Device) int {
	if dev.Info().Hardware() {
		return 16
	}
	return 48
}

// Device returns the device that the operations run on.
func (o *Ops) Device() *gpu.Device { return o.dev }

// Close releases what the operations hold besides tensors. The device stays open.
func (o *Ops) Close() {
	for _, r := range o.reads {
		r.Discard()
	}
	for _, s := range o.scratches {
		s.buffer.Release()
	}
	for first := range o.packed {
		o.dropPacked(first)
	}
	o.dummyRead.Release()
	o.dummyWrite.Release()
}

// BytesInUse returns the device memory of all buffers.
func (o *Ops) BytesInUse() int { return int(o.dev.BytesInUse()) }

// PeakBytes returns the maximum of BytesInUse so far.
func (o *Ops) PeakBytes() int { return int(o.dev.PeakBytes()) }

func (o *Ops) Lookahead() int { return Lookahead }

func (o *Ops) Submit() { o.dev.Submit() }

func (o *Ops) Flush() error { return o.dev.Flush() }

// variant is a kernel with the constants that a call sets.
type variant struct {
	kernel       *wgsl.Kernel
	format       op.Format // of the weights
	group        int       // how many inputs share a float16 scale, 0 where they do not
	norm         bool      // applies an RMSNorm first
	int8         bool      // the input has been rounded
	add, inPlace bool      // adds another tensor in the end, or adds to the output in place
	embed        bool      // looks the sampled token up
	keep, error  bool      // a scan that keeps states, or errors
	lanes, quads uint32    // of a team in a product
	key          uint32    // room for a key
	workgroup    uint32    // threads, 0 = as the others
	input        uint32    // room for a product's input, in quads
	delta        bool      // the mixer
	block        uint32    // block size of a Hadamard transform
	source       uint32    // what it transforms
	squared      bool      // applies SquaredReLU first
	queries      uint32    // how many a workgroup attends with
	half         bool      // attention's cache is in float16
	head         uint32    // room for a head of attention, in quads
	slots        bool      // sequences are listed in slots
	split        bool      // keys are split into parts
	packed       bool      // rows hold several documents
}

// loadQuads is how many quads of activations meet the loadBytes of weights that a kernel loads at once.
var loadQuads = map[op.Format]uint32{
	op.F32: 1, op.F16: 2, op.BF16: 2, op.I8: 4, op.Ternary: 16, op.Q8_0: 4, op.Q4_0: 8, op.Q4_K: 8, op.Q6_K: 8,
}

// consts returns those of the variant's constants that the kernel has.
func (v variant) consts(workgroup uint32) wgsl.Consts {
	if v.workgroup > 0 {
		workgroup = v.workgroup
	}
	quads := loadQuads[v.format]
	all := wgsl.Consts{
		"WORKGROUP": workgroup, "LANES": max(v.lanes, 1), "TEAM_QUADS": max(v.quads, 1), "KEY": max(v.key, 1),
		"FORMAT": uint32(v.format), "BLOCK_QUADS": quads, "TILE_BLOCKS": 256 / quads,
		"NORM": flag(v.norm), "INT8": flag(v.int8), "ADD": flag(v.add), "EMBED": flag(v.embed), "STARTS": flag(v.keep), "ERRORS": flag(v.error),
		"INPUT_QUADS": max(v.input, 1), "DELTA": flag(v.delta), "GROUP": uint32(v.group / groupUnit), "IN_PLACE": flag(v.inPlace),
		"BLOCK": max(v.block, 1), "ROOM": max(v.block, workgroup), "SOURCE": v.source, "SQUARED": flag(v.squared), "HALF": flag(v.half), "SLOTS": flag(v.slots), "SPLIT": flag(v.split), "PACKED": flag(v.packed), "QUERIES": max(v.queries, 4), "QUADS": max(v.head, 1), "QUERY_QUADS": max(v.queries, 4) * max(v.head, 1),
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

func ceil(n, d int) int { return (n + d - 1) / d }

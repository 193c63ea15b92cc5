package webgpu

import (
	"fmt"
	"slices"

	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

// program is a prepared list of operations: the dispatches to record, in order.
type program struct {
	o         *Ops
	steps     []step
	scratches []*scratch // scratch memory that the steps use
}

// step is a dispatch, a copy or, without a source, a clearing.
type step struct {
	command        *gpu.Command
	dst, src       *gpu.Buffer
	at, from, size int // bytes
}

// Run records the program.
func (p *program) Run() {
	dev := p.o.dev
	for i := range p.steps {
		switch s := &p.steps[i]; {
		case s.command != nil:
			dev.Record(s.command)
		case s.src != nil:
			dev.Copy(s.dst, s.at, s.src, s.from, s.size)
		default:
			dev.Clear(s.dst, s.at, s.size)
		}
	}
}

// Release releases what the program holds.
func (p *program) Release() {
	for _, s := range p.steps {
		if s.command != nil {
			s.command.Release()
		}
	}
	for _, s := range p.scratches {
		s.drop()
	}
	p.steps, p.scratches = nil, nil
}

// Name implements op.Executor.
func (o *Ops) Name() string { return "WebGPU" }

// Has implements op.Executor.
func (o *Ops) Has(x op.Op[*Tensor]) bool { return o.kernel(x) != nil }

// Prepare implements op.Executor. Variants not measured before are measured now.
func (o *Ops) Prepare(p op.Program[*Tensor], scratch ...*Tensor) (op.Prepared, error) {
	op.CheckShapes(p, o.Shape)
	var emit []func()
	for unfused := 0; len(p) > 0; {
		n, do := 0, (func())(nil)
		if !o.plain {
			if unfused <= 0 { // not within blocks that were found and are not to be walked
				n, do = o.fuseBlocks(p, scratch)
			}
			if do == nil {
				unfused = max(unfused, n)
				n, do = o.fuse(p)
			}
		}
		if n == 0 {
			if n, do = 1, o.kernel(p[0]); do == nil {
				return nil, fmt.Errorf("%s has no operation %s", o.Name(), p[0].Name())
			}
		}
		emit = append(emit, do)
		p, unfused = p[n:], unfused-n
	}
	outer, made := o.recording, &program{o: o}
	o.recording = made
	defer func() { o.recording = outer }()
	for _, do := range emit {
		do()
	}
	if o.dev.Err() != nil {
		made.Release()
		return nil, o.dev.Flush()
	}
	return made, nil
}

// Alike implements op.Executor.
func (o *Ops) Alike() int { return 64 }

// PrepareAlike implements op.Executor: each row is computed by the variant chosen for a single row.
func (o *Ops) PrepareAlike(p op.Program[*Tensor], scratch ...*Tensor) (op.Prepared, error) {
	o.alike = true
	defer func() { o.alike = false }()
	return o.Prepare(p, scratch...)
}

// chosenFor returns the number of rows that the variant for n rows is chosen by.
func (o *Ops) chosenFor(n int) int {
	if o.alike {
		return 1
	}
	return n
}

// dispatch adds a kernel over `groups` workgroups (folded into x and y) times z to the program that is being prepared. nil
// buffers stand for bindings that the kernel does not use.
func (o *Ops) dispatch(v variant, params []byte, groups, z int, buffers ...*gpu.Buffer) {
	x, y := gpu.Grid(groups)
	o.dispatchGrid(v, params, x, y, uint32(z), buffers...)
}

func (o *Ops) dispatchGrid(v variant, params []byte, x, y, z uint32, buffers ...*gpu.Buffer) {
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
			bound = o.dummyRead.All()
		default:
			bound = o.dummyWrite.Range(i*dummySlice, dummySlice)
		}
		o.bound = append(o.bound, bound)
	}
	if o.recording == nil {
		o.dev.Dispatch(p, params, o.bound, x, y, z)
		return
	}
	o.recording.steps = append(o.recording.steps, step{command: o.dev.Prepare(p, params, o.bound, x, y, z)})
}

// each adds an elementwise kernel with one thread for each of n elements.
func (o *Ops) each(v variant, params []byte, n int, buffers ...*gpu.Buffer) {
	o.dispatch(v, params, ceil(n, int(o.workgroup)), 1, buffers...)
}

// clear adds the clearing of the first size bytes of a buffer.
func (o *Ops) clear(b *gpu.Buffer, size int) {
	o.recording.steps = append(o.recording.steps, step{dst: b, size: size})
}

// copy adds a copy of the first size bytes of src.
func (o *Ops) copy(dst *gpu.Buffer, at int, src *gpu.Buffer, size int) {
	o.recording.steps = append(o.recording.steps, step{dst: dst, at: at, src: src, size: size})
}

// scratch is memory that operations share by name. Its contents do not outlive an operation.
type scratch struct {
	buffer   *gpu.Buffer
	users    int  // programs that use it
	outgrown bool // replaced by a larger one
}

// drop ends one program's use.
func (s *scratch) drop() {
	if s.users--; s.outgrown && s.users == 0 {
		s.buffer.Release()
	}
}

// scratch returns a buffer of at least n numbers of 4 bytes, held by the program that is being prepared.
func (o *Ops) scratch(name string, n int) *gpu.Buffer {
	s := o.scratches[name]
	if s == nil || s.buffer.Size() < 4*n {
		if s != nil {
			s.outgrown = true
			s.users++
			s.drop()
		}
		if 4*n > o.limit {
			o.dev.Fail(fmt.Errorf("webgpu: scratch memory for %s: got %d bytes, want at most the %d that a kernel can see at once", name, 4*n, o.limit))
			n = 1
		}
		s = &scratch{buffer: o.dev.NewBuffer(name, 4*n)}
		o.scratches[name] = s
	}
	if r := o.recording; r != nil && !slices.Contains(r.scratches, s) {
		r.scratches = append(r.scratches, s)
		s.users++
	}
	return s.buffer
}

// copyTensors records a Copy.
func (o *Ops) copyTensors(args *op.Copy[*Tensor]) {
	each := elementBytes(args.Src.format)
	pieces(args.Src, args.SrcOffset, args.N, func(from *gpu.Buffer, at, done, size int) {
		pieces(args.Dst, args.DstOffset+done/each, size/each, func(to *gpu.Buffer, place, part, size int) {
			o.recording.steps = append(o.recording.steps, step{dst: to, at: place, src: from, from: at + part, size: size})
		})
	})
}

// zero records a Zero.
func (o *Ops) zero(args *op.Zero[*Tensor]) {
	for _, p := range args.X.parts {
		o.clear(p.buffer, p.rows*args.X.rowBytes())
	}
}

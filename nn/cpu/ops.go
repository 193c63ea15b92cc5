package cpu

import (
	"bitgpu/nn/cpu/hugepages"
	"bitgpu/nn/cpu/parallel"
	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/op"
)

// Ops is the CPU engine: the reference with its hot operations replaced by SIMD kernels on all
// cores. Results do not depend on the number of cores. After the first call with a shape an
// operation allocates nothing.
type Ops struct {
	Scalar[float32]
	job        job
	magnitudes magnitudes
	product    []float32 // a product before it is scaled and added
	gated      []float32 // the gradient behind the gates of attention
	heard      []float32 // what a head of attention gives
	panel      []float32 // rows of weights as floats
	partial    []float32 // sums of one block each, added up in order
	convT      []float32 // convolutions with the taps first
	rounded    Tensor[float32]
	keys       []float32 // of a head, out of float16
	values     []float32
	view       Tensor[float32] // some rows of another
	int8s      []int8          // activations as whole numbers
	peaks      []float32       // and what they were multiplied by, a row each
	slots      chan *scanScratch
}

var _ op.Executor[*Tensor[float32]] = (*Ops)(nil)

// New makes the engine.
func New() *Ops {
	o := &Ops{slots: make(chan *scanScratch, parallel.Workers())}
	for range cap(o.slots) {
		o.slots <- new(scanScratch)
	}
	return o
}

// Load implements op.Tensors. Ternary matrices are interleaved where the processor has an order that it likes better.
func (o *Ops) Load(h op.HostTensor) *Tensor[float32] {
	if h.Format == op.Ternary {
		if m := simd.Interleave(h.Codes, h.GroupScales, h.Group, h.Shape[0], h.Shape[1], h.Spare, h.Int8); m != nil {
			t := &Tensor[float32]{Format: h.Format, Shape: h.Shape, Group: h.Group, Scales: convert[float32](h.Scales), Absmean: h.Absmean, interleaved: m}
			o.inUse += t.bytes()
			return t
		}
	}
	return o.Scalar.Load(h)
}

// job is a loop over rows and what it needs: one value, used again by every operation, instead of
// a closure, which would allocate.
type job struct {
	ops   *Ops
	do    func(j *job, start, end int)
	t     [11]*Tensor[float32]
	from  int
	group int
	scale float32
	eps   float64
	scan  op.Scan
	p     deltaShape
	op    any // a pointer to the operation, where its fields are wanted
	gated gatedShape

	forward *op.GatedDelta[*Tensor[float32]] // of a backward
}

// Run runs a part of the loop.
func (j *job) Run(start, end int) { j.do(j, start, end) }

// rows runs do over [0, n) on all cores, at least grain at once.
func (o *Ops) rows(n, grain int, do func(j *job, start, end int), t ...*Tensor[float32]) {
	o.job.ops, o.job.do = o, do
	copy(o.job.t[:], t)
	parallel.For(n, grain, &o.job)
	o.job.t = [11]*Tensor[float32]{}
}

// room returns a slice of n numbers, whose memory is kept for the next call.
func room(s *[]float32, n int) []float32 {
	if cap(*s) < n {
		*s = hugepages.Make[float32](n)
	}
	return (*s)[:n]
}

// zeroRoom is room, filled with zeros.
func zeroRoom(s *[]float32, n int) []float32 {
	v := room(s, n)
	clear(v)
	return v
}

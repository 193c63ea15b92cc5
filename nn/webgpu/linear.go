package webgpu

import (
	"math/bits"

	"bitgpu/gpu"
	"bitgpu/nn"
	"bitgpu/wgsl"
)

// vectorRows is up to how many rows of activations a product is taken row by row; more are taken by tiles.
const vectorRows = 4

// tileRows is how many rows and columns a tile has.
const tileRows = 32

// maxLanes is how many threads share four rows of weights at most.
const maxLanes = 16

// product records a kernel that multiplies n rows by `quads` groups of four rows of weights of `stride` blocks.
func (o *Ops) product(vector, matrix *wgsl.Kernel, v variant, params []byte, n, quads int, stride uint32, buffers ...*gpu.Buffer) {
	if n > vectorRows {
		v.kernel = matrix
		o.dispatch(v, params, ceil(quads, tileRows/4), ceil(n, tileRows), buffers...)
		return
	}
	v.kernel = vector
	v.lanes = uint32(1) << min(bits.Len32(stride)-1, bits.Len32(maxLanes)-1)
	teams := int(o.workgroup / v.lanes)
	o.dispatch(v, params, ceil(quads, teams), n, buffers...)
}

// linear writes y (n, R) = addend + s·x·wᵀ; with a gain it takes RMSNorm of the source, which it writes to x.
func (o *Ops) linear(y, addend, source, gain, x, w *Tensor) {
	n, K := rowsOf(source)
	R := w.shape[0]
	nn.Check("linear: weight", w.shape, R, K)
	nn.Check("linear: output", y.shape, n, R)
	if w.format != nn.Ternary {
		panic("webgpu: a linear layer's weights are ternary, " + w.format.String() + " found")
	}
	v := variant{format: w.format, norm: gain != nil, add: addend != nil}
	if gain != nil {
		nn.Check("linear: gain", gain.shape, K)
		nn.Check("linear: normalised input", x.shape, n, K)
	}
	if addend != nil {
		nn.Check("linear: addend", addend.shape, n, R)
		if o.whole(addend) == o.whole(y) {
			v.inPlace, addend = true, nil
		}
	}
	for _, p := range w.parts {
		params := wgsl.LinearParams{
			N: uint32(n), Width: uint32(K), Stride: w.stride(), Rows: uint32(p.rows), First: uint32(p.first), Total: uint32(R),
			BlockRows: w.blockRows(), Absmean: flag(w.absmean),
		}
		o.product(wgsl.LinearVector, wgsl.LinearMatrix, v, gpu.Params(&params), n, ceil(p.rows, 4), w.stride(),
			o.whole(source), o.whole(gain), p.buffer, w.scales, o.whole(addend), o.whole(x), o.whole(y))
	}
}

func (o *Ops) NormLinear(y, x, h, gain, w *Tensor) { o.linear(y, nil, h, gain, x, w) }

func (o *Ops) LinearAdd(y, r, x, w *Tensor) { o.linear(y, r, x, nil, nil, w) }

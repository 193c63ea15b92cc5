package cpu

import (
	"sync"

	"bitgpu/nn/cpu/parallel"
	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/op"
	"bitgpu/nn/ternary"

	"github.com/x448/float16"
)

// fewRows is the largest number of rows for which a product reads the weights as they are, once for four rows. With more, the
// float matrix product is faster, which turns ternary weights into floats while it packs panels.
const fewRows = 32

func inverseRMSFast(x []float32, eps float64) float32 {
	return float32(inverseRoot(float64(simd.SumSquares(x)/float32(len(x))), eps))
}

// matmul writes y (n, R) = r + s·x·wᵀ for a ternary w; r may be nil or y.
func (o *Ops) matmul(y, r, x, w *Tensor[float32]) {
	n, K := rowsOf(x)
	R := w.Shape[0]
	switch {
	case w.interleaved != nil:
		p := o.productRoom(y, r, n*R)
		w.interleaved.MatMul(p, x.Data, n)
		scaleRows(p, w, n)
		addProduct(y, r, p)
	case n <= fewRows:
		p := o.productRoom(y, r, n*R)
		if w.Group > 0 {
			simd.TernaryGroupMatMul(p, w.Codes, w.GroupScales, w.Group, x.Data, R, K, n)
		} else {
			simd.TernaryMatMul(p, w.Codes, x.Data, R, K, n)
			scaleRows(p, w, n)
		}
		addProduct(y, r, p)
	case w.Group > 0:
		simd.GemmTernaryGroup(n, R, K, x.Data, K, w.Codes, w.GroupScales, w.Group, prefill(y, r), y.Data, R)
	case w.Absmean && len(w.Scales) == R: // a scale a row, which the product with a whole block cannot have
		p := o.productRoom(y, r, n*R)
		simd.GemmTernary(n, R, K, 1, x.Data, K, false, w.Codes, true, 0, p, R)
		scaleRows(p, w, n)
		addProduct(y, r, p)
	default:
		beta := prefill(y, r)
		for b, rows := range blocksOf(w) {
			simd.GemmTernary(n, rows, K, w.scale(b*rows), x.Data, K, false, w.codes(b*rows, rows), true, beta, y.Data[b*rows:], R)
		}
	}
}

// productRoom returns room for a product before r, which may be y, is added to it; without r that is y itself.
func (o *Ops) productRoom(y, r *Tensor[float32], n int) []float32 {
	if r == nil {
		return y.Data[:n]
	}
	return room(&o.product, n)
}

func addProduct(y, r *Tensor[float32], p []float32) {
	if r != nil {
		simd.Add(y.Data, r.Data, p)
	}
}

// prefill fills y with what a product is added to, and returns the factor of y in that sum.
func prefill(y, r *Tensor[float32]) (beta float32) {
	if r == nil {
		return 0
	}
	if r != y {
		copy(y.Data, r.Data)
	}
	return 1
}

// scaleRows multiplies the n products with w by γ.
func scaleRows(p []float32, w *Tensor[float32], n int) {
	R := w.Shape[0]
	switch {
	case !w.Absmean:
	case len(w.Scales) == R:
		for i := range n {
			simd.Mul(p[i*R:(i+1)*R], p[i*R:(i+1)*R], w.Scales)
		}
	default:
		each := R / len(w.Scales)
		for b, scale := range w.Scales {
			for i := range n {
				simd.Scale(scale, p[i*R+b*each:][:each])
			}
		}
	}
}

// matmulInt8 is matmul with the rows of x rounded as op.Linear says, in whole numbers.
func (o *Ops) matmulInt8(y, r, x, w *Tensor[float32]) {
	n, K := rowsOf(x)
	R := w.Shape[0]
	if cap(o.int8s) < n*K {
		o.int8s = make([]int8, n*K)
	}
	q, scales := o.int8s[:n*K], room(&o.peaks, n)
	for i := range n {
		row := x.Data[i*K : (i+1)*K]
		scales[i] = simd.QuantizeI8(q[i*K:(i+1)*K], row)
		if s := simd.SumSquares(row); s != s { // NaN, which whole numbers cannot show
			scales[i] = s
		}
	}
	p := o.productRoom(y, r, n*R)
	if w.interleaved != nil {
		w.interleaved.MatMulI8(p, q, scales, n)
		scaleRows(p, w, n)
	} else if w.Group > 0 {
		simd.TernaryGroupMatMulI8(p, w.Codes, w.GroupScales, w.Group, q, scales, R, K, n)
	} else {
		simd.TernaryMatMulI8(p, w.Codes, q, scales, R, K, n)
		scaleRows(p, w, n)
	}
	addProduct(y, r, p)
}

// codes returns the codes of n rows of a ternary matrix.
func (t *Tensor[F]) codes(row, n int) []byte {
	stride := ternary.RowBytes(t.Shape[1])
	return t.Codes[row*stride : (row+n)*stride]
}

// blocksOf yields the number and the rows of each block that a product handles by itself.
func blocksOf(w *Tensor[float32]) func(yield func(int, int) bool) {
	n := 1
	if w.Absmean {
		n = len(w.Scales)
	}
	return blocks(w.Shape[0], n)
}

func blocks(rows, n int) func(yield func(int, int) bool) {
	return func(yield func(int, int) bool) {
		for b := range n {
			if !yield(b, rows/n) {
				return
			}
		}
	}
}

func (o *Ops) linear(args *op.Linear[*Tensor[float32]]) {
	switch {
	case args.W.Format != op.Ternary:
		x := args.X
		if args.Int8 {
			x = o.roundInt8(x)
		}
		o.decoded(args.Y, args.Addend, x, args.W)
	case args.Int8:
		o.matmulInt8(args.Y, args.Addend, args.X, args.W)
	default:
		o.matmul(args.Y, args.Addend, args.X, args.W)
	}
}

// decoded writes y (n, R) = r + x·wᵀ for w of any format. It turns one row of w into floats at a time, or several where x has
// many rows; r may be nil or y.
func (o *Ops) decoded(y, r, x, w *Tensor[float32]) {
	n, K := rowsOf(x)
	if w.quants != nil && n <= fewRows {
		p := o.productRoom(y, r, n*w.Shape[0])
		simd.QuantsMatMul(p, w.quants, x.Data, n)
		addProduct(y, r, p)
		return
	}
	if R := w.Shape[0]; n > fewRows {
		beta := prefill(y, r)
		o.eachPanel(w, func(panel []float32, first, rows int) {
			simd.Gemm(n, rows, K, 1, x.Data, K, false, panel, K, true, beta, y.Data[first:], R)
		})
		return
	}
	o.rows(w.Shape[0], max(1, (1<<15)/(n*K)), func(j *job, start, end int) {
		y, r, x, w := j.t[0], j.t[1], j.t[2], j.t[3]
		n, K := rowsOf(x)
		R := w.Shape[0]
		scratch := <-j.ops.slots
		defer func() { j.ops.slots <- scratch }()
		row := room(&scratch.row, K)
		for i := start; i < end; i++ {
			wideRow(w, row, i)
			for b := range n {
				sum := simd.Dot(x.Data[b*K:(b+1)*K], row)
				if r != nil {
					sum += r.Data[b*R+i]
				}
				y.Data[b*R+i] = sum
			}
		}
	}, y, r, x, w)
}

// roundInt8 returns x with each row rounded as op.Linear says.
func (o *Ops) roundInt8(x *Tensor[float32]) *Tensor[float32] {
	n, K := rowsOf(x)
	o.rounded.Shape, o.rounded.Data = append(o.rounded.Shape[:0], n, K), room(&o.rounded.Data, n*K)
	o.rows(n, max(1, (1<<12)/K), func(j *job, start, end int) {
		x, out := j.t[0], j.t[1]
		K := x.Shape[1]
		for i := start; i < end; i++ {
			roundRow(out.Data[i*K:(i+1)*K], x.Data[i*K:(i+1)*K])
		}
	}, x, &o.rounded)
	return &o.rounded
}

func (o *Ops) linearBackward(args *op.LinearBackward[*Tensor[float32]]) {
	dx, dw, dy, x, w := args.DX, args.DW, args.DY, args.X, args.W
	n, K := rowsOf(x)
	R := w.Shape[0]
	o.inputGradient(dx.Data, dy.Data, w, n)
	if dw == nil {
		return
	}
	if args.Int8 {
		x = o.roundInt8(x)
	}
	if w.Absmean || len(w.Scales) == 0 {
		simd.Gemm(R, K, n, 1, dy.Data, R, true, x.Data, K, false, 1, dw.Data, K)
		return
	}
	for b, rows := range blocks(R, len(w.Scales)) {
		simd.Gemm(rows, K, n, w.straight(b*rows), dy.Data[b*rows:], R, true, x.Data, K, false, 1, dw.Data[b*rows*K:(b+1)*rows*K], K)
	}
}

// panelRows is how many rows of weights are converted to floats at once for a product that needs floats.
const panelRows = 256

// inputGradient writes dx (n, K) = dy (n, R)·w for weights of any format.
func (o *Ops) inputGradient(dx, dy []float32, w *Tensor[float32], n int) {
	R, K := w.Shape[0], w.Shape[1]
	switch {
	case w.Format == op.F32:
		simd.Gemm(n, K, R, 1, dy, R, false, w.Data, K, false, 0, dx, K)
	case w.Format == op.Ternary && w.Group == 0 && w.interleaved == nil && !(w.Absmean && len(w.Scales) == R):
		for b, rows := range blocksOf(w) {
			beta := float32(min(b, 1))
			simd.GemmTernary(n, K, rows, w.scale(b*rows), dy[b*rows:], R, false, w.codes(b*rows, rows), false, beta, dx, K)
		}
	default:
		o.eachPanel(w, func(panel []float32, first, rows int) {
			simd.Gemm(n, K, rows, 1, dy[first:], R, false, panel, K, false, float32(min(first, 1)), dx, K)
		})
	}
}

// eachPanel calls do with panelRows rows of w at a time, as floats; the first of them is row first of w.
func (o *Ops) eachPanel(w *Tensor[float32], do func(panel []float32, first, rows int)) {
	R, K := w.Shape[0], w.Shape[1]
	panel := room(&o.panel, panelRows*K)
	for first := 0; first < R; first += panelRows {
		rows := min(panelRows, R-first)
		o.job.from = first
		o.rows(rows, max(1, (1<<13)/K), func(j *job, start, end int) {
			w := j.t[0]
			K := w.Shape[1]
			for i := start; i < end; i++ {
				wideRow(w, j.ops.panel[i*K:(i+1)*K], j.from+i)
			}
		}, w)
		do(panel, first, rows)
	}
}

// wideRow is row, without converting weights of groups and of half precision one by one.
func wideRow(t *Tensor[float32], dst []float32, r int) {
	cols := t.Shape[1]
	switch {
	case t.quants != nil:
		simd.QuantsRow(dst, t.quants, r)
	case t.Format == op.F16:
		simd.Float32s(dst, t.Half[r*cols:(r+1)*cols])
	case t.Format == op.Ternary && t.Group > 0 && t.interleaved == nil:
		ternary.Unpack(dst, t.codes(r, 1), 1, cols)
		for c := 0; c < cols; c += t.Group {
			simd.Scale(float16.Frombits(t.GroupScales[(r*cols+c)/t.Group]).Float32(), dst[c:min(c+t.Group, cols)])
		}
	default:
		t.row(dst, r)
	}
}

func (o *Ops) quantize(args *op.Quantize[*Tensor[float32]]) {
	q, w := args.Q, args.W
	cols := q.Shape[1]
	if q.Group > 0 {
		o.rows(q.Shape[0], max(1, (1<<13)/cols), func(j *job, start, end int) { quantizeGroups(j.t[0], j.t[1], start, end) }, q, w)
		return
	}
	first := 0
	for b, rows := range blocksToQuantize(args) {
		block := w.Data[first*cols : (first+rows)*cols]
		gamma := o.magnitudes.gamma(block)
		scale := gamma
		if args.HalfEven {
			gamma, scale = ternary.HalfEven(gamma)
			gamma *= 2
		}
		simd.TernaryQuantize(q.codes(first, rows), block, rows, cols, gamma)
		setScales(q, args.RowBlocks != nil, b, first, rows, scale)
		first += rows
	}
}

// gammaGrain is how many weights a core adds up at a time.
const gammaGrain = 1 << 13

// magnitudes sums |w| on all cores. The sum is exact, so it does not matter how it is divided.
type magnitudes struct {
	w    []float32
	lock sync.Mutex
	sum  ternary.Sum
}

// Run sums a part.
func (m *magnitudes) Run(start, end int) {
	var share ternary.Sum
	simd.AddMagnitudes(&share, m.w[start:end])
	m.lock.Lock()
	defer m.lock.Unlock()
	m.sum.Merge(&share)
}

// gamma is [ternary.Gamma] on all cores.
func (m *magnitudes) gamma(w []float32) float32 {
	m.w, m.sum = w, ternary.Sum{}
	parallel.For(len(w), gammaGrain, m)
	m.w = nil
	return m.sum.Gamma(len(w))
}

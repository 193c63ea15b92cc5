package cpu

import (
	"bitgpu/nn/cpu/parallel"
	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/op"
)

func (o *Ops) tiedScan(args *op.TiedScan[*Tensor[float32]]) {
	z, f, state, starts, scan := args.Z, args.F, args.State, args.Starts, args.Scan
	o.job.scan = scan
	o.rows(sequencesOf(state, args.Slots), 1, func(j *job, start, end int) {
		s := <-j.ops.slots
		defer func() { j.ops.slots <- s }()
		for b := start; b < end; b++ {
			s.tiedForward(j.t[0], j.t[1], j.t[2], j.t[3], j.t[4], documentsOf(j.t[5]), b, j.scan)
		}
	}, z, f, state, starts, args.Slots, args.Documents)
}

// tiedForward scans sequence b.
func (s *scanScratch) tiedForward(z, f, state, starts, slots *Tensor[float32], documents documents, b int, scan op.Scan) {
	n, d := rowsOf(f)
	time := n / sequencesOf(state, slots)
	W := state.Data[slotOf(slots, b)*d*d:][:d*d]
	for t := 0; t < time; {
		m := min(scan.Chunk, time-t)
		if !scan.Minibatch {
			m = min(piece(t, time, scan.Chunk), documents.behind(b*time+t, t, time)+1)
		}
		if starts != nil && t%scan.Chunk == 0 {
			copy(starts.Data[(b*starts.Shape[1]+t/scan.Chunk)*d*d:], W)
		}
		if documents.begin(b*time + t) {
			clear(W)
		}
		at, to := (b*time+t)*d, (b*time+t+m)*d
		if m == 1 {
			s.tiedStep(z.Data[at:to], f.Data[at:to], W, scan.Rate)
		} else {
			s.tiedErrors(W, f.Data[at:to], d, scan)
			zs := z.Data[at:to]
			copy(zs, s.x[:m*d])
			simd.Axpy(-1, s.e[:m*d], zs)
			simd.Gemm(d, d, m, scan.Rate, s.e, d, true, s.x, d, false, 1, W, d)
		}
		t += m
	}
}

// tiedStep handles a single token, for which products of matrices do not pay.
func (s *scanScratch) tiedStep(z, f, W []float32, rate float32) {
	d := len(f)
	k, e := room(&s.x, d), room(&s.e, d)
	unitFast(k, f)
	s.token = tiedToken{z, k, e, W, rate}
	parallel.For(d, rowsOfSize(tokenChunk, d), &s.token)
}

// tiedToken is a loop over the rows of a memory, which answer and learn independently of each other.
type tiedToken struct {
	z, k, e, W []float32
	rate       float32
}

const (
	// tokenChunk is how many numbers of a memory make another core worth it.
	tokenChunk = 1 << 14
	// tokenBlock is how many numbers are read before they are changed, while they are in the nearest cache.
	tokenBlock = 1 << 12
)

// rowsOfSize returns a number of rows, a multiple of four, that hold about size numbers in rows of d.
func rowsOfSize(size, d int) int { return max(size/d/4*4, 4) }

// Run handles the rows start to end.
func (t *tiedToken) Run(start, end int) {
	d := len(t.k)
	for i := start; i < end; {
		to := min(i+rowsOfSize(tokenBlock, d), end)
		z, e, W := t.z[i:to], t.e[i:to], t.W[i*d:to*d]
		simd.MatVec(z, W, t.k, to-i, d)
		copy(e, t.k[i:to])
		simd.Axpy(-1, z, e)
		simd.Ger(W, t.rate, e, t.k)
		i = to
	}
}

// tiedErrors sets x to the keys of some tokens, and e to what the memory before each token lacks of its key, k − W·k: rows of
// E = (I + ηL)⁻¹·(X − X·Wᵀ), with L the lower part of X·Xᵀ, which is left in lower. The minibatch rule needs no substitution.
func (s *scanScratch) tiedErrors(W, f []float32, d int, scan op.Scan) {
	m := len(f) / d
	x, e := room(&s.x, m*d), room(&s.e, m*d)
	for i := range m {
		unitFast(x[i*d:(i+1)*d], f[i*d:(i+1)*d])
	}
	copy(e, x)
	simd.Gemm(m, d, d, -1, x, d, false, W, d, true, 1, e, d)
	if scan.Minibatch {
		return
	}
	lower := room(&s.lower, m*m)
	simd.Gemm(m, m, d, scan.Rate, x, d, false, x, d, true, 0, lower, m)
	simd.Substitute(e, lower, m, d, false)
}

func (o *Ops) tiedScanBackward(args *op.TiedScanBackward[*Tensor[float32]]) {
	df, dz, f, starts, scan := args.DF, args.DZ, args.F, args.Starts, args.Scan
	o.job.scan = scan
	o.rows(starts.Shape[0], 1, func(j *job, start, end int) {
		s := <-j.ops.slots
		defer func() { j.ops.slots <- s }()
		for b := start; b < end; b++ {
			s.tiedBackward(j.t[0], j.t[1], j.t[2], j.t[3], documentsOf(j.t[4]), b, j.scan)
		}
	}, df, dz, f, starts, args.Documents)
}

// tiedBackward goes backward through the chunks of sequence b, which are divided where documents begin, by the formulas of
// docs/equations.md with D = −dR:
//
//	D   = A⁻ᵀ·(dZ − ηX·dWᵀ)
//	dX  = dZ − D + D·W₀ + ηE·dW + (P + Pᵀ)·X, P the lower part of ηD·Eᵀ
//	dW₀ = dW + Dᵀ·X
func (s *scanScratch) tiedBackward(df, dz, f, starts *Tensor[float32], documents documents, b int, scan op.Scan) {
	n, d := rowsOf(f)
	chunks, C, eta := starts.Shape[1], scan.Chunk, scan.Rate
	time := n / starts.Shape[0]
	dW := zeroRoom(&s.dW, d*d)
	for end := time; end > 0; {
		first := documents.pieceBefore(b*time, end, C)
		c, m := first/C, end-first
		at, to := (b*time+first)*d, (b*time+end)*d
		W := starts.Data[(b*chunks+c)*d*d : (b*chunks+c+1)*d*d]
		if documents.begin(b*time + first) {
			W = zeroRoom(&s.none, d*d)
		}
		s.tiedErrors(W, f.Data[at:to], d, scan)
		x, e := s.x[:m*d], s.e[:m*d]
		D, dx := room(&s.d, m*d), room(&s.dx, m*d)

		copy(D, dz.Data[at:to])
		simd.Gemm(m, d, d, -eta, x, d, false, dW, d, true, 1, D, d)
		copy(dx, dz.Data[at:to])
		if !scan.Minibatch {
			simd.Substitute(D, s.lower[:m*m], m, d, true)
			products := room(&s.dp, m*m)
			simd.Gemm(m, m, d, eta, D, d, false, e, d, true, 0, products, m)
			pairs := zeroRoom(&s.pairs, m*m)
			for i := range m {
				copy(pairs[i*m:], products[i*m:i*m+i])
				for j, p := range products[i*m : i*m+i] {
					pairs[j*m+i] = p
				}
			}
			simd.Gemm(m, d, m, 1, pairs, m, false, x, d, false, 1, dx, d)
		}
		simd.Axpy(-1, D, dx)
		simd.Gemm(m, d, d, 1, D, d, false, W, d, false, 1, dx, d)
		simd.Gemm(m, d, d, eta, e, d, false, dW, d, false, 1, dx, d)
		simd.Gemm(d, d, m, 1, D, d, true, x, d, false, 1, dW, d)
		for i := range m {
			unitBackwardFast(df.Data[at+i*d:at+(i+1)*d], dx[i*d:(i+1)*d], f.Data[at+i*d:at+(i+1)*d])
		}
		if documents.begin(b*time + first) {
			clear(dW)
		}
		end = first
	}
}

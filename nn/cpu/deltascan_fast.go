package cpu

import (
	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/op"
)

func (o *Ops) deltaScan(args *op.DeltaScan[*Tensor[float32]]) {
	out, u, b, conv, gain, state, tail, kqv, read, starts, chunk := args.O, args.U, args.Beta, args.Conv, args.Gain, args.State, args.Tail, args.KQV, args.Answers, args.Starts, args.Chunk
	p := scanShape(args.O, args.Gain, args.State, args.Slots, args.Documents)
	o.job.p, o.job.scan.Chunk, o.job.eps = p, chunk, op.Epsilon(args.Eps)
	o.shortConv(u, conv, tail, kqv, args.Slots)
	o.rows(p.B*p.h, 1, func(j *job, start, end int) {
		s := <-j.ops.slots
		defer func() { j.ops.slots <- s }()
		for i := start; i < end; i++ {
			s.deltaForward(j.t[0], j.t[1], j.t[2], j.t[3], j.t[4], j.t[5], j.t[6], j.t[7], j.p, i, j.scan.Chunk, float32(j.eps))
		}
	}, out, b, gain, state, kqv, read, starts, args.Slots)
	for seq := range p.B {
		o.keepTail(p, u.Data, tailIn(p, tail.Data, slotOf(args.Slots, seq)), seq)
	}
}

// deltaPart returns where a head's key, query or value (0, 1, 2) begins in a row of kqv.
func deltaPart(data []float32, p deltaShape, row, which, head int) []float32 {
	return data[(row*3+which)*p.d+head*p.c:][:p.c]
}

// deltaForward scans one head of one sequence; i counts heads, sequence by sequence.
func (s *scanScratch) deltaForward(o, b, gain, state, kqv, read, starts, slots *Tensor[float32], p deltaShape, i, chunk int, eps float32) {
	seq, head, c := i/p.h, i%p.h, p.c
	W := state.Data[(slotOf(slots, seq)*p.h+head)*c*c:][:c*c]
	for t := 0; t < p.time; {
		if starts != nil && t%chunk == 0 {
			copy(starts.Data[((seq*starts.Shape[1]+t/chunk)*p.h+head)*c*c:], W)
		}
		row := seq*p.time + t
		if p.documents.begin(row) {
			clear(W)
		}
		m := min(piece(t, p.time, chunk), p.documents.behind(row, t, p.time)+1)
		var answers []float32
		if m == 1 {
			answers = s.deltaStep(W, b.Data[row*p.h+head], kqv.Data, p, row, head)
		} else {
			answers = s.deltaChunk(W, b.Data, kqv.Data, p, row, m, head)
		}
		for i := range m {
			at := (row+i)*p.d + head*c
			copy(read.Data[at:at+c], answers[i*c:(i+1)*c])
			simd.RMSNorm(o.Data[at:at+c], read.Data[at:at+c], gain.Data, eps)
		}
		t += m
	}
}

// deltaStep handles a single token, for which products of matrices do not pay. It returns the answer.
func (s *scanScratch) deltaStep(W []float32, beta float32, kqv []float32, p deltaShape, row, head int) []float32 {
	e, answer := room(&s.e, p.c), room(&s.y, p.c)
	k, q, v := deltaPart(kqv, p, row, 0, head), deltaPart(kqv, p, row, 1, head), deltaPart(kqv, p, row, 2, head)
	simd.MatVec(answer, W, k, p.c, p.c)
	copy(e, v)
	simd.Axpy(-1, answer, e)
	simd.Ger(W, beta, e, k)
	simd.MatVec(answer, W, q, p.c, p.c)
	return answer
}

// deltaChunk handles m tokens together and returns their answers Z = Q·W₀ᵀ + lower(Q·Kᵀ)·(b ∘ E).
func (s *scanScratch) deltaChunk(W, b, kqv []float32, p deltaShape, row, m, head int) []float32 {
	c := p.c
	s.deltaErrors(W, b, kqv, p, row, m, head, 2*m)
	answers, queried := s.y[m*c:2*m*c], s.queried(m)
	simd.Gemm(m, c, m, 1, queried, m, false, s.u, c, false, 1, answers, c)
	simd.Gemm(c, c, m, 1, s.u, c, true, s.x, c, false, 1, W, c)
	return answers
}

// deltaErrors sets x to the keys of m tokens above their queries, products to x·Kᵀ, y to x·Wᵀ of the first rows, e to the
// difference between each value and what the memory before its token answers, and u = b ∘ E. E = (I + lower)⁻¹·(V − K·Wᵀ), with
// lower the part of K·Kᵀ·diag(b) below the diagonal.
func (s *scanScratch) deltaErrors(W, b, kqv []float32, p deltaShape, row, m, head, rows int) {
	c := p.c
	x, e, u, y := room(&s.x, 2*m*c), room(&s.e, m*c), room(&s.u, m*c), room(&s.y, rows*c)
	beta, products, lower := room(&s.beta, m), room(&s.products, 2*m*m), room(&s.lower, m*m)
	for i := range m {
		copy(x[i*c:], deltaPart(kqv, p, row+i, 0, head))
		copy(x[(m+i)*c:], deltaPart(kqv, p, row+i, 1, head))
		copy(e[i*c:], deltaPart(kqv, p, row+i, 2, head))
		beta[i] = b[(row+i)*p.h+head]
	}
	simd.Gemm(2*m, m, c, 1, x, c, false, x[:m*c], c, true, 0, products, m)
	for i := range m {
		simd.Mul(lower[i*m:(i+1)*m], products[i*m:(i+1)*m], beta)
	}
	simd.Gemm(rows, c, c, 1, x, c, false, W, c, true, 0, y, c)
	simd.Axpy(-1, y[:m*c], e)
	simd.Substitute(e, lower, m, c, false)
	copy(u, e)
	for i, step := range beta {
		simd.Scale(step, u[i*c:(i+1)*c])
	}
}

// queried returns Q·Kᵀ (m, m), with zeros for keys that a query has not seen.
func (s *scanScratch) queried(m int) []float32 {
	q := s.products[m*m : 2*m*m]
	for i := range m {
		clear(q[i*m+i+1 : (i+1)*m])
	}
	return q
}

func (o *Ops) deltaScanBackward(args *op.DeltaScanBackward[*Tensor[float32]]) {
	du, db, dconv, dgain, do, u, b, conv, gain, kqv, read, starts, chunk := args.DU, args.DBeta, args.DConv, args.DGain, args.DO, args.U, args.Beta, args.Conv, args.Gain, args.KQV, args.Answers, args.Starts, args.Chunk
	p := scanShape(args.DO, args.Gain, args.Starts, nil, args.Documents)
	o.job.p, o.job.scan.Chunk, o.job.eps = p, chunk, op.Epsilon(args.Eps)
	room(&o.product, len(kqv.Data)) // the gradient of kqv
	zeroRoom(&o.partial, p.B*p.h*p.c)
	o.rows(p.B*p.h, 1, func(j *job, start, end int) {
		s := <-j.ops.slots
		defer func() { j.ops.slots <- s }()
		for i := start; i < end; i++ {
			s.deltaBackward(j.ops.product, j.ops.partial[i*j.p.c:(i+1)*j.p.c], j.t[0], j.t[1], j.t[2], j.t[3], j.t[4],
				j.t[5], j.t[6], j.p, i, j.scan.Chunk, float32(j.eps))
		}
	}, db, do, b, gain, kqv, read, starts)
	if dgain != nil {
		o.addPartials(dgain.Data, p.B*p.h)
	}
	o.shortConvBackward(du, dconv, u, conv)
}

// deltaBackward writes the gradients of one head's keys, queries and values to dkqv and of its steps to db, and adds that of the
// gain. It goes backward through the chunks, which are divided where documents begin. With X the keys above the queries, U = b ∘ E,
// and lower parts that include the diagonal only for queries, the gradients are
//
//	dU  = K·dWᵀ + lower(Q·Kᵀ)ᵀ·dZ
//	dV  = A⁻ᵀ·(b ∘ dU)
//	D   = −dV over dZ
//	P   = lower(D·Eᵀ)·diag(b), that of the products X·Kᵀ
//	dX  = D·W₀ + (P·K, and Pᵀ·X to the keys) + (U·dW to the keys)
//	dW₀ = dW + Dᵀ·X
//	db  = rows of dU ∘ E summed up, and columns of D·Eᵀ ∘ K·Kᵀ below the diagonal
func (s *scanScratch) deltaBackward(dkqv, dgain []float32, db, do, b, gain, kqv, read, starts *Tensor[float32], p deltaShape, i, chunk int, eps float32) {
	seq, head, c := i/p.h, i%p.h, p.c
	dW := zeroRoom(&s.dW, c*c)
	for end := p.time; end > 0; {
		first := p.documents.pieceBefore(seq*p.time, end, chunk)
		m, row := end-first, seq*p.time+first
		W := starts.Data[((seq*starts.Shape[1]+first/chunk)*p.h+head)*c*c:][:c*c]
		if p.documents.begin(row) {
			W = zeroRoom(&s.none, c*c)
		}
		s.deltaErrors(W, b.Data, kqv.Data, p, row, m, head, m)
		x, e, u, beta := s.x, s.e[:m*c], s.u, s.beta[:m]
		D, dX, dU, dbeta := room(&s.d, 2*m*c), room(&s.dx, 2*m*c), room(&s.du, m*c), room(&s.dbeta, m)

		dZ := D[m*c:]
		clear(dZ)
		for i := range m {
			at := (row+i)*p.d + head*c
			simd.RMSNormBackward(dZ[i*c:(i+1)*c], dgain, do.Data[at:at+c], read.Data[at:at+c], gain.Data,
				inverseRMSFast(read.Data[at:at+c], float64(eps)))
		}
		simd.Gemm(m, c, c, 1, x, c, false, dW, c, true, 0, dU, c)
		simd.Gemm(m, c, m, 1, s.queried(m), m, true, dZ, c, false, 1, dU, c)
		for i, step := range beta {
			dbeta[i] = simd.Dot(dU[i*c:(i+1)*c], e[i*c:(i+1)*c])
			copy(D[i*c:(i+1)*c], dU[i*c:(i+1)*c])
			simd.Scale(-step, D[i*c:(i+1)*c])
		}
		simd.Substitute(D[:m*c], s.lower[:m*m], m, c, true)

		s.deltaPairs(D, e, m, c)
		simd.Gemm(2*m, c, c, 1, D, c, false, W, c, false, 0, dX, c)
		simd.Gemm(2*m, c, 2*m, 1, s.pairs, 2*m, false, x, c, false, 1, dX, c)
		simd.Gemm(m, c, c, 1, u, c, false, dW, c, false, 1, dX, c)
		simd.Gemm(c, c, 2*m, 1, D, c, true, x, c, false, 1, dW, c)
		for i := range m {
			copy(deltaPart(dkqv, p, row+i, 0, head), dX[i*c:])
			copy(deltaPart(dkqv, p, row+i, 1, head), dX[(m+i)*c:])
			dv := deltaPart(dkqv, p, row+i, 2, head)
			copy(dv, D[i*c:])
			simd.Scale(-1, dv)
			db.Data[(row+i)*p.h+head] = dbeta[i]
		}
		if p.documents.begin(row) {
			clear(dW)
		}
		end = first
	}
}

// deltaPairs sets pairs (2m, 2m) to the gradient of the products of the rows of x with each other, P and Pᵀ, and adds the part
// that the products of keys contribute to dbeta.
func (s *scanScratch) deltaPairs(D, e []float32, m, c int) {
	products, pairs := room(&s.dp, 2*m*m), zeroRoom(&s.pairs, 4*m*m)
	simd.Gemm(2*m, m, c, 1, D, c, false, e, c, true, 0, products, m)
	for i := range m {
		simd.MulAdd(s.dbeta[:i], products[i*m:i*m+i], s.products[i*m:i*m+i])
	}
	for i := range 2 * m {
		seen := i % m // how many keys
		if i >= m {
			seen++
		}
		p := pairs[2*i*m : 2*i*m+seen]
		simd.Mul(p, products[i*m:i*m+seen], s.beta[:seen])
		for j, v := range p {
			pairs[2*j*m+i] = v
		}
	}
}

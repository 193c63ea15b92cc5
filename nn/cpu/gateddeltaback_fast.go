package cpu

import (
	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/op"
)

// gatedDeltaBackward runs key heads in parallel, because the value heads of one add to the gradient of the same key and query,
// and then rows.
func (o *Ops) gatedDeltaBackward(a *op.GatedDeltaBackward[*Tensor[float32]]) {
	f, p := forwardOf(a)
	o.job.op, o.job.gated, o.job.forward = a, p, f
	zeroRoom(&o.product, len(a.QKV.Data)) // the gradient of qkv
	room(&o.partial, p.B*p.heads)         // that of ln(−Decay), by sequence
	o.rows(p.B*p.keyHeads, 1, func(j *job, start, end int) {
		a, p := j.op.(*op.GatedDeltaBackward[*Tensor[float32]]), &j.gated
		scratch := <-j.ops.slots
		defer func() { j.ops.slots <- scratch }()
		each := p.heads / p.keyHeads
		for i := start; i < end; i++ {
			for head := i % p.keyHeads * each; head < (i%p.keyHeads+1)*each; head++ {
				j.ops.partial[i/p.keyHeads*p.heads+head] = gatedHeadBackward(a, j.forward, p, i/p.keyHeads, head, j.ops.product, scratch)
			}
		}
	})
	if a.DLogDecay != nil {
		addGains(a.DLogDecay.Data, o.partial, p.B, 1, 0, 1)
	}
	addOwnSums(a, &o.job.gated)
	o.rows(p.B*p.time, 1, func(j *job, start, end int) {
		for i := start; i < end; i++ {
			gatedConvActivationBackward(j.op.(*op.GatedDeltaBackward[*Tensor[float32]]), &j.gated, i, j.ops.product)
		}
	})
	o.rows(p.B*p.time, 4, func(j *job, start, end int) {
		for i := start; i < end; i++ {
			convolveBack(j.op.(*op.GatedDeltaBackward[*Tensor[float32]]), &j.gated, i, j.ops.product)
		}
	})
	if a.DConv != nil {
		o.rows(p.channels, 64, func(j *job, start, end int) {
			scratch := <-j.ops.slots
			defer func() { j.ops.slots <- scratch }()
			gatedConvTaps(j.op.(*op.GatedDeltaBackward[*Tensor[float32]]), &j.gated, start, end, j.ops.product, scratch)
		})
	}
}

// gatedConvTaps adds to the gradients of the taps of the channels from start to before end, from that of the convolution's output. The
// sums of one tap lie side by side.
func gatedConvTaps(a *op.GatedDeltaBackward[*Tensor[float32]], p *gatedShape, start, end int, dqkv []float32, s *scanScratch) {
	width := end - start
	sums := zeroRoom(&s.dconv, p.taps*width)
	for i := range p.B * p.time {
		d := dqkv[i*p.channels:][start:end]
		for tap := range p.taps {
			if back := p.taps - 1 - tap; back <= p.documents.before(i, i%p.time) {
				simd.MulAdd(sums[tap*width:(tap+1)*width], d, a.U.Data[(i-back)*p.inputs:][start:end])
			}
		}
	}
	for ch := range width {
		for tap := range p.taps {
			a.DConv.Data[(start+ch)*p.taps+tap] += sums[tap*width+ch]
		}
	}
}

// gatedHeadBackward handles one head of one sequence, one row of the state, of its gradient and of P at a time. It returns what the
// sequence adds to the gradient of ln(−Decay).
func gatedHeadBackward(a *op.GatedDeltaBackward[*Tensor[float32]], f *op.GatedDelta[*Tensor[float32]], p *gatedShape, sequence, head int,
	dqkv []float32, s *scanScratch) (dlog float32) {
	size, key, value := p.value*p.key, p.key, p.value
	states, dS, errs := room(&s.x, (a.Chunk+1)*size), zeroRoom(&s.dW, size), room(&s.e, a.Chunk*value)
	out, normed, do := room(&s.y, value), room(&s.u, value), room(&s.du, value)
	for first := (p.time - 1) / a.Chunk * a.Chunk; first >= 0; first -= a.Chunk {
		m := min(a.Chunk, p.time-first)
		copy(states, a.Starts.Data[((sequence*a.Starts.Shape[1]+first/a.Chunk)*p.heads+head)*size:][:size])
		for i := range m {
			row := sequence*p.time + first + i
			_, kAt, vAt := p.parts(row, head)
			k := a.QKV.Data[kAt : kAt+key]
			decay, beta := gates(f, p, row, head)
			if p.documents.begin(row) {
				clear(states[(i+1)*size : (i+2)*size])
			} else {
				copy(states[(i+1)*size:(i+2)*size], states[i*size:(i+1)*size])
			}
			for j := range value {
				S := states[(i+1)*size+j*key:][:key]
				simd.Scale(decay, S)
				e := a.QKV.Data[vAt+j] - simd.Dot(S, k)
				errs[i*value+j] = e
				simd.Axpy(beta*e, k, S)
			}
		}
		for i := m - 1; i >= 0; i-- {
			row := sequence*p.time + first + i
			qAt, kAt, vAt := p.parts(row, head)
			q, k := a.QKV.Data[qAt:qAt+key], a.QKV.Data[kAt:kAt+key]
			before, S := states[i*size:(i+1)*size], states[(i+1)*size:(i+2)*size]
			begins := p.documents.begin(row)
			if begins {
				before = zeroRoom(&s.none, size)
			}
			for j := range out {
				out[j] = simd.Dot(S[j*key:(j+1)*key], q)
			}
			simd.RMSNorm(normed, out, a.Gain.Data, float32(a.Eps))
			z := row*p.inputs + p.channels + head*value
			up := a.DO.Data[(row*p.heads+head)*value:][:value]
			for j, dy := range up {
				a.DU.Data[z+j] = dy * normed[j] * siluSlope(a.U.Data[z+j])
				normed[j] = dy * silu(a.U.Data[z+j])
			}
			clear(do)
			rmsNormBackward(do, ownGain(a, up), normed, out, a.Gain.Data, a.Eps)

			decay, beta := gates(f, p, row, head)
			dq, dk := dqkv[qAt:qAt+key], dqkv[kAt:kAt+key]
			var dbeta, dg float32
			for j, d := range do {
				dRow, old, e := dS[j*key:(j+1)*key], before[j*key:(j+1)*key], errs[i*value+j]
				simd.Axpy(d, S[j*key:(j+1)*key], dq)
				simd.Axpy(d, q, dRow)
				along := simd.Dot(dRow, k)
				dbeta += along * e
				dv := beta * along
				dqkv[vAt+j] = dv
				simd.Axpy(beta*e, dRow, dk)
				simd.Axpy(-dv*decay, old, dk)
				simd.Axpy(-dv, k, dRow)
				dg += decay * simd.Dot(dRow, old)
				simd.Scale(decay, dRow)
			}
			dlog += gateSlopes(a, p, row, head, beta, dbeta, dg)
			if begins {
				clear(dS)
			}
		}
	}
	return dlog
}

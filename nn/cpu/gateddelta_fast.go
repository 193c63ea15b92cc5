package cpu

import (
	"math"

	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/op"
)

// gatedDelta convolves rows in parallel, then runs the heads in parallel, each token by token.
func (o *Ops) gatedDelta(a *op.GatedDelta[*Tensor[float32]]) {
	o.job.op, o.job.gated = a, shapeOfGated(a)
	p := o.job.gated
	o.rows(p.B*p.time, 1, func(j *job, start, end int) {
		a := j.op.(*op.GatedDelta[*Tensor[float32]])
		for i := start; i < end; i++ {
			gatedShortConvFast(a, &j.gated, i)
		}
	})
	o.rows(p.B*p.heads, 1, func(j *job, start, end int) {
		a := j.op.(*op.GatedDelta[*Tensor[float32]])
		scratch := <-j.ops.slots
		defer func() { j.ops.slots <- scratch }()
		for i := start; i < end; i++ {
			gatedHeadFast(a, &j.gated, i/j.gated.heads, i%j.gated.heads, scratch)
		}
	})
	for sequence := range p.B {
		keepGatedTail(a, &p, sequence)
	}
}

func gatedShortConvFast(a *op.GatedDelta[*Tensor[float32]], p *gatedShape, i int) {
	row := a.QKV.Data[i*p.channels : (i+1)*p.channels]
	sequence, t, last := i/p.time, i%p.time, p.taps-1
	slot, before := slotOf(a.Slots, sequence), p.documents.before(i, t)
	inputs, first := make([][]float32, 0, 8), 0
	if p.documents != nil { // what is before the document has no part
		first = max(last-before, 0)
	}
	for back := last - first; back >= 0; back-- {
		if back <= before {
			inputs = append(inputs, a.U.Data[(i-back)*p.inputs:][:p.channels])
		} else {
			inputs = append(inputs, a.Tail.Data[(slot*last+last+t-back)*p.channels:][:p.channels])
		}
	}
	for ch := range row {
		var sum float32
		taps := a.Conv.Data[ch*p.taps+first:]
		for tap, in := range inputs {
			sum += taps[tap] * in[ch]
		}
		row[ch] = sum
	}
	simd.Silu(row, row)
	for h := range 2 * p.keyHeads {
		head := row[h*p.key : (h+1)*p.key]
		unit := 1 / math.Sqrt(float64(simd.SumSquares(head))+unitEps)
		if h < p.keyHeads {
			unit /= math.Sqrt(float64(p.key))
		}
		simd.Scale(float32(unit), head)
	}
}

func gatedHeadFast(a *op.GatedDelta[*Tensor[float32]], p *gatedShape, sequence, head int, scratch *scanScratch) {
	S := a.State.Data[(slotOf(a.Slots, sequence)*p.heads+head)*p.value*p.key:][:p.value*p.key]
	k0 := head * p.keyHeads / p.heads * p.key
	silu := room(&scratch.conv, p.value)
	for t := range p.time {
		keepStart(a, p, sequence, head, t, S)
		row := sequence*p.time + t
		if p.documents.begin(row) {
			clear(S)
		}
		qkv := a.QKV.Data[row*p.channels : (row+1)*p.channels]
		q, k, v := qkv[k0:][:p.key], qkv[p.keyHeads*p.key+k0:][:p.key], qkv[2*p.keyHeads*p.key+head*p.value:][:p.value]
		decay, beta := gates(a, p, row, head)
		out := a.O.Data[(row*p.heads+head)*p.value:][:p.value]
		for j := range out { // one row of the state at a time, while it is in the cache
			s := S[j*p.key : (j+1)*p.key]
			simd.Scale(decay, s)
			simd.Axpy(beta*(v[j]-simd.Dot(s, k)), k, s)
			out[j] = simd.Dot(s, q)
		}
		simd.RMSNorm(out, out, a.Gain.Data, float32(a.Eps))
		simd.Silu(silu, a.U.Data[row*p.inputs+p.channels+head*p.value:][:p.value])
		simd.Mul(out, out, silu)
	}
}

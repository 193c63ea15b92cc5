package cpu

import (
	"math"

	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/op"
)

// attentionBackward multiplies blocks of queries with all keys that the last of them sees, as attentionOfMany does, and computes
// their softmax again, because the scores of a whole sequence would take memory with the square of its length.
func (o *Ops) attentionBackward(a *op.AttentionBackward[*Tensor[float32]]) {
	p := backwardShape(a)
	inner := p.heads * p.c
	do := a.DO.Data
	if a.Gate {
		do = room(&o.gated, len(do))
		o.job.op = a
		o.rows(a.DO.Shape[0], 4, func(j *job, start, end int) {
			a := j.op.(*op.AttentionBackward[*Tensor[float32]])
			stride, inner := a.QKV.Shape[1], a.DO.Shape[1]
			for i := start; i < end; i++ {
				d := j.ops.gated[i*inner : (i+1)*inner]
				simd.Sigmoid(d, a.QKV.Data[(i+1)*stride-inner:(i+1)*stride])
				simd.Mul(d, d, a.DO.Data[i*inner:(i+1)*inner])
			}
		})
	}
	clear(a.DQKV.Data)
	scale := float32(1 / math.Sqrt(float64(p.c)))
	group := p.heads / p.kvHeads
	for sequence := range p.B {
		start := sequence * p.time
		for kv := range p.kvHeads {
			for from := 0; from < p.time; {
				n, begin := p.block(sequence, from)
				seen, row := from+n-begin, start+from
				keyAt, valueAt := p.keyAt(start+begin, kv), p.valueAt(start+begin, kv)
				keys, values, dkeys, dvalues := a.QKV.Data[keyAt:], a.QKV.Data[valueAt:], a.DQKV.Data[keyAt:], a.DQKV.Data[valueAt:]
				probs, dprobs := room(&o.product, n*seen), room(&o.partial, n*seen)
				for h := kv * group; h < (kv+1)*group; h++ {
					q, dq, up := a.QKV.Data[row*p.qkvStride+h*p.c:], a.DQKV.Data[row*p.qkvStride+h*p.c:], do[row*inner+h*p.c:]
					simd.Gemm(n, seen, p.c, scale, q, p.qkvStride, false, keys, p.qkvStride, true, 0, probs, seen)
					o.job.from = seen - n
					o.view = Tensor[float32]{Data: probs, Shape: append(o.view.Shape[:0], n, seen)}
					o.rows(n, 4, causalSoftmax, &o.view)
					simd.Gemm(n, seen, p.c, 1, up, inner, false, values, p.qkvStride, true, 0, dprobs, seen)
					simd.Gemm(seen, p.c, n, 1, probs, seen, true, up, inner, false, 1, dvalues, p.qkvStride)
					if a.Gate {
						o.gateBackward(a, &p, probs, values, row, h, n, seen)
					}
					o.job.scale = scale
					o.rows(n, 4, softmaxBackward, &o.view)
					simd.Gemm(n, p.c, seen, 1, dprobs, seen, false, keys, p.qkvStride, false, 0, dq, p.qkvStride)
					simd.Gemm(seen, p.c, n, 1, dprobs, seen, true, q, p.qkvStride, false, 1, dkeys, p.qkvStride)
				}
				from += n
			}
		}
	}
}

// softmaxBackward turns rows of dP in partial into dS = P ∘ (dP − ΣP ∘ dP)·scale.
func softmaxBackward(j *job, start, end int) {
	probs, seen := j.t[0].Data, j.t[0].Shape[1]
	for i := start; i < end; i++ {
		row, d := probs[i*seen:(i+1)*seen], j.ops.partial[i*seen:(i+1)*seen]
		pull := simd.Dot(row, d)
		for t, p := range row {
			d[t] = p * (d[t] - pull) * j.scale
		}
	}
}

// gateBackward writes the gradient of the gates of a head, dY ∘ O ∘ σ·(1 − σ), for n rows whose softmax is in probs.
func (o *Ops) gateBackward(a *op.AttentionBackward[*Tensor[float32]], p *attentionShape, probs, values []float32, row, h, n, seen int) {
	heard := room(&o.heard, n*p.c)
	simd.Gemm(n, p.c, seen, 1, probs, seen, false, values, p.qkvStride, false, 0, heard, p.c)
	for i := range n {
		gate, dgate := a.QKV.Data[p.gateAt(row+i, h):][:p.c], a.DQKV.Data[p.gateAt(row+i, h):][:p.c]
		gated := o.gated[((row+i)*p.heads+h)*p.c:][:p.c] // dY ∘ σ
		simd.Sigmoid(dgate, gate)
		for j, sigma := range dgate {
			dgate[j] = gated[j] * heard[i*p.c+j] * (1 - sigma)
		}
	}
}

func (o *Ops) ropeBackward(a *op.RoPEBackward[*Tensor[float32]]) {
	o.job.op = a
	o.rows(a.DQKV.Shape[0], 4, func(j *job, start, end int) {
		a := j.op.(*op.RoPEBackward[*Tensor[float32]])
		scratch := <-j.ops.slots
		defer func() { j.ops.slots <- scratch }()
		d := room(&scratch.row, 2*a.Keys.Shape[2]/a.KVHeads)
		for i := start; i < end; i++ {
			ropeBackwardRow(a, i, d)
		}
	})
	addHeadGains(a)
}

func (o *Ops) squaredReLUBackward(a *op.SquaredReLUBackward[*Tensor[float32]]) {
	o.job.op = a
	o.rows(a.DA.Shape[0], 4, func(j *job, start, end int) {
		a := j.op.(*op.SquaredReLUBackward[*Tensor[float32]])
		H := a.DA.Shape[1]
		for i := start; i < end; i++ {
			g, u, to := 2*i*H, (2*i+1)*H, (2*i+2)*H
			squaredReLUBackwardRow(a.DGateUp.Data[g:u], a.DGateUp.Data[u:to], a.DA.Data[i*H:(i+1)*H], a.GateUp.Data[g:u], a.GateUp.Data[u:to])
		}
	})
}

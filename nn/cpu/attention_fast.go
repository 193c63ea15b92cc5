package cpu

import (
	"math"

	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/op"
)

func (o *Ops) rope(a *op.RoPE[*Tensor[float32]]) {
	o.job.op = a
	o.rows(a.QKV.Shape[0], 4, func(j *job, start, end int) {
		a := j.op.(*op.RoPE[*Tensor[float32]])
		for i := start; i < end; i++ {
			ropeRow(a, i)
		}
	})
}

// attention takes a key head of a row at a time, with all query heads that read it, so that keys and values are read once.
func (o *Ops) attention(a *op.Attention[*Tensor[float32]]) {
	o.job.op = a
	o.rows(a.QKV.Shape[0]*a.KVHeads, 1, func(j *job, start, end int) {
		a := j.op.(*op.Attention[*Tensor[float32]])
		p := shapeOfAttention(a)
		scratch := <-j.ops.slots
		defer func() { j.ops.slots <- scratch }()
		for item := start; item < end; item++ {
			attend(a, &p, item/p.kvHeads, item%p.kvHeads, scratch)
		}
	})
}

// attend writes the heads of row i that read key head kv.
func attend(a *op.Attention[*Tensor[float32]], p *attentionShape, i, kv int, scratch *scanScratch) {
	sequence, seen, group := i/p.time, p.before+i%p.time+1, p.heads/p.kvHeads
	scale := float32(1 / math.Sqrt(float64(p.c)))
	scores := room(&scratch.row, group*seen)
	first := kv * group
	queries, out := a.QKV.Data[i*p.wide+first*p.c:][:group*p.c], a.O.Data[(i*p.heads+first)*p.c:][:group*p.c]
	for t := range seen {
		key := a.Keys.Data[p.place(sequence, kv, t):][:p.c]
		for g := range group {
			scores[g*seen+t] = scale * simd.Dot(queries[g*p.c:(g+1)*p.c], key)
		}
	}
	for g := range group {
		simd.Softmax(scores[g*seen:(g+1)*seen], scores[g*seen:(g+1)*seen])
	}
	clear(out)
	for t := range seen {
		value := a.Values.Data[p.place(sequence, kv, t):][:p.c]
		for g := range group {
			simd.Axpy(scores[g*seen+t], value, out[g*p.c:(g+1)*p.c])
		}
	}
	if a.Gate {
		gates := a.QKV.Data[(i+1)*p.wide-p.heads*p.c+first*p.c:][:group*p.c]
		room := room(&scratch.conv, len(out))
		simd.Sigmoid(room, gates)
		simd.Mul(out, out, room)
	}
}

func (o *Ops) hadamard(a *op.Hadamard[*Tensor[float32]]) {
	o.job.op = a
	o.rows(a.X.Shape[0], 1, func(j *job, start, end int) {
		a := j.op.(*op.Hadamard[*Tensor[float32]])
		D := a.X.Shape[1]
		for i := start; i < end; i++ {
			hadamardRow(a.Y.Data[i*D:(i+1)*D], a.X.Data[i*D:(i+1)*D], a.Signs.Data, a.Block, a.Inverse)
		}
	})
}

func (o *Ops) squaredReLU(a *op.SquaredReLU[*Tensor[float32]]) {
	o.job.op = a
	o.rows(a.A.Shape[0], 4, func(j *job, start, end int) {
		a := j.op.(*op.SquaredReLU[*Tensor[float32]])
		H := a.A.Shape[1]
		for i := start; i < end; i++ {
			squaredReLURow(a.A.Data[i*H:(i+1)*H], a.GateUp.Data[2*i*H:(2*i+1)*H], a.GateUp.Data[(2*i+1)*H:(2*i+2)*H])
		}
	})
}

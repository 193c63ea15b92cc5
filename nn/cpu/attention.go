package cpu

import (
	"math"

	"bitgpu/nn/op"
)

// attentionShape are the sizes of an attention, and where its rows lie.
type attentionShape struct {
	B, L, time, before int // before: the position of the first row
	heads, kvHeads, c  int
	wide               int // of a row of QKV
}

func shapeOfAttention[F Float](a *op.Attention[*Tensor[F]]) attentionShape {
	n, wide := rowsOf(a.QKV)
	B := a.Keys.Shape[0]
	return attentionShape{
		B: B, L: a.Keys.Shape[1], time: n / B, before: int(a.Position.Tokens[0]),
		heads: a.Heads, kvHeads: a.KVHeads, c: a.Keys.Shape[2] / a.KVHeads, wide: wide,
	}
}

// place is where sequence, key head and position of a cache begin.
func (s *attentionShape) place(sequence, head, position int) int {
	return ((sequence*s.L+position)*s.kvHeads + head) * s.c
}

func (s *Scalar[F]) attention(a *op.Attention[*Tensor[F]]) {
	p := shapeOfAttention(a)
	scores, room := make([]F, p.before+p.time), make([]F, p.c)
	for i := range a.QKV.Shape[0] {
		sequence, seen := i/p.time, p.before+i%p.time+1
		for h := range p.heads {
			kv := h * p.kvHeads / p.heads
			q, out := a.QKV.Data[i*p.wide+h*p.c:][:p.c], a.O.Data[(i*p.heads+h)*p.c:][:p.c]
			largest := F(math.Inf(-1))
			for t := range seen {
				scores[t] = dot(q, cached(a.Keys, p.place(sequence, kv, t), p.c, room)) / F(math.Sqrt(float64(p.c)))
				largest = max(largest, scores[t])
			}
			clear(out)
			var sum F
			for t := range seen {
				e := F(math.Exp(float64(scores[t] - largest)))
				sum += e
				axpy(out, e, cached(a.Values, p.place(sequence, kv, t), p.c, room))
			}
			for j := range out {
				out[j] /= sum
				if a.Gate {
					out[j] *= sigmoid(a.QKV.Data[(i+1)*p.wide-p.heads*p.c+h*p.c+j])
				}
			}
		}
	}
}

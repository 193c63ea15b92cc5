package cpu

import (
	"math"

	"bitgpu/nn/op"
)

// attentionShape holds the sizes of an attention, and where its rows lie.
type attentionShape struct {
	B, L, time        int
	heads, kvHeads, c int
	qkvStride         int // of a row of QKV
	documents         documents
}

func shapeOfAttention[F Float](a *op.Attention[*Tensor[F]]) attentionShape {
	n, stride := rowsOf(a.QKV)
	B := sequencesOf(a.Keys, a.Slots)
	return attentionShape{
		B: B, L: a.Keys.Shape[1], time: n / B,
		heads: a.Heads, kvHeads: a.KVHeads, c: a.Keys.Shape[2] / a.KVHeads, qkvStride: stride, documents: documentsOf(a.Documents),
	}
}

// placed returns the slot of a sequence and the position of its first row.
func placed[F Float](a *op.Attention[*Tensor[F]], sequence int) (slot, position int) {
	slot = slotOf(a.Slots, sequence)
	return slot, int(a.Position.Tokens[slot])
}

// first returns the first token that token t of a sequence, in a given row, looks back to: that of its document.
func (s *attentionShape) first(row, t int) int { return t - s.documents.before(row, t) }

// place returns where a slot, key head and position of a cache begins.
func (s *attentionShape) place(slot, head, position int) int {
	return ((slot*s.L+position)*s.kvHeads + head) * s.c
}

func (s *Scalar[F]) attention(a *op.Attention[*Tensor[F]]) {
	p := shapeOfAttention(a)
	scores, room := make([]F, p.L), make([]F, p.c)
	for i := range a.QKV.Shape[0] {
		slot, seen := placed(a, i/p.time)
		seen += i%p.time + 1
		first := p.first(i, i%p.time)
		for h := range p.heads {
			kv := h * p.kvHeads / p.heads
			q, out := a.QKV.Data[i*p.qkvStride+h*p.c:][:p.c], a.O.Data[(i*p.heads+h)*p.c:][:p.c]
			largest := F(math.Inf(-1))
			for t := first; t < seen; t++ {
				scores[t] = dot(q, cached(a.Keys, p.place(slot, kv, t), p.c, room)) / F(math.Sqrt(float64(p.c)))
				largest = max(largest, scores[t])
			}
			clear(out)
			var sum F
			for t := first; t < seen; t++ {
				e := F(math.Exp(float64(scores[t] - largest)))
				sum += e
				axpy(out, e, cached(a.Values, p.place(slot, kv, t), p.c, room))
			}
			for j := range out {
				out[j] /= sum
				if a.Gate {
					out[j] *= sigmoid(a.QKV.Data[(i+1)*p.qkvStride-p.heads*p.c+h*p.c+j])
				}
			}
		}
	}
}

// backwardShape returns the sizes of the backward, whose sequences begin at position 0.
func backwardShape[F Float](a *op.AttentionBackward[*Tensor[F]]) attentionShape {
	n, stride := rowsOf(a.QKV)
	B := a.Keys.Shape[0]
	return attentionShape{B: B, time: n / B, heads: a.Heads, kvHeads: a.KVHeads, c: a.Keys.Shape[2] / a.KVHeads, qkvStride: stride, documents: documentsOf(a.Documents)}
}

// keyAt and valueAt return where the key and the value of a key head begin in a row of QKV.
func (s *attentionShape) keyAt(row, kv int) int   { return row*s.qkvStride + (s.heads+kv)*s.c }
func (s *attentionShape) valueAt(row, kv int) int { return s.keyAt(row, s.kvHeads+kv) }

// gateAt returns where the gate of a head begins in a row of QKV.
func (s *attentionShape) gateAt(row, h int) int { return (row+1)*s.qkvStride - (s.heads-h)*s.c }

func (s *Scalar[F]) attentionBackward(a *op.AttentionBackward[*Tensor[F]]) {
	p := backwardShape(a)
	clear(a.DQKV.Data)
	scale := F(1 / math.Sqrt(float64(p.c)))
	probs, dprobs, o, do := make([]F, p.time), make([]F, p.time), make([]F, p.c), make([]F, p.c)
	for i := range a.QKV.Shape[0] {
		first, seen := i/p.time*p.time, i%p.time+1
		if from := p.first(i, i%p.time); from > 0 {
			first, seen = first+from, seen-from
		}
		for h := range p.heads {
			kv := h * p.kvHeads / p.heads
			q, dq := a.QKV.Data[i*p.qkvStride+h*p.c:][:p.c], a.DQKV.Data[i*p.qkvStride+h*p.c:][:p.c]
			largest := F(math.Inf(-1))
			for t := range seen {
				probs[t] = scale * dot(q, a.QKV.Data[p.keyAt(first+t, kv):][:p.c])
				largest = max(largest, probs[t])
			}
			var sum F
			for t := range seen {
				probs[t] = F(math.Exp(float64(probs[t] - largest)))
				sum += probs[t]
			}
			clear(o)
			for t := range seen {
				probs[t] /= sum
				axpy(o, probs[t], a.QKV.Data[p.valueAt(first+t, kv):][:p.c])
			}
			copy(do, a.DO.Data[(i*p.heads+h)*p.c:][:p.c])
			if a.Gate {
				gate, dgate := a.QKV.Data[p.gateAt(i, h):][:p.c], a.DQKV.Data[p.gateAt(i, h):][:p.c]
				for j, t := range gate {
					sigma := sigmoid(t)
					dgate[j] = do[j] * o[j] * sigma * (1 - sigma)
					do[j] *= sigma
				}
			}
			pull := dot(do, o) // P ∘ dP summed up
			for t := range seen {
				dprobs[t] = probs[t] * (dot(do, a.QKV.Data[p.valueAt(first+t, kv):][:p.c]) - pull) * scale
				axpy(a.DQKV.Data[p.valueAt(first+t, kv):][:p.c], probs[t], do)
				axpy(dq, dprobs[t], a.QKV.Data[p.keyAt(first+t, kv):][:p.c])
				axpy(a.DQKV.Data[p.keyAt(first+t, kv):][:p.c], dprobs[t], q)
			}
		}
	}
}

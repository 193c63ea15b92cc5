package cpu

import (
	"math"

	"bitgpu/nn/cpu/parallel"
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

// fewQueries is the largest number of rows of a sequence that read keys and values one by one; more are multiplied as matrices.
const fewQueries = 8

// attention handles the key heads of a row with all query heads that read them, so that keys and values are read once.
func (o *Ops) attention(a *op.Attention[*Tensor[float32]]) {
	p := shapeOfAttention(a)
	if p.time > fewQueries {
		o.attentionOfMany(a, &p)
	} else {
		o.job.op = a
		o.rows(a.QKV.Shape[0]*a.KVHeads, (a.KVHeads+parallel.Workers()-1)/parallel.Workers(), func(j *job, start, end int) {
			a := j.op.(*op.Attention[*Tensor[float32]])
			p := shapeOfAttention(a)
			scratch := <-j.ops.slots
			defer func() { j.ops.slots <- scratch }()
			for item := start; item < end; {
				i, kv := item/p.kvHeads, item%p.kvHeads
				heads := min(p.kvHeads-kv, end-item)
				attend(a, &p, i, kv, heads, scratch)
				item += heads
			}
		})
	}
	if a.Gate {
		o.gate(a)
	}
}

// attend writes the heads of row i that read certain key heads, from kv on. The keys of one position lie side by side, and those
// of one head a page apart, so all heads handle a few positions before any goes on.
func attend(a *op.Attention[*Tensor[float32]], p *attentionShape, i, kv, kvHeads int, scratch *scanScratch) {
	slot, seen := placed(a, i/p.time)
	begin := p.first(i, i%p.time)
	seen += i%p.time + 1 - begin
	group := p.heads / p.kvHeads
	heads := kvHeads * group
	const step = 1 << 12 // the room grows by, and not with each token
	scores := room(&scratch.row, (heads*seen+step-1)/step*step)[:heads*seen]
	first := kv * group
	queries, out := a.QKV.Data[i*p.qkvStride+first*p.c:][:heads*p.c], a.O.Data[(i*p.heads+first)*p.c:][:heads*p.c]
	stride := p.kvHeads * p.c
	half := a.Keys.Format == op.F16
	rows := rowsAtOnce(a.Keys, kvHeads*p.c)
	for from := 0; from < seen; from += rows {
		n := min(rows, seen-from)
		for h := range heads {
			at := p.place(slot, kv+h/group, begin+from)
			if q, part := queries[h*p.c:(h+1)*p.c], scores[h*seen+from:][:n]; half {
				simd.ScoresF16(part, a.Keys.Half[at:], q, stride)
			} else {
				simd.Scores(part, a.Keys.Data[at:], q, stride)
			}
		}
	}
	scale := float32(1 / math.Sqrt(float64(p.c)))
	for h := range heads {
		s := scores[h*seen : (h+1)*seen]
		simd.Scale(scale, s)
		simd.Softmax(s, s)
	}
	clear(out)
	for from := 0; from < seen; from += rows {
		n := min(rows, seen-from)
		for h := range heads {
			at := p.place(slot, kv+h/group, begin+from)
			if o, part := out[h*p.c:(h+1)*p.c], scores[h*seen+from:][:n]; half {
				simd.WeightedSumF16(o, a.Values.Half[at:], part, stride)
			} else {
				simd.WeightedSum(o, a.Values.Data[at:], part, stride)
			}
		}
	}
}

// rowsAtOnce is how many rows of a cache all queries read before they go on: width elements of each row stay in a core's first
// cache.
func rowsAtOnce(cache *Tensor[float32], width int) int {
	bytes := 4 * width
	if cache.Format == op.F16 {
		bytes = 2 * width
	}
	return min(max(24<<10/bytes/4*4, 4), 64)
}

// queriesAtOnce bounds the rows whose scores are in memory.
const queriesAtOnce = 64

// attentionOfMany multiplies blocks of queries, each within one document, with all keys that the last query of the block sees.
func (o *Ops) attentionOfMany(a *op.Attention[*Tensor[float32]], p *attentionShape) {
	scale := float32(1 / math.Sqrt(float64(p.c)))
	group, stride := p.heads/p.kvHeads, p.kvHeads*p.c
	for sequence := range p.B {
		slot, before := placed(a, sequence)
		for kv := range p.kvHeads {
			keys, values, stride := o.headOf(a.Keys, p, slot, before, kv, &o.keys), o.headOf(a.Values, p, slot, before, kv, &o.values), stride
			if a.Keys.Format == op.F16 {
				stride = p.c
			}
			for from := 0; from < p.time; {
				n, begin := p.block(sequence, from)
				seen := before + from + n - begin
				scores := room(&o.product, n*seen)
				for h := kv * group; h < (kv+1)*group; h++ {
					row := sequence*p.time + from
					simd.Gemm(n, seen, p.c, scale, a.QKV.Data[row*p.qkvStride+h*p.c:], p.qkvStride, false, keys[begin*stride:], stride, true, 0, scores, seen)
					o.job.from = seen - n
					o.view = Tensor[float32]{Data: scores, Shape: append(o.view.Shape[:0], n, seen)}
					o.rows(n, 4, causalSoftmax, &o.view)
					simd.Gemm(n, p.c, seen, 1, scores, seen, false, values[begin*stride:], stride, false, 0, a.O.Data[(row*p.heads+h)*p.c:], p.heads*p.c)
				}
				from += n
			}
		}
	}
}

// block returns how many queries of a sequence, starting with a given one, are handled together, all of one document, and the
// token that this document begins with.
func (s *attentionShape) block(sequence, from int) (n, begin int) {
	row := sequence*s.time + from
	return min(queriesAtOnce, s.documents.behind(row, from, s.time)+1), s.first(row, from)
}

// causalSoftmax turns row i of the scores (n, seen) into the softmax over what the row sees, its own position included, and
// zeros behind.
func causalSoftmax(j *job, start, end int) {
	scores, seen := j.t[0].Data, j.t[0].Shape[1]
	for i := start; i < end; i++ {
		row := scores[i*seen : (i+1)*seen]
		own := j.from + i + 1
		simd.Softmax(row[:own], row[:own])
		clear(row[own:])
	}
}

// headOf returns the rows of a key head in a cache before a position. They lie apart, except that rows of float16 are converted to
// floats side by side.
func (o *Ops) headOf(t *Tensor[float32], p *attentionShape, slot, before, kv int, space *[]float32) []float32 {
	at := p.place(slot, kv, 0)
	if t.Format != op.F16 {
		return t.Data[at:]
	}
	n := before + p.time
	all := room(space, n*p.c)
	for i := range n {
		simd.Float32s(all[i*p.c:(i+1)*p.c], t.Half[at+i*p.kvHeads*p.c:][:p.c])
	}
	return all
}

// gate multiplies the output of the heads by σ of their gates.
func (o *Ops) gate(a *op.Attention[*Tensor[float32]]) {
	o.job.op = a
	o.rows(a.O.Shape[0], 4, func(j *job, start, end int) {
		a := j.op.(*op.Attention[*Tensor[float32]])
		stride, inner := a.QKV.Shape[1], a.O.Shape[1]
		scratch := <-j.ops.slots
		defer func() { j.ops.slots <- scratch }()
		gates := room(&scratch.conv, inner)
		for i := start; i < end; i++ {
			out := a.O.Data[i*inner : (i+1)*inner]
			simd.Sigmoid(gates, a.QKV.Data[(i+1)*stride-inner:(i+1)*stride])
			simd.Mul(out, out, gates)
		}
	})
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

package cpu

import (
	"math"

	"bitgpu/nn/op"
)

// gatedShape holds the sizes of a gated delta rule.
type gatedShape struct {
	B, time                int
	keyHeads, heads        int // K, V
	key, value             int // k, v
	channels, taps, inputs int // of the convolution, and of a row of U
	documents              documents
}

func shapeOfGated[F Float](a *op.GatedDelta[*Tensor[F]]) gatedShape {
	n, inputs := rowsOf(a.U)
	s, B := a.State.Shape, sequencesOf(a.State, a.Slots)
	p := gatedShape{B: B, time: n / B, keyHeads: a.KeyHeads, heads: s[1], value: s[2], key: s[3], inputs: inputs}
	p.channels, p.taps, p.documents = 2*p.keyHeads*p.key+p.heads*p.value, a.Conv.Shape[1], documentsOf(a.Documents)
	return p
}

// eachTap calls visit for each product of the convolution at row i, whose sequence is in slot, in the channels from `from` to
// before `to`. The product's input is element `at` of the tail if tail is set, otherwise of U.
func (p *gatedShape) eachTap(from, to, i, slot int, visit func(channel, tap, at int, tail bool)) {
	t := i % p.time
	for ch := from; ch < to; ch++ {
		for tap := range p.taps {
			if back := p.taps - 1 - tap; back <= p.documents.before(i, t) {
				visit(ch, tap, (i-back)*p.inputs+ch, false)
			} else if p.documents == nil {
				visit(ch, tap, (slot*(p.taps-1)+p.taps-1+t-back)*p.channels+ch, true)
			}
		}
	}
}

// gatedShortConv fills row i of QKV: convolution, SiLU, unit queries and keys.
func gatedShortConv[F Float](a *op.GatedDelta[*Tensor[F]], p *gatedShape, i int) {
	row := a.QKV.Data[i*p.channels : (i+1)*p.channels]
	clear(row)
	p.eachTap(0, p.channels, i, slotOf(a.Slots, i/p.time), func(ch, tap, at int, tail bool) {
		from := a.U
		if tail {
			from = a.Tail
		}
		row[ch] += a.Conv.Data[ch*p.taps+tap] * from.Data[at]
	})
	for ch, x := range row {
		row[ch] = silu(x)
	}
	for h := range 2 * p.keyHeads {
		head := row[h*p.key : (h+1)*p.key]
		unit := F(1 / math.Sqrt(float64(dot(head, head))+unitEps))
		if h < p.keyHeads {
			unit /= F(math.Sqrt(float64(p.key)))
		}
		for j := range head {
			head[j] *= unit
		}
	}
}

// keepGatedTail moves the last inputs of a sequence's convolutions into its tail.
func keepGatedTail[F Float](a *op.GatedDelta[*Tensor[F]], p *gatedShape, sequence int) {
	last := p.taps - 1
	tail := a.Tail.Data[slotOf(a.Slots, sequence)*last*p.channels:][:last*p.channels]
	kept := max(last-p.time, 0)
	copy(tail, tail[(last-kept)*p.channels:])
	for j := kept; j < last; j++ {
		t := p.time - last + j
		copy(tail[j*p.channels:(j+1)*p.channels], a.U.Data[(sequence*p.time+t)*p.inputs:])
	}
}

// softplus returns ln(1 + eˣ).
func softplus(x float64) float64 {
	if x > 20 {
		return x + math.Log1p(math.Exp(-x))
	}
	return math.Log1p(math.Exp(x))
}

// gates returns e^g and β of a head.
func gates[F Float](a *op.GatedDelta[*Tensor[F]], p *gatedShape, row, head int) (decay, beta F) {
	g := float64(a.Decay.Data[head]) * softplus(float64(a.A.Data[row*p.heads+head]+a.Bias.Data[head]))
	return F(math.Exp(g)), sigmoid(a.B.Data[row*p.heads+head])
}

// keepStart stores the state of a head before token t if t begins a chunk and the starts are to be kept.
func keepStart[F Float](a *op.GatedDelta[*Tensor[F]], p *gatedShape, sequence, head, t int, S []F) {
	if a.Starts != nil && t%a.Chunk == 0 {
		copy(a.Starts.Data[((sequence*a.Starts.Shape[1]+t/a.Chunk)*p.heads+head)*len(S):], S)
	}
}

// gatedHead runs one head of one sequence, token by token.
func gatedHead[F Float](a *op.GatedDelta[*Tensor[F]], p *gatedShape, sequence, head int, e []F) {
	S := a.State.Data[(slotOf(a.Slots, sequence)*p.heads+head)*p.value*p.key:][:p.value*p.key]
	k0 := head * p.keyHeads / p.heads * p.key
	for t := range p.time {
		keepStart(a, p, sequence, head, t, S)
		row := sequence*p.time + t
		if p.documents.begin(row) {
			clear(S)
		}
		qkv := a.QKV.Data[row*p.channels : (row+1)*p.channels]
		q, k, v := qkv[k0:][:p.key], qkv[p.keyHeads*p.key+k0:][:p.key], qkv[2*p.keyHeads*p.key+head*p.value:][:p.value]
		decay, beta := gates(a, p, row, head)
		for j := range S {
			S[j] *= decay
		}
		matVec(e, S, k)
		for j := range e {
			e[j] = v[j] - e[j]
		}
		addOuter(S, beta, e, k)
		out := a.O.Data[(row*p.heads+head)*p.value:][:p.value]
		matVec(out, S, q)
		rmsNorm(out, out, a.Gain.Data, a.Eps)
		z := a.U.Data[row*p.inputs+p.channels+head*p.value:][:p.value]
		for j := range out {
			out[j] *= silu(z[j])
		}
	}
}

func (s *Scalar[F]) gatedDelta(a *op.GatedDelta[*Tensor[F]]) {
	p := shapeOfGated(a)
	for i := range p.B * p.time {
		gatedShortConv(a, &p, i)
	}
	e := make([]F, p.value)
	for sequence := range p.B {
		for head := range p.heads {
			gatedHead(a, &p, sequence, head, e)
		}
		keepGatedTail(a, &p, sequence)
	}
}

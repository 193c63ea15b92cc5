package cpu

import (
	"bitgpu/nn/op"

	"github.com/x448/float16"
)

// ropeRow prepares the queries and keys of row i, and stores its keys and values.
func ropeRow[F Float](a *op.RoPE[*Tensor[F]], i int) {
	n, stride := rowsOf(a.QKV)
	L, c, time := a.Keys.Shape[1], a.Keys.Shape[2]/a.KVHeads, n/sequencesOf(a.Keys, a.Slots)
	slot := slotOf(a.Slots, i/time)
	before := int(a.Position.Tokens[slot])
	at, turn := before+i%time, before+documentsOf(a.Documents).before(i, i%time)
	row := a.QKV.Data[i*stride : (i+1)*stride]
	R := a.Angles.Shape[1]
	angles := a.Angles.Data[turn*R : (turn+1)*R]
	if a.Raw != nil {
		turned := (a.Heads + a.KVHeads) * c
		copy(a.Raw.Data[i*turned:(i+1)*turned], row)
	}
	for h := range a.Heads + a.KVHeads {
		head, gain := row[h*c:(h+1)*c], a.QGain
		if h >= a.Heads {
			gain = a.KGain
		}
		if gain != nil {
			rmsNorm(head, head, gain.Data, a.Eps)
		}
		rotate(head[:R], angles)
	}
	stored := (slot*L + at) * a.KVHeads * c
	keys, values := row[a.Heads*c:][:a.KVHeads*c], row[(a.Heads+a.KVHeads)*c:][:a.KVHeads*c]
	store(a.Keys, stored, keys)
	store(a.Values, stored, values)
}

// store writes numbers into a cache.
func store[F Float](t *Tensor[F], at int, values []F) {
	if t.Format != op.F16 {
		copy(t.Data[at:], values)
		return
	}
	for i, v := range values {
		t.Half[at+i] = float16.Fromfloat32(float32(v)).Bits()
	}
}

// cached returns n numbers of a cache, converted into room if they are not kept as F.
func cached[F Float](t *Tensor[F], at, n int, room []F) []F {
	if t.Format != op.F16 {
		return t.Data[at : at+n]
	}
	for i, h := range t.Half[at : at+n] {
		room[i] = F(float16.Frombits(h).Float32())
	}
	return room[:n]
}

// rotate rotates the pairs (i, i+R/2) by angles: R/2 cosines, then the sines.
func rotate[F Float](x, angles []F) {
	half := len(x) / 2
	for i := range half {
		a, b, cos, sin := x[i], x[i+half], angles[i], angles[i+half]
		x[i], x[i+half] = a*cos-b*sin, b*cos+a*sin
	}
}

func (s *Scalar[F]) rope(a *op.RoPE[*Tensor[F]]) {
	for i := range a.QKV.Shape[0] {
		ropeRow(a, i)
	}
}

// ropeBackwardRow rotates the gradient of row i back. d is scratch memory for two heads. Where the gradient of a gain is wanted,
// it leaves what this row adds to it in place of the row's queries and keys.
func ropeBackwardRow[F Float](a *op.RoPEBackward[*Tensor[F]], i int, d []F) {
	n, stride := rowsOf(a.DQKV)
	c, time := a.Keys.Shape[2]/a.KVHeads, n/a.Keys.Shape[0]
	at, R := int(a.Position.Tokens[i/time])+documentsOf(a.Documents).before(i, i%time), a.Angles.Shape[1]
	angles := a.Angles.Data[at*R : (at+1)*R]
	all := a.Heads + a.KVHeads
	for h := range all {
		head, gain := a.DQKV.Data[i*stride+h*c:][:c], a.QGain
		if h >= a.Heads {
			gain = a.KGain
		}
		rotateBack(head[:R], angles)
		if gain == nil {
			continue
		}
		dy, x := d[:c], a.Raw.Data[(i*all+h)*c:][:c]
		copy(dy, head)
		clear(head)
		if a.DQGain == nil && a.DKGain == nil {
			rmsNormBackward(head, nil, dy, x, gain.Data, a.Eps)
			continue
		}
		before := d[c : 2*c]
		copy(before, x)
		clear(x)
		rmsNormBackward(head, x, dy, before, gain.Data, a.Eps)
	}
}

// addHeadGains adds what all rows add to the gradients of the gains, in one order.
func addHeadGains[F Float](a *op.RoPEBackward[*Tensor[F]]) {
	all := a.Heads + a.KVHeads
	for _, of := range []struct {
		gain        *Tensor[F]
		first, past int // heads
	}{{a.DQGain, 0, a.Heads}, {a.DKGain, a.Heads, all}} {
		if of.gain == nil {
			continue
		}
		addGains(of.gain.Data, a.Raw.Data, a.DQKV.Shape[0], all, of.first, of.past)
	}
}

// addGains adds to a gain's gradient (c) the sum over n rows, in one order, of those of their heads (all, c) that are from first to
// before past.
func addGains[F Float](gain, rows []F, n, all, first, past int) {
	c := len(gain)
	sum := make([]float64, c)
	for i := range n {
		for h := first; h < past; h++ {
			for j, x := range rows[(i*all+h)*c:][:c] {
				sum[j] += float64(x)
			}
		}
	}
	for j, x := range sum {
		gain[j] += F(x)
	}
}

// rotateBack is the backward of rotate, which is not its inverse where cosines and sines have YaRN's factor.
func rotateBack[F Float](dx, angles []F) {
	half := len(dx) / 2
	for i := range half {
		a, b, cos, sin := dx[i], dx[i+half], angles[i], angles[i+half]
		dx[i], dx[i+half] = a*cos+b*sin, b*cos-a*sin
	}
}

func (s *Scalar[F]) ropeBackward(a *op.RoPEBackward[*Tensor[F]]) {
	d := make([]F, 2*a.Keys.Shape[2]/a.KVHeads)
	for i := range a.DQKV.Shape[0] {
		ropeBackwardRow(a, i, d)
	}
	addHeadGains(a)
}

func (s *Scalar[F]) advance(a *op.Advance[*Tensor[F]]) {
	for b := range sequencesOf(a.Position, a.Slots) {
		a.Position.Tokens[slotOf(a.Slots, b)] += uint32(a.N)
	}
}

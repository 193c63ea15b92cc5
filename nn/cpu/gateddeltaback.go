package cpu

import (
	"math"

	"bitgpu/nn/op"
)

// forwardOf returns the operation that a backward belongs to, with what its sizes and gates depend on.
func forwardOf[F Float](a *op.GatedDeltaBackward[*Tensor[F]]) (*op.GatedDelta[*Tensor[F]], gatedShape) {
	n, inputs := rowsOf(a.U)
	s := a.Starts.Shape // (B, chunks, V, v, k)
	p := gatedShape{B: s[0], time: n / s[0], keyHeads: a.KeyHeads, heads: s[2], value: s[3], key: s[4], inputs: inputs}
	p.channels, p.taps, p.documents = 2*p.keyHeads*p.key+p.heads*p.value, a.Conv.Shape[1], documentsOf(a.Documents)
	return &op.GatedDelta[*Tensor[F]]{U: a.U, B: a.B, A: a.A, Conv: a.Conv, Decay: a.Decay, Bias: a.Bias, KeyHeads: a.KeyHeads}, p
}

// parts returns query, key and value of a head from a row of the convolution's channels.
func (p *gatedShape) parts(row, head int) (q, k, v int) {
	k0 := row*p.channels + head*p.keyHeads/p.heads*p.key
	return k0, k0 + p.keyHeads*p.key, row*p.channels + 2*p.keyHeads*p.key + head*p.value
}

// gateSlopes writes the gradients of a head's b and a from those of β and g, and returns that of ln(−Decay), which is dg·g; beta is
// the forward's β.
func gateSlopes[F Float](a *op.GatedDeltaBackward[*Tensor[F]], p *gatedShape, row, head int, beta, dbeta, dg F) F {
	i := row*p.heads + head
	x := a.A.Data[i] + a.Bias.Data[head]
	a.DB.Data[i] = dbeta * beta * (1 - beta)
	a.DA.Data[i] = dg * a.Decay.Data[head] * sigmoid(x)
	return dg * a.Decay.Data[head] * F(softplus(float64(x)))
}

// ownGain returns the row of DO that a token and head have, as the place for what they add to the gradient of the gain, nil where
// that is not wanted.
func ownGain[F Float](a *op.GatedDeltaBackward[*Tensor[F]], up []F) []F {
	if a.DGain == nil {
		return nil
	}
	clear(up)
	return up
}

// addOwnSums adds what ownGain has collected to the gradient of the gain, and that of a, which the bias is added to, to the
// bias's.
func addOwnSums[F Float](a *op.GatedDeltaBackward[*Tensor[F]], p *gatedShape) {
	if a.DGain != nil {
		addGains(a.DGain.Data, a.DO.Data, p.B*p.time, p.heads, 0, p.heads)
	}
	if a.DBias != nil {
		addGains(a.DBias.Data, a.DA.Data, p.B*p.time, 1, 0, 1)
	}
}

// gatedDeltaBackward runs each head backward token by token, each chunk after running it forward again from its start.
func (s *Scalar[F]) gatedDeltaBackward(a *op.GatedDeltaBackward[*Tensor[F]]) {
	f, p := forwardOf(a)
	size := p.value * p.key
	dqkv := make([]F, len(a.QKV.Data))
	states, P, none := make([]F, (a.Chunk+1)*size), make([]F, size), make([]F, size)
	errs, e, o, do, normed := make([]F, a.Chunk*p.value), make([]F, p.value), make([]F, p.value), make([]F, p.value), make([]F, p.value)
	for sequence := range p.B {
		for head := range p.heads {
			dS := make([]F, size)
			for first := (p.time - 1) / a.Chunk * a.Chunk; first >= 0; first -= a.Chunk {
				m := min(a.Chunk, p.time-first)
				copy(states, a.Starts.Data[((sequence*a.Starts.Shape[1]+first/a.Chunk)*p.heads+head)*size:][:size])
				state := func(i int) []F { // before token i
					if p.documents.begin(sequence*p.time + first + i) {
						return none
					}
					return states[i*size : (i+1)*size]
				}
				for i := range m {
					row := sequence*p.time + first + i
					_, k, v := p.parts(row, head)
					decay, beta := gates(f, &p, row, head)
					S := states[(i+1)*size : (i+2)*size]
					for j, x := range state(i) {
						S[j] = decay * x
					}
					e := errs[i*p.value : (i+1)*p.value]
					matVec(e, S, a.QKV.Data[k:k+p.key])
					for j := range e {
						e[j] = a.QKV.Data[v+j] - e[j]
					}
					addOuter(S, beta, e, a.QKV.Data[k:k+p.key])
				}
				for i := m - 1; i >= 0; i-- {
					row := sequence*p.time + first + i
					qAt, kAt, vAt := p.parts(row, head)
					q, k := a.QKV.Data[qAt:qAt+p.key], a.QKV.Data[kAt:kAt+p.key]
					before, S := state(i), states[(i+1)*size:(i+2)*size]
					matVec(o, S, q)
					rmsNorm(normed, o, a.Gain.Data, a.Eps)
					z := row*p.inputs + p.channels + head*p.value
					up := a.DO.Data[(row*p.heads+head)*p.value:][:p.value]
					for j, dy := range up {
						a.DU.Data[z+j] = dy * normed[j] * siluSlope(a.U.Data[z+j])
						normed[j] = dy * silu(a.U.Data[z+j])
					}
					clear(do)
					rmsNormBackward(do, ownGain(a, up), normed, o, a.Gain.Data, a.Eps)

					decay, beta := gates(f, &p, row, head)
					matVecTransposed(dqkv[qAt:qAt+p.key], S, do)
					addOuter(dS, 1, do, q)
					matVec(e, dS, k)
					err := errs[i*p.value : (i+1)*p.value]
					dbeta := dot(e, err)
					dk := dqkv[kAt : kAt+p.key]
					for j := range err {
						axpy(dk, beta*err[j], dS[j*p.key:(j+1)*p.key])
						e[j] *= beta
						dqkv[vAt+j] = e[j]
						axpy(dk, -e[j]*decay, before[j*p.key:(j+1)*p.key])
					}
					addOuter(dS, -1, e, k)
					for j := range P {
						P[j] = decay * before[j]
					}
					if d := gateSlopes(a, &p, row, head, beta, dbeta, dot(dS, P)); a.DLogDecay != nil {
						a.DLogDecay.Data[head] += d
					}
					for j := range dS {
						dS[j] *= decay
					}
					if p.documents.begin(row) {
						clear(dS)
					}
				}
			}
		}
	}
	addOwnSums(a, &p)
	for i := range p.B * p.time {
		gatedConvActivationBackward(a, &p, i, dqkv)
	}
	for i := range p.B * p.time {
		convolveBack(a, &p, i, dqkv)
	}
	if a.DConv == nil {
		return
	}
	for i := range p.B * p.time {
		for ch, d := range dqkv[i*p.channels : (i+1)*p.channels] {
			for tap := range p.taps {
				if back := p.taps - 1 - tap; back <= p.documents.before(i, i%p.time) {
					a.DConv.Data[ch*p.taps+tap] += d * a.U.Data[(i-back)*p.inputs+ch]
				}
			}
		}
	}
}

// gatedConvActivationBackward turns row i of the gradient of QKV into that of the convolution's output, which it computes again:
// back through unit length and SiLU.
func gatedConvActivationBackward[F Float](a *op.GatedDeltaBackward[*Tensor[F]], p *gatedShape, i int, dqkv []F) {
	t := i % p.time
	d := dqkv[i*p.channels : (i+1)*p.channels]
	before := func(ch int) (sum F) {
		for tap := range p.taps {
			if back := p.taps - 1 - tap; back <= p.documents.before(i, t) {
				sum += a.Conv.Data[ch*p.taps+tap] * a.U.Data[(i-back)*p.inputs+ch]
			}
		}
		return sum
	}
	for h := range 2 * p.keyHeads {
		dy, y := d[h*p.key:(h+1)*p.key], a.QKV.Data[i*p.channels+h*p.key:][:p.key]
		scale := F(1) // of the unit vector
		if h < p.keyHeads {
			scale = F(1 / math.Sqrt(float64(p.key)))
		}
		var squares F
		for j := range dy {
			x := silu(before(h*p.key + j))
			squares += x * x
		}
		n := F(1 / math.Sqrt(float64(squares)+unitEps))
		along := dot(dy, y)
		for j := range dy { // y = scale·n·x, whose length is not quite scale
			dy[j] = n * (scale*dy[j] - y[j]/scale*along)
		}
	}
	for ch := range d {
		d[ch] *= siluSlope(before(ch))
	}
}

// convolveBack writes the gradient of the part of U that the convolution of row i read.
func convolveBack[F Float](a *op.GatedDeltaBackward[*Tensor[F]], p *gatedShape, i int, d []F) {
	du := a.DU.Data[i*p.inputs:][:p.channels]
	clear(du)
	for tap := range p.taps {
		ahead := p.taps - 1 - tap
		if ahead > p.documents.behind(i, i%p.time, p.time) {
			continue
		}
		from := d[(i+ahead)*p.channels:][:p.channels]
		for ch, x := range from {
			du[ch] += a.Conv.Data[ch*p.taps+tap] * x
		}
	}
}

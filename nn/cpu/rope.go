package cpu

import "bitgpu/nn/op"

// ropeRow makes row i of the queries, keys and values ready, and stores its keys and values.
func ropeRow[F Float](a *op.RoPE[*Tensor[F]], i int) {
	n, wide := rowsOf(a.QKV)
	B, L := a.Keys.Shape[0], a.Keys.Shape[1]
	c, time := a.Keys.Shape[2]/a.KVHeads, n/B
	at := int(a.Position.Tokens[0]) + i%time
	row := a.QKV.Data[i*wide : (i+1)*wide]
	R := a.Angles.Shape[1]
	angles := a.Angles.Data[at*R : (at+1)*R]
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
	stored := ((i/time)*L + at) * a.KVHeads * c
	keys, values := row[a.Heads*c:][:a.KVHeads*c], row[(a.Heads+a.KVHeads)*c:][:a.KVHeads*c]
	copy(a.Keys.Data[stored:], keys)
	copy(a.Values.Data[stored:], values)
}

// rotate turns the pairs (i, i+R/2) by angles: R/2 cosines, then the sines.
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

func (s *Scalar[F]) advance(a *op.Advance[*Tensor[F]]) { a.Position.Tokens[0] += uint32(a.N) }

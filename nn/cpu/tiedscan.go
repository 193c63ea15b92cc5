package cpu

import (
	"math"

	"bitgpu/nn/op"
)

// unit writes k = f / (‖f‖ + ε) and returns ‖f‖.
func unit[F Float](k, f []F) F {
	length := F(math.Sqrt(float64(dot(f, f))))
	for i := range f {
		k[i] = f[i] / (length + unitEps)
	}
	return length
}

// unitBackward writes df from dk of k = f / (‖f‖ + ε). df may be dk.
func unitBackward[F Float](df, dk, f []F) {
	length := F(math.Sqrt(float64(dot(f, f))))
	inverse := 1 / (length + unitEps)
	var along F
	if length > 0 {
		along = dot(f, dk) / length * inverse * inverse
	}
	for i := range f {
		df[i] = dk[i]*inverse - f[i]*along
	}
}

// matVec writes y = W·x for W (len(y), len(x)).
func matVec[F Float](y, W, x []F) {
	for i := range y {
		y[i] = dot(W[i*len(x):(i+1)*len(x)], x)
	}
}

// matVecTransposed adds Wᵀ·x to y for W (len(x), len(y)).
func matVecTransposed[F Float](y, W, x []F) {
	for i := range x {
		axpy(y, x[i], W[i*len(y):(i+1)*len(y)])
	}
}

// addOuter adds alpha·a·bᵀ to W (len(a), len(b)).
func addOuter[F Float](W []F, alpha F, a, b []F) {
	for i := range a {
		axpy(W[i*len(b):(i+1)*len(b)], alpha*a[i], b)
	}
}

func (s *Scalar[F]) tiedScan(args *op.TiedScan[*Tensor[F]]) {
	z, f, state, starts, scan := args.Z, args.F, args.State, args.Starts, args.Scan
	n, d := rowsOf(f)
	B := sequencesOf(state, args.Slots)
	time := n / B
	k, e := make([]F, d), make([]F, d)
	documents := documentsOf(args.Documents)
	for b := range B {
		W := state.Data[slotOf(args.Slots, b)*d*d:][:d*d]
		used := append([]F(nil), W...) // what predictions use: the chunk's first state in the minibatch rule
		for t := range time {
			if starts != nil && t%scan.Chunk == 0 {
				chunks := starts.Shape[1]
				copy(starts.Data[(b*chunks+t/scan.Chunk)*d*d:], W)
			}
			if documents.begin(b*time + t) {
				clear(W)
			}
			if t%scan.Chunk == 0 || !scan.Minibatch {
				copy(used, W)
			}
			row := (b*time + t) * d
			zt := z.Data[row : row+d]
			unit(k, f.Data[row:row+d])
			matVec(zt, used, k)
			for i := range e {
				e[i] = zt[i] - k[i]
			}
			addOuter(W, -F(scan.Rate), e, k)
		}
	}
}

// TiedScanBackward runs the recurrence backward token by token. Within a chunk it first runs forward again from the chunk's
// start, to have every state.
func (s *Scalar[F]) tiedScanBackward(args *op.TiedScanBackward[*Tensor[F]]) {
	df, dz, f, starts, scan := args.DF, args.DZ, args.F, args.Starts, args.Scan
	n, d := rowsOf(f)
	B, chunks := starts.Shape[0], starts.Shape[1]
	time, eta := n/B, F(scan.Rate)
	C := scan.Chunk
	states := make([]F, (C+1)*d*d)
	used := func(i int) []F { // the state that token i of the chunk predicts with
		if scan.Minibatch {
			i = 0
		}
		return states[i*d*d : (i+1)*d*d]
	}
	k, z, e := make([]F, C*d), make([]F, C*d), make([]F, C*d)
	dk, dzt := make([]F, d), make([]F, d)
	documents := documentsOf(args.Documents)
	for b := range B {
		dW := make([]F, d*d)
		for c := chunks - 1; c >= 0; c-- {
			copy(states, starts.Data[(b*chunks+c)*d*d:(b*chunks+c+1)*d*d])
			first, m := b*time+c*C, min(C, time-c*C)
			at := func(v []F, i int) []F { return v[i*d : (i+1)*d] }
			for i := range m {
				if documents.begin(first + i) {
					clear(states[i*d*d : (i+1)*d*d])
				}
				unit(at(k, i), at(f.Data, first+i))
				matVec(at(z, i), used(i), at(k, i))
				for j := range d {
					at(e, i)[j] = at(z, i)[j] - at(k, i)[j]
				}
				after := states[(i+1)*d*d : (i+2)*d*d]
				copy(after, states[i*d*d:(i+1)*d*d])
				addOuter(after, -eta, at(e, i), at(k, i))
			}
			dUsed := make([]F, d*d) // minibatch: gradient of the chunk's first state as predictions use it
			for i := m - 1; i >= 0; i-- {
				clear(dk)
				matVec(dzt, dW, at(k, i))
				matVecTransposed(dk, dW, at(e, i))
				for j := range d {
					de := -eta * dzt[j]
					dk[j] = -eta*dk[j] - de
					dzt[j] = dz.Data[(first+i)*d+j] + de
				}
				matVecTransposed(dk, used(i), dzt)
				if scan.Minibatch {
					addOuter(dUsed, 1, dzt, at(k, i))
				} else {
					addOuter(dW, 1, dzt, at(k, i))
				}
				unitBackward(at(df.Data, first+i), dk, at(f.Data, first+i))
				if documents.begin(first + i) {
					clear(dW)
				}
			}
			axpy(dW, 1, dUsed)
		}
	}
}

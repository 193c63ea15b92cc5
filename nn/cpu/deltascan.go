package cpu

import (
	"bitgpu/nn/op"
)

// deltaShape holds the sizes of a delta scan, taken from its tensors.
type deltaShape struct {
	B, time, d, h, c int
	documents        documents
}

// scanShape takes the sizes from the output rows, the gain of the norm, and a tensor with an entry per sequence or slot.
func scanShape[F Float](rows, gain, each, slots, documents *Tensor[F]) deltaShape {
	n, d := rowsOf(rows)
	B, c := sequencesOf(each, slots), gain.Shape[0]
	return deltaShape{B, n / B, d, d / c, c, documentsOf(documents)}
}

// tailIn returns the tail in a slot.
func tailIn[F Float](s deltaShape, tail []F, slot int) []F {
	size := 3 * op.ConvTail * s.d
	return tail[slot*size:][:size]
}

// convInput returns the input of channel j (0 ≤ j < 3d) some tokens before token t of sequence b. Inputs before the sequence are
// in its tail; before each of its documents they are zeros.
func convInput[F Float](s deltaShape, u, tail []F, b, t, back, j int) F {
	row := b*s.time + t
	if back <= s.documents.before(row, t) {
		return u[(row-back)*3*s.d+j]
	}
	if tail == nil || s.documents != nil {
		return 0
	}
	which, channel := j/s.d, j%s.d
	return tail[(which*op.ConvTail+op.ConvTail+t-back)*s.d+channel]
}

// convolve returns output t of channel j: Σ w[j,i]·input[t−3+i].
func convolve[F Float](s deltaShape, u, tail, conv []F, b, t, j int) F {
	var sum F
	for i := range op.ConvTaps {
		sum += conv[j*op.ConvTaps+i] * convInput(s, u, tail, b, t, op.ConvTail-i, j)
	}
	return sum
}

// shortConv writes the keys, queries and values (3d) of token t in the form that the delta rule takes.
func shortConv[F Float](kqv []F, s deltaShape, u, tail, conv []F, b, t int) {
	for j := range kqv {
		kqv[j] = silu(convolve(s, u, tail, conv, b, t, j))
	}
	for at := 0; at < 2*s.d; at += s.c { // every head's key, then every head's query
		unit(kqv[at:at+s.c], kqv[at:at+s.c])
	}
}

func (s *Scalar[F]) deltaScan(args *op.DeltaScan[*Tensor[F]]) {
	o, u, b, conv, gain, state, tail, kqv, read, starts, chunk := args.O, args.U, args.Beta, args.Conv, args.Gain, args.State, args.Tail, args.KQV, args.Answers, args.Starts, args.Chunk
	p := scanShape(args.O, args.Gain, args.State, args.Slots, args.Documents)
	pred, e := make([]F, p.c), make([]F, p.c)
	for seq := range p.B {
		slot := slotOf(args.Slots, seq)
		tail := tailIn(p, tail.Data, slot)
		for t := range p.time {
			row := seq*p.time + t
			kqvRow := kqv.Data[row*3*p.d : (row+1)*3*p.d]
			shortConv(kqvRow, p, u.Data, tail, conv.Data, seq, t)
			for head := range p.h {
				W := state.Data[(slot*p.h+head)*p.c*p.c:][:p.c*p.c]
				if starts != nil && t%chunk == 0 {
					copy(starts.Data[((seq*starts.Shape[1]+t/chunk)*p.h+head)*p.c*p.c:], W)
				}
				if p.documents.begin(row) {
					clear(W)
				}
				k, q, v := kqvRow[head*p.c:][:p.c], kqvRow[p.d+head*p.c:][:p.c], kqvRow[2*p.d+head*p.c:][:p.c]
				matVec(pred, W, k)
				for i := range e {
					e[i] = v[i] - pred[i]
				}
				addOuter(W, b.Data[row*p.h+head], e, k)
				at := row*p.d + head*p.c
				matVec(read.Data[at:at+p.c], W, q)
				rmsNorm(o.Data[at:at+p.c], read.Data[at:at+p.c], gain.Data, op.Epsilon(args.Eps))
			}
		}
		keepTail(p, u.Data, tail, seq)
	}
}

// keepTail moves the last inputs of sequence b's convolutions into its tail.
func keepTail[F Float](s deltaShape, u, tail []F, b int) {
	s.documents = nil
	last := make([]F, 3*op.ConvTail*s.d)
	for i := range last {
		which, tap, channel := i/(op.ConvTail*s.d), i/s.d%op.ConvTail, i%s.d
		last[i] = convInput(s, u, tail, b, s.time, op.ConvTail-tap, which*s.d+channel)
	}
	copy(tail, last)
}

// DeltaScanBackward runs the recurrence backward token by token, each chunk after running it
// forward again from its start.
func (s *Scalar[F]) deltaScanBackward(args *op.DeltaScanBackward[*Tensor[F]]) {
	du, db, dconv, dgain, do, u, b, conv, gain, kqv, read, starts, chunk := args.DU, args.DBeta, args.DConv, args.DGain, args.DO, args.U, args.Beta, args.Conv, args.Gain, args.KQV, args.Answers, args.Starts, args.Chunk
	p := scanShape(args.DO, args.Gain, args.Starts, nil, args.Documents)
	cc := p.c * p.c
	states, errs := make([]F, (chunk+1)*cc), make([]F, chunk*p.c)
	dread, de := make([]F, p.c), make([]F, p.c)
	dkqv, none := make([]F, len(kqv.Data)), make([]F, cc)
	for seq := range p.B {
		for head := range p.h {
			dW := make([]F, cc)
			for first := (p.time - 1) / chunk * chunk; first >= 0; first -= chunk {
				m := min(chunk, p.time-first)
				copy(states, starts.Data[((seq*starts.Shape[1]+first/chunk)*p.h+head)*cc:][:cc])
				part := func(data []F, i, which int) []F {
					return data[(seq*p.time+first+i)*3*p.d+which*p.d+head*p.c:][:p.c]
				}
				state := func(i int) []F { // before token i
					if p.documents.begin(seq*p.time + first + i) {
						return none
					}
					return states[i*cc : (i+1)*cc]
				}
				beta := func(i int) *F { return &b.Data[(seq*p.time+first+i)*p.h+head] }
				for i := range m {
					before, after := state(i), states[(i+1)*cc:(i+2)*cc]
					e, k, v := errs[i*p.c:(i+1)*p.c], part(kqv.Data, i, 0), part(kqv.Data, i, 2)
					matVec(e, before, k)
					for j := range e {
						e[j] = v[j] - e[j]
					}
					copy(after, before)
					addOuter(after, *beta(i), e, k)
				}
				for i := m - 1; i >= 0; i-- {
					before, after := state(i), states[(i+1)*cc:(i+2)*cc]
					e, k, q := errs[i*p.c:(i+1)*p.c], part(kqv.Data, i, 0), part(kqv.Data, i, 1)
					dk, dq, dv := part(dkqv, i, 0), part(dkqv, i, 1), part(dkqv, i, 2)
					at := (seq*p.time+first+i)*p.d + head*p.c
					clear(dread)
					rmsNormBackward(dread, dgain.data(), do.Data[at:at+p.c], read.Data[at:at+p.c], gain.Data, op.Epsilon(args.Eps))
					matVecTransposed(dq, after, dread)
					addOuter(dW, 1, dread, q)
					matVec(de, dW, k)
					db.Data[(seq*p.time+first+i)*p.h+head] = dot(de, e)
					matVecTransposed(dk, dW, e)
					for j := range p.c {
						dk[j] *= *beta(i)
						de[j] *= *beta(i)
						dv[j] = de[j]
						de[j] = -de[j]
					}
					matVecTransposed(dk, before, de)
					addOuter(dW, 1, de, k)
					if p.documents.begin(seq*p.time + first + i) {
						clear(dW)
					}
				}
			}
		}
	}
	shortConvBackward(du.Data, dconv.data(), dkqv, p, u.Data, conv.Data)
}

// shortConvBackward writes du and adds to dconv, which may be nil, from the gradient of the keys, queries and values. The
// sequences began with tails of zeros.
func shortConvBackward[F Float](du, dconv, dkqv []F, s deltaShape, u, conv []F) {
	clear(du)
	before := make([]F, 3*s.d) // SiLU's input, then its output
	after := make([]F, 3*s.d)
	for b := range s.B {
		for t := range s.time {
			row := (b*s.time + t) * 3 * s.d
			dy := dkqv[row : row+3*s.d]
			for j := range before {
				before[j] = convolve(s, u, nil, conv, b, t, j)
				after[j] = silu(before[j])
			}
			for at := 0; at < 2*s.d; at += s.c {
				unitBackward(dy[at:at+s.c], dy[at:at+s.c], after[at:at+s.c])
			}
			for j := range dy {
				d := dy[j] * siluSlope(before[j])
				for i := range op.ConvTaps {
					back := op.ConvTail - i
					if dconv != nil {
						dconv[j*op.ConvTaps+i] += d * convInput(s, u, nil, b, t, back, j)
					}
					if back <= s.documents.before(b*s.time+t, t) {
						du[(b*s.time+t-back)*3*s.d+j] += d * conv[j*op.ConvTaps+i]
					}
				}
			}
		}
	}
}

package cpu

import (
	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/op"
)

// transposeTaps puts the taps of the convolutions first, (4, 3d), so that the weights of one tap lie side by side.
func (o *Ops) transposeTaps(conv *Tensor[float32]) {
	channels := len(conv.Data) / op.ConvTaps
	room(&o.convT, len(conv.Data))
	for j := range channels {
		for i := range op.ConvTaps {
			o.convT[i*channels+j] = conv.Data[j*op.ConvTaps+i]
		}
	}
}

// convRow writes the outputs (3d) of the convolutions for token t of sequence b; tail is the sequence's.
func convRow(dst []float32, s deltaShape, u, tail, taps []float32, b, t int) {
	channels := 3 * s.d
	simd.Mul(dst, taps[op.ConvTail*channels:][:channels], u[(b*s.time+t)*channels:][:channels])
	for i := range op.ConvTail {
		w := taps[i*channels : (i+1)*channels]
		back := op.ConvTail - i
		if back <= s.documents.before(b*s.time+t, t) {
			simd.MulAdd(dst, w, u[(b*s.time+t-back)*channels:][:channels])
			continue
		}
		if tail == nil || s.documents != nil {
			continue
		}
		for which := range 3 {
			x := tail[(which*op.ConvTail+op.ConvTail+t-back)*s.d:][:s.d]
			simd.MulAdd(dst[which*s.d:(which+1)*s.d], w[which*s.d:(which+1)*s.d], x)
		}
	}
}

// shortConv writes the keys, queries and values of all tokens in the form that the delta rule takes.
func (o *Ops) shortConv(u, conv, tail, kqv, slots *Tensor[float32]) {
	o.transposeTaps(conv)
	o.rows(o.job.p.B*o.job.p.time, 8, func(j *job, start, end int) {
		s, p := <-j.ops.slots, j.p
		defer func() { j.ops.slots <- s }()
		before := room(&s.conv, 3*p.d)
		for row := start; row < end; row++ {
			kqvRow := j.t[2].Data[row*3*p.d : (row+1)*3*p.d]
			own := tailIn(p, j.t[1].Data, slotOf(j.t[3], row/p.time))
			convRow(before, p, j.t[0].Data, own, j.ops.convT, row/p.time, row%p.time)
			simd.Silu(kqvRow, before)
			for at := 0; at < 2*p.d; at += p.c {
				unitFast(kqvRow[at:at+p.c], kqvRow[at:at+p.c])
			}
		}
	}, u, tail, kqv, slots)
}

// keepTail moves the last inputs of sequence b's convolutions into its tail.
func (o *Ops) keepTail(s deltaShape, u, tail []float32, b int) {
	for which := range 3 {
		own := tail[which*op.ConvTail*s.d:][:op.ConvTail*s.d]
		kept := max(op.ConvTail-s.time, 0)
		copy(own, own[(op.ConvTail-kept)*s.d:])
		for tap := kept; tap < op.ConvTail; tap++ {
			t := s.time - op.ConvTail + tap
			copy(own[tap*s.d:(tap+1)*s.d], u[(b*s.time+t)*3*s.d+which*s.d:])
		}
	}
}

// shortConvBackward computes the gradients of u and the taps from that of kqv, in product, which it changes.
func (o *Ops) shortConvBackward(du, dconv, u, conv *Tensor[float32]) {
	p := o.job.p
	channels := 3 * p.d
	size := op.ConvTaps * channels
	o.transposeTaps(conv)
	clear(du.Data[:p.B*p.time*channels])
	zeroRoom(&o.partial, p.B*size)
	o.rows(p.B, 1, func(j *job, start, end int) {
		s := <-j.ops.slots
		defer func() { j.ops.slots <- s }()
		for seq := start; seq < end; seq++ {
			size := op.ConvTaps * 3 * j.p.d
			s.shortConvBackward(j.t[0].Data, j.ops.partial[seq*size:(seq+1)*size], j.ops.product, j.p, j.t[1].Data, j.ops.convT, seq)
		}
	}, du, u)
	if dconv == nil {
		return
	}
	for seq := range p.B {
		sums := o.partial[seq*size : (seq+1)*size]
		for i := range op.ConvTaps {
			for j := range channels {
				dconv.Data[j*op.ConvTaps+i] += sums[i*channels+j]
			}
		}
	}
}

// shortConvBackward goes back from sequence b's dkqv, which it changes, through unit length, SiLU and convolution, and adds to
// du and to dtaps (4, 3d). The sequence began with a tail of zeros.
func (s *scanScratch) shortConvBackward(du, dtaps, dkqv []float32, p deltaShape, u, taps []float32, b int) {
	channels := 3 * p.d
	before, after := room(&s.conv, channels), room(&s.dconv, channels)
	for t := range p.time {
		dy := dkqv[(b*p.time+t)*channels:][:channels]
		convRow(before, p, u, nil, taps, b, t)
		simd.Silu(after, before)
		for at := 0; at < 2*p.d; at += p.c {
			unitBackwardFast(dy[at:at+p.c], dy[at:at+p.c], after[at:at+p.c])
		}
		simd.SiluBackward(dy, dy, before)
		for i := range op.ConvTaps {
			from := b*p.time + t - (op.ConvTail - i)
			if op.ConvTail-i > p.documents.before(b*p.time+t, t) {
				continue
			}
			at, to := from*channels, (from+1)*channels
			simd.MulAdd(dtaps[i*channels:(i+1)*channels], dy, u[at:to])
			simd.MulAdd(du[at:to], dy, taps[i*channels:(i+1)*channels])
		}
	}
}

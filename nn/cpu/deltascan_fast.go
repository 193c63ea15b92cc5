package cpu

import (
	"bitgpu/nn"
	"bitgpu/nn/cpu/simd"
)

// transposeTaps puts the convolutions' taps first, (4, 3d), so that a tap's weights lie side by side.
func (o *Ops) transposeTaps(conv *Tensor[float32]) {
	channels := len(conv.Data) / nn.ConvTaps
	room(&o.convT, len(conv.Data))
	for j := range channels {
		for i := range nn.ConvTaps {
			o.convT[i*channels+j] = conv.Data[j*nn.ConvTaps+i]
		}
	}
}

// convRow writes the convolutions' outputs (3d) for token t of sequence b.
func convRow(dst []float32, s deltaShape, u, tail, taps []float32, b, t int) {
	channels := 3 * s.d
	clear(dst)
	for i := range nn.ConvTaps {
		w := taps[i*channels : (i+1)*channels]
		from := t - nn.ConvTail + i
		if from >= 0 {
			x := u[(b*s.time+from)*channels:][:channels]
			for j, v := range x {
				dst[j] += w[j] * v
			}
			continue
		}
		if tail == nil {
			continue
		}
		for which := range 3 {
			x := tail[((b*3+which)*nn.ConvTail+nn.ConvTail+from)*s.d:][:s.d]
			for j, v := range x {
				dst[which*s.d+j] += w[which*s.d+j] * v
			}
		}
	}
}

func (o *Ops) DeltaScan(out, u, b, conv, gain, state, tail, mixed, read, starts *Tensor[float32], chunk int) {
	p := checkDeltaScan(out, u, b, conv, gain, state, tail, mixed, read, starts, chunk)
	o.transposeTaps(conv)
	o.job.p, o.job.scan.Chunk = p, chunk
	o.rows(p.B*p.time, 8, func(j *job, start, end int) {
		s, p := <-j.ops.slots, j.p
		defer func() { j.ops.slots <- s }()
		before := room(&s.conv, 3*p.d)
		for row := start; row < end; row++ {
			kqv := j.t[2].Data[row*3*p.d : (row+1)*3*p.d]
			convRow(before, p, j.t[0].Data, j.t[1].Data, j.ops.convT, row/p.time, row%p.time)
			simd.Silu(kqv, before)
			for at := 0; at < 2*p.d; at += p.c {
				unitFast(kqv[at:at+p.c], kqv[at:at+p.c])
			}
		}
	}, u, tail, mixed)
	o.rows(p.B*p.h, 1, func(j *job, start, end int) {
		s := <-j.ops.slots
		defer func() { j.ops.slots <- s }()
		for i := start; i < end; i++ {
			s.deltaForward(j.t[0], j.t[1], j.t[2], j.t[3], j.t[4], j.t[5], j.t[6], j.p, i, j.scan.Chunk)
		}
	}, out, b, gain, state, mixed, read, starts)
	for seq := range p.B {
		o.keepTail(p, u.Data, tail.Data, seq)
	}
}

// keepTail moves the last inputs of sequence b's convolutions into the tail.
func (o *Ops) keepTail(s deltaShape, u, tail []float32, b int) {
	for which := range 3 {
		own := tail[(b*3+which)*nn.ConvTail*s.d:][:nn.ConvTail*s.d]
		kept := max(nn.ConvTail-s.time, 0)
		copy(own, own[(nn.ConvTail-kept)*s.d:])
		for tap := kept; tap < nn.ConvTail; tap++ {
			t := s.time - nn.ConvTail + tap
			copy(own[tap*s.d:(tap+1)*s.d], u[(b*s.time+t)*3*s.d+which*s.d:])
		}
	}
}

// deltaForward scans one head of one sequence; i counts heads, sequence by sequence.
func (s *scanScratch) deltaForward(o, b, gain, state, mixed, read, starts *Tensor[float32], p deltaShape, i, chunk int) {
	seq, head, cc := i/p.h, i%p.h, p.c*p.c
	W := state.Data[i*cc : (i+1)*cc]
	e := room(&s.e, p.c)
	for t := range p.time {
		row := seq*p.time + t
		if starts != nil && t%chunk == 0 {
			copy(starts.Data[((seq*starts.Shape[1]+t/chunk)*p.h+head)*cc:], W)
		}
		kqv := mixed.Data[row*3*p.d+head*p.c:]
		k, q, v := kqv[:p.c], kqv[p.d:][:p.c], kqv[2*p.d:][:p.c]
		simd.MatVec(e, W, k, p.c, p.c)
		for j := range e {
			e[j] = v[j] - e[j]
		}
		simd.Ger(W, b.Data[row*p.h+head], e, k)
		at := row*p.d + head*p.c
		answer := read.Data[at : at+p.c]
		simd.MatVec(answer, W, q, p.c, p.c)
		simd.RMSNorm(o.Data[at:at+p.c], answer, gain.Data, normEps)
	}
}

func (o *Ops) DeltaScanBackward(du, db, dconv, dgain, do, u, b, conv, gain, mixed, read, starts *Tensor[float32], chunk int) {
	p := checkDeltaScanBackward(du, db, dconv, dgain, do, u, b, conv, gain, mixed, read, starts, chunk)
	o.transposeTaps(conv)
	o.job.p, o.job.scan.Chunk = p, chunk
	dmixed := room(&o.product, len(mixed.Data))
	zeroRoom(&o.partial, p.B*p.h*p.c)
	o.rows(p.B*p.h, 1, func(j *job, start, end int) {
		s := <-j.ops.slots
		defer func() { j.ops.slots <- s }()
		for i := start; i < end; i++ {
			s.deltaBackward(j.ops.product, j.ops.partial[i*j.p.c:(i+1)*j.p.c], j.t[0], j.t[1], j.t[2], j.t[3], j.t[4],
				j.t[5], j.t[6], j.p, i, j.scan.Chunk)
		}
	}, db, do, b, gain, mixed, read, starts)
	o.addPartials(dgain.Data, p.B*p.h)

	channels := 3 * p.d
	clear(du.Data[:len(dmixed)])
	zeroRoom(&o.partial, p.B*nn.ConvTaps*channels)
	o.rows(p.B, 1, func(j *job, start, end int) {
		s := <-j.ops.slots
		defer func() { j.ops.slots <- s }()
		for seq := start; seq < end; seq++ {
			size := nn.ConvTaps * 3 * j.p.d
			s.mixBackward(j.t[0].Data, j.ops.partial[seq*size:(seq+1)*size], j.ops.product, j.p, j.t[1].Data, j.ops.convT, seq)
		}
	}, du, u)
	for seq := range p.B {
		sums := o.partial[seq*nn.ConvTaps*channels:][:nn.ConvTaps*channels]
		for i := range nn.ConvTaps {
			for j := range channels {
				dconv.Data[j*nn.ConvTaps+i] += sums[i*channels+j]
			}
		}
	}
}

// deltaBackward writes the gradient of one head's keys, queries and values into dmixed and of its
// steps into db, and adds that of the gain.
func (s *scanScratch) deltaBackward(dmixed, dgain []float32, db, do, b, gain, mixed, read, starts *Tensor[float32], p deltaShape, i, chunk int) {
	seq, head, cc := i/p.h, i%p.h, p.c*p.c
	size := min(chunk, p.time)
	states, errs := room(&s.states, (size+1)*cc), room(&s.e, size*p.c)
	dread, de, dW := room(&s.dk, p.c), room(&s.dz, p.c), zeroRoom(&s.dW, cc)
	for first := (p.time - 1) / chunk * chunk; first >= 0; first -= chunk {
		m := min(chunk, p.time-first)
		copy(states, starts.Data[((seq*starts.Shape[1]+first/chunk)*p.h+head)*cc:][:cc])
		part := func(data []float32, i, which int) []float32 {
			return data[(seq*p.time+first+i)*3*p.d+which*p.d+head*p.c:][:p.c]
		}
		for i := range m {
			before, after := states[i*cc:(i+1)*cc], states[(i+1)*cc:(i+2)*cc]
			e, k, v := errs[i*p.c:(i+1)*p.c], part(mixed.Data, i, 0), part(mixed.Data, i, 2)
			simd.MatVec(e, before, k, p.c, p.c)
			for j := range e {
				e[j] = v[j] - e[j]
			}
			copy(after, before)
			simd.Ger(after, b.Data[(seq*p.time+first+i)*p.h+head], e, k)
		}
		for i := m - 1; i >= 0; i-- {
			row := seq*p.time + first + i
			before, after := states[i*cc:(i+1)*cc], states[(i+1)*cc:(i+2)*cc]
			e, k, q := errs[i*p.c:(i+1)*p.c], part(mixed.Data, i, 0), part(mixed.Data, i, 1)
			dk, dq, dv := part(dmixed, i, 0), part(dmixed, i, 1), part(dmixed, i, 2)
			at, beta := row*p.d+head*p.c, b.Data[row*p.h+head]
			clear(dread)
			simd.RMSNormBackward(dread, dgain, do.Data[at:at+p.c], read.Data[at:at+p.c], gain.Data,
				inverseRMSFast(read.Data[at:at+p.c]))
			clear(dq)
			addTransposed(dq, after, dread)
			simd.Ger(dW, 1, dread, q)
			simd.MatVec(de, dW, k, p.c, p.c)
			db.Data[row*p.h+head] = simd.Dot(de, e)
			clear(dk)
			addTransposed(dk, dW, e)
			for j := range p.c {
				dk[j] *= beta
				dv[j] = beta * de[j]
				de[j] = -dv[j]
			}
			addTransposed(dk, before, de)
			simd.Ger(dW, 1, de, k)
		}
	}
}

// mixBackward carries sequence b's dmixed, which it changes, through unit length, SiLU and
// convolution: it adds into du and into dtaps (4, 3d). The sequence began with a zero tail.
func (s *scanScratch) mixBackward(du, dtaps, dmixed []float32, p deltaShape, u, taps []float32, b int) {
	channels := 3 * p.d
	before, after := room(&s.conv, channels), room(&s.dconv, channels)
	for t := range p.time {
		dy := dmixed[(b*p.time+t)*channels:][:channels]
		convRow(before, p, u, nil, taps, b, t)
		simd.Silu(after, before)
		for at := 0; at < 2*p.d; at += p.c {
			unitBackwardFast(dy[at:at+p.c], dy[at:at+p.c], after[at:at+p.c])
		}
		simd.SiluBackward(dy, dy, before)
		for i := range nn.ConvTaps {
			from := t - nn.ConvTail + i
			if from < 0 {
				continue
			}
			x, dx := u[(b*p.time+from)*channels:][:channels], du[(b*p.time+from)*channels:][:channels]
			w, dw := taps[i*channels:(i+1)*channels], dtaps[i*channels:(i+1)*channels]
			for j, d := range dy {
				dw[j] += d * x[j]
				dx[j] += d * w[j]
			}
		}
	}
}

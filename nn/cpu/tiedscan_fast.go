package cpu

import (
	"bitgpu/nn"
	"bitgpu/nn/cpu/simd"
)

func (o *Ops) TiedScan(z, f, state, starts *Tensor[float32], scan nn.Scan) {
	checkTiedScan(z, f, state, starts, scan)
	o.job.scan = scan
	o.rows(state.Shape[0], 1, func(j *job, start, end int) {
		s := <-j.ops.slots
		defer func() { j.ops.slots <- s }()
		for b := start; b < end; b++ {
			s.tiedForward(j.t[0], j.t[1], j.t[2], j.t[3], b, j.scan)
		}
	}, z, f, state, starts)
}

// tiedForward scans sequence b.
func (s *scanScratch) tiedForward(z, f, state, starts *Tensor[float32], b int, scan nn.Scan) {
	n, d := rowsOf(f)
	time := n / state.Shape[0]
	W := state.Data[b*d*d : (b+1)*d*d]
	used := W
	if scan.Minibatch {
		used = room(&s.used, d*d)
	}
	k, e := room(&s.k, d), room(&s.e, d)
	for t := range time {
		if t%scan.Chunk == 0 {
			if scan.Minibatch {
				copy(used, W)
			}
			if starts != nil {
				copy(starts.Data[(b*starts.Shape[1]+t/scan.Chunk)*d*d:], W)
			}
		}
		row := (b*time + t) * d
		zt := z.Data[row : row+d]
		unitFast(k, f.Data[row:row+d])
		simd.MatVec(zt, used, k, d, d)
		for i := range e {
			e[i] = zt[i] - k[i]
		}
		simd.Ger(W, -scan.Rate, e, k)
	}
}

func (o *Ops) TiedScanBackward(df, dz, f, starts *Tensor[float32], scan nn.Scan) {
	checkTiedScanBackward(df, dz, f, starts, scan)
	o.job.scan = scan
	o.rows(starts.Shape[0], 1, func(j *job, start, end int) {
		s := <-j.ops.slots
		defer func() { j.ops.slots <- s }()
		for b := start; b < end; b++ {
			s.tiedBackward(j.t[0], j.t[1], j.t[2], j.t[3], b, j.scan)
		}
	}, df, dz, f, starts)
}

// tiedBackward is the reference's recurrence for sequence b, each chunk after running it forward
// again from its start.
func (s *scanScratch) tiedBackward(df, dz, f, starts *Tensor[float32], b int, scan nn.Scan) {
	n, d := rowsOf(f)
	chunks, C, eta := starts.Shape[1], scan.Chunk, scan.Rate
	time := n / starts.Shape[0]
	dd := d * d
	states := room(&s.states, (min(C, time)+1)*dd)
	k, z, e := room(&s.k, C*d), room(&s.z, C*d), room(&s.e, C*d)
	dk, dzt, dW := room(&s.dk, d), room(&s.dz, d), zeroRoom(&s.dW, dd)
	dUsed := dW
	if scan.Minibatch {
		dUsed = room(&s.dUsed, dd)
	}
	used := func(i int) []float32 {
		if scan.Minibatch {
			i = 0
		}
		return states[i*dd : (i+1)*dd]
	}
	at := func(v []float32, i int) []float32 { return v[i*d : (i+1)*d] }
	for c := chunks - 1; c >= 0; c-- {
		first, m := b*time+c*C, min(C, time-c*C)
		copy(states, starts.Data[(b*chunks+c)*dd:(b*chunks+c+1)*dd])
		for i := range m {
			unitFast(at(k, i), at(f.Data, first+i))
			simd.MatVec(at(z, i), used(i), at(k, i), d, d)
			for j := range d {
				e[i*d+j] = z[i*d+j] - k[i*d+j]
			}
			after := states[(i+1)*dd : (i+2)*dd]
			copy(after, states[i*dd:(i+1)*dd])
			simd.Ger(after, -eta, at(e, i), at(k, i))
		}
		if scan.Minibatch {
			clear(dUsed)
		}
		for i := m - 1; i >= 0; i-- {
			simd.MatVec(dzt, dW, at(k, i), d, d)
			clear(dk)
			addTransposed(dk, dW, at(e, i))
			for j := range d {
				de := -eta * dzt[j]
				dk[j] = -eta*dk[j] - de
				dzt[j] = dz.Data[(first+i)*d+j] + de
			}
			addTransposed(dk, used(i), dzt)
			simd.Ger(dUsed, 1, dzt, at(k, i))
			unitBackwardFast(at(df.Data, first+i), dk, at(f.Data, first+i))
		}
		if scan.Minibatch {
			simd.Axpy(1, dUsed, dW)
		}
	}
}

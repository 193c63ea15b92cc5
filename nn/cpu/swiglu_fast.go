package cpu

import "bitgpu/nn/cpu/simd"

func (o *Ops) NormSwiGLU(a, gu, x, h, gain, w *Tensor[float32]) {
	checkSwiGLU(a, gu, w)
	n, H := rowsOf(a)
	if x == nil {
		x = o.hidden[0].reshape(h.Shape[0], h.Shape[1])
	}
	if gu == nil {
		gu = o.hidden[1].reshape(n, 2*H)
	}
	o.NormLinear(gu, x, h, gain, w)
	o.rows(n, 4, func(j *job, start, end int) {
		a, gu := j.t[0], j.t[1]
		H := a.Shape[1]
		for i := start; i < end; i++ {
			simd.SiluMul(a.Data[i*H:(i+1)*H], gu.Data[2*i*H:(2*i+1)*H], gu.Data[(2*i+1)*H:(2*i+2)*H])
		}
	}, a, gu)
}

func (o *Ops) SwiGLUBackward(dgu, da, gu *Tensor[float32]) {
	checkSwiGLUBackward(dgu, da, gu)
	n, _ := rowsOf(da)
	o.rows(n, 4, func(j *job, start, end int) {
		dgu, da, gu := j.t[0].Data, j.t[1].Data, j.t[2].Data
		H := j.t[1].Shape[1]
		for i := start; i < end; i++ {
			g, u, to := 2*i*H, (2*i+1)*H, (2*i+2)*H
			simd.SiluMulBackward(dgu[g:u], dgu[u:to], da[i*H:(i+1)*H], gu[g:u], gu[u:to])
		}
	}, dgu, da, gu)
}

// reshape makes the tensor a matrix, whose numbers are kept for the next call.
func (t *Tensor[F]) reshape(rows, cols int) *Tensor[F] {
	t.Shape = append(t.Shape[:0], rows, cols)
	if cap(t.Data) < rows*cols {
		t.Data = make([]F, rows*cols)
	}
	t.Data = t.Data[:rows*cols]
	return t
}

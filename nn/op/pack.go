package op

import "bitgpu/nn/ternary"

// PackTernary quantises a float32 matrix (rows, cols) of the given number of stacked blocks.
func PackTernary(t HostTensor, blocks int, absmean bool) HostTensor {
	rows, cols := t.Shape[0], t.Shape[1]
	q := HostTensor{
		Format: Ternary, Shape: t.Shape, Absmean: absmean,
		Codes: make([]byte, rows*ternary.RowBytes(cols)), Scales: make([]float32, blocks),
	}
	each := rows / blocks
	for b := range blocks {
		w := t.F32[b*each*cols : (b+1)*each*cols]
		q.Scales[b] = ternary.Gamma(w)
		stride := each * ternary.RowBytes(cols)
		ternary.Quantize(q.Codes[b*stride:(b+1)*stride], w, each, cols, q.Scales[b])
	}
	return q
}

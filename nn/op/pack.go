package op

import (
	"math"

	"bitgpu/nn/ternary"
)

// PackTernary quantises a float32 matrix (rows, cols) that consists of `blocks` stacked blocks.
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

// PackRowBlocks quantises a float32 matrix (rows, cols) whose blocks have the given numbers of rows, as Quantize does with
// RowBlocks and HalfEven.
func PackRowBlocks(t HostTensor, blocks []int) HostTensor {
	rows, cols := t.Shape[0], t.Shape[1]
	q := HostTensor{Format: Ternary, Shape: t.Shape, Absmean: true, Codes: make([]byte, rows*ternary.RowBytes(cols)), Scales: make([]float32, 0, rows)}
	stride, first := ternary.RowBytes(cols), 0
	for _, n := range blocks {
		w := t.F32[first*cols : (first+n)*cols]
		least, scale := ternary.HalfEven(ternary.Gamma(w))
		ternary.Quantize(q.Codes[first*stride:(first+n)*stride], w, n, cols, 2*least)
		for range n {
			q.Scales = append(q.Scales, scale)
		}
		first += n
	}
	return q
}

// PackGroups quantises a float32 matrix (rows, cols) with one scale per `group` inputs of a row.
func PackGroups(t HostTensor, group int) HostTensor {
	rows, cols := t.Shape[0], t.Shape[1]
	q := HostTensor{Format: Ternary, Shape: t.Shape, Group: group, Codes: make([]byte, rows*ternary.RowBytes(cols)), GroupScales: make([]uint16, 0, rows*cols/group)}
	stride := ternary.RowBytes(cols)
	for r := range rows {
		row := q.Codes[r*stride : (r+1)*stride]
		for first := 0; first < cols; first += group {
			q.GroupScales = append(q.GroupScales, ternary.QuantizeGroup(row, first, t.F32[r*cols+first:r*cols+first+group]).Bits())
		}
	}
	return q
}

// PackInt8 rounds each row of v (rows, cols) to multiples −127…127 of its scale, max|v|/127: the numbers of an I8 tensor.
func PackInt8(v []float32, rows, cols int) (codes []int8, scales []float32) {
	codes, scales = make([]int8, len(v)), make([]float32, rows)
	for r := range rows {
		row := v[r*cols : (r+1)*cols]
		largest := 0.0
		for _, x := range row {
			largest = max(largest, math.Abs(float64(x)))
		}
		scales[r] = float32(largest / 127)
		if scales[r] == 0 {
			continue
		}
		for i, x := range row {
			q := math.Round(float64(x) / float64(scales[r]))
			codes[r*cols+i] = int8(min(max(q, -127), 127))
		}
	}
	return codes, scales
}

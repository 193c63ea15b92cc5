package simd

import "unsafe"

func at(p *float32, i int) *float32 { return (*float32)(unsafe.Add(unsafe.Pointer(p), i*4)) }

// tileScalar1 defines a tile: one row, up to four columns.
func tileScalar1(k int, a *float32, aRow, aStep int, b *float32, bStep int, c *float32, cRow, cols int, alpha, beta float32) {
	for col := range cols {
		var sum float32
		for s := range k {
			sum += *at(a, s*aStep) * *at(b, s*bStep+col)
		}
		storeScalar(at(c, col), sum, alpha, beta)
	}
}

func storeScalar(c *float32, sum, alpha, beta float32) {
	if beta == 0 {
		*c = alpha * sum
	} else {
		*c = alpha*sum + beta**c
	}
}

// tileScalar4 is four rows by four columns with the sums in local variables.
func tileScalar4(k int, a *float32, aRow, aStep int, b *float32, bStep int, c *float32, cRow, cols int, alpha, beta float32) {
	if cols < 4 {
		for i := range 4 {
			tileScalar1(k, at(a, i*aRow), aRow, aStep, b, bStep, at(c, i*cRow), cRow, cols, alpha, beta)
		}
		return
	}
	for i := 0; i < 4; i += 2 {
		var s00, s01, s02, s03, s10, s11, s12, s13 float32
		a0, a1 := at(a, i*aRow), at(a, (i+1)*aRow)
		for s := range k {
			row := (*[4]float32)(unsafe.Pointer(at(b, s*bStep)))
			u, v := *at(a0, s*aStep), *at(a1, s*aStep)
			s00 += u * row[0]
			s01 += u * row[1]
			s02 += u * row[2]
			s03 += u * row[3]
			s10 += v * row[0]
			s11 += v * row[1]
			s12 += v * row[2]
			s13 += v * row[3]
		}
		for j, sum := range [8]float32{s00, s01, s02, s03, s10, s11, s12, s13} {
			storeScalar(at(c, (i+j/4)*cRow+j%4), sum, alpha, beta)
		}
	}
}

func transposeScalar(dst *float32, dstStep int, src *float32, srcStep, rows, cols int) {
	for c := range cols {
		for r := range rows {
			*at(dst, c*dstStep+r) = *at(src, r*srcStep+c)
		}
	}
}

func gatherScalar(dst *float32, dstStep int, src *float32, srcStep, rows, cols int) {
	for c := range cols {
		for r := range rows {
			*at(dst, c*dstStep+r) = *at(src, c*srcStep+r)
		}
	}
}

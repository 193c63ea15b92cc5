package simd

import (
	"fmt"
	"unsafe"
)

// Substitute sets x (n, cols) = (I + L)⁻¹·x, or with transposed x = (I + Lᵀ)⁻¹·x. L is the
// part of l (n, n) below the diagonal; the other elements are not read.
func Substitute(x, l []float32, n, cols int, transposed bool) {
	if n < 0 || cols < 0 || len(x) != n*cols || len(l) != n*n {
		panic(fmt.Sprintf("simd: Substitute: x %d, l %d elements for n %d, cols %d (want %d, %d)",
			len(x), len(l), n, cols, n*cols, n*n))
	}
	if n == 0 || cols == 0 {
		return
	}
	k := active.Load()
	if transposed { // the same from the last row up
		k.substitute(&x[(n-1)*cols], -cols, n, cols, &l[n*n-1], -1, -n)
	} else {
		k.substitute(&x[0], cols, n, cols, &l[0], n, 1)
	}
}

func substituteScalar(x *float32, xStep, n, cols int, l *float32, lRow, lStep int) {
	for t := range n {
		row := unsafe.Slice(at(x, t*xStep), cols)
		for s := range t {
			axpyScalar(-*at(l, t*lRow+s*lStep), unsafe.Slice(at(x, s*xStep), cols), row)
		}
	}
}

package simd

// groupFour makes a kernel of four vectors from the kernel of one.
func groupFour(one func(y []float32, codes []byte, scales, x []float32, groups, group int)) func(y []float32, codes []byte, scales, x []float32, rows, groups, group, step int) {
	return func(y []float32, codes []byte, scales, x []float32, rows, groups, group, step int) {
		cols := groups * group
		for v := range 4 {
			one(y[v*step:][:rows], codes, scales, x[v*cols:(v+1)*cols], groups, group)
		}
	}
}

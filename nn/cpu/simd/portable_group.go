package simd

func groupOneScalar(y []float32, codes []byte, scales, x []float32, groups, group int) {
	for r := range y {
		row := codes[r*ternaryStride(groups*group):]
		var sum float32
		for i := range groups {
			var part float32
			for c := i * group; c < (i+1)*group; c++ {
				part += ternaryWeight(row, c) * x[c]
			}
			sum += scales[r*groups+i] * part
		}
		y[r] = sum
	}
}

func groupFourScalar(y []float32, codes []byte, scales, x []float32, rows, groups, group, step int) {
	cols := groups * group
	for v := range 4 {
		groupOneScalar(y[v*step:][:rows], codes, scales, x[v*cols:(v+1)*cols], groups, group)
	}
}

package simd

import (
	"fmt"
	"testing"
)

func BenchmarkGemm(b *testing.B) {
	shapes := []product{
		{2048, 1024, 256, false, true, 1, 0},
		{2048, 256, 1024, false, true, 1, 0},
		{2048, 256, 1024, false, false, 1, 0},
		{1024, 256, 2048, true, false, 1, 0},
		{128, 64, 256, false, true, 1, 0},
		{64, 64, 256, false, true, 1, 0},
		{64, 64, 64, false, false, 1, 0},
		{64, 64, 64, false, true, 1, 0},
		{64, 64, 64, true, false, 1, 1},
		{16, 64, 64, false, true, 1, 0},
		{16, 256, 256, false, true, 1, 0},
	}
	for _, l := range Levels() {
		for _, p := range shapes {
			x, y, c, lda, ldb, ldc := p.operands(0)
			b.Run(fmt.Sprintf("%v/%dx%dx%d/%v/%v", l, p.m, p.n, p.k, p.transA, p.transB), func(b *testing.B) {
				setLevel(b, l)
				for b.Loop() {
					Gemm(p.m, p.n, p.k, p.alpha, x, lda, p.transA, y, ldb, p.transB, p.beta, c, ldc)
				}
				b.ReportMetric(2*float64(p.m*p.n*p.k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}

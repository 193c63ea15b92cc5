package simd

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// BenchmarkPublic times the products for public ternary models in turn with TernaryMatMul, so
// that whatever else runs on the machine meets all of them alike, and reports the speed of each
// as a multiple of TernaryMatMul's; stream is what reading the codes from memory would be.
// The times are medians.
func BenchmarkPublic(b *testing.B) {
	for _, shape := range []struct{ rows, cols int }{{2048, 6144}, {6144, 2048}} {
		for _, n := range []int{1, 4, 128} {
			rows, cols := shape.rows, shape.cols
			x, y := random(n*cols, 1), make([]float32, n*rows)
			q, s := randomInt8(n*cols, 1), divisors(n)
			g128, g32 := randomGrouped(rows, cols, 128), randomGrouped(rows, cols, 32)
			products := []struct {
				name string
				run  func()
			}{
				{"TernaryMatMul", func() { TernaryMatMul(y, g128.codes, x, rows, cols, n) }},
				{"group128", func() { TernaryGroupMatMul(y, g128.codes, g128.scales, 128, x, rows, cols, n) }},
				{"group32", func() { TernaryGroupMatMul(y, g32.codes, g32.scales, 32, x, rows, cols, n) }},
				{"gemm128", func() { GemmTernaryGroup(n, rows, cols, x, cols, g128.codes, g128.scales, 128, 0, y, rows) }},
				{"gemm", func() { GemmTernary(n, rows, cols, 1, x, cols, false, g128.codes, true, 0, y, rows) }},
				{"int8", func() { TernaryMatMulI8(y, g128.codes, q, s, rows, cols, n) }},
				{"int8group128", func() { TernaryGroupMatMulI8(y, g128.codes, g128.scales, 128, q, s, rows, cols, n) }},
				{"int8group32", func() { TernaryGroupMatMulI8(y, g32.codes, g32.scales, 32, q, s, rows, cols, n) }},
			}
			eachBenchLevel(b, fmt.Sprintf("%dx%d/%d", rows, cols, n), func(b *testing.B, top peak) {
				spent := make([][]time.Duration, len(products))
				for b.Loop() {
					for i, p := range products {
						start := time.Now()
						p.run()
						spent[i] = append(spent[i], time.Since(start))
					}
				}
				median := func(i int) float64 {
					slices.Sort(spent[i])
					return spent[i][len(spent[i])/2].Seconds()
				}
				first := median(0)
				for i, p := range products {
					b.ReportMetric(first/median(i), p.name)
				}
				stream := float64(len(g128.codes)) / top.bandwidth
				b.ReportMetric(first/stream, "stream")
				b.ReportMetric(first*1e6, "µs/TernaryMatMul")
			})
		}
	}
}

package simd

import (
	"fmt"
	"testing"
)

// TestDotsHaveTheSameBits: whole numbers are exact, and kernels of all register widths round the rest in the same order.
func TestDotsHaveTheSameBits(t *testing.T) {
	var with []*kernels
	for _, k := range levels {
		if k.dots != nil && k.dots.three.vectors[0] != nil {
			with = append(with, k)
		}
	}
	if len(with) < 2 {
		t.Skipf("untested: two levels with VNNI are wanted, this machine has %v", Levels())
	}
	m := randomGrouped(80, 1024, 128)
	for _, n := range []int{1, 2, 3, 7, 13} {
		x := random(n*m.cols, 3)
		var want []float32
		for _, k := range with {
			setLevel(t, k.level)
			got := make([]float32, n*m.rows)
			Interleave(m.codes, m.scales, m.group, m.rows, m.cols, false, false).MatMul(got, x, n)
			if want == nil {
				want = got
			}
			sameBits(t, &m, n, got, want)
		}
	}
}

// BenchmarkInterleaved times products of interleaved matrices at every level that has an order for them.
func BenchmarkInterleaved(b *testing.B) {
	const rows, cols = 6144, 2048
	for _, int8 := range []bool{false, true} {
		for _, n := range []int{1, 2, 8, 128} {
			eachBenchLevel(b, fmt.Sprintf("int8=%v/%d", int8, n), func(b *testing.B, _ peak) {
				m := randomGrouped(rows, cols, 128)
				i := Interleave(m.codes, m.scales, 128, rows, cols, true, int8)
				if i == nil {
					b.Skip("this level leaves rows as they are")
				}
				x, y := random(n*cols, 1), make([]float32, n*rows)
				q, scales := randomInt8(n*cols, 1), divisors(n)
				for b.Loop() {
					if int8 {
						i.MatMulI8(y, q, scales, n)
					} else {
						i.MatMul(y, x, n)
					}
				}
				b.ReportMetric(perSecond(b, float64(rows*cols*n))/1e9, "G/s")
			})
		}
	}
}

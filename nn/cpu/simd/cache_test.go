package simd

import (
	"fmt"
	"math"
	"testing"
)

// The rows of a cache lie apart: what is between them, and behind the last, is not read.
func TestCacheRows(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, cols := range []int{1, 5, 16, 32, 40, 64, 100, 128, 256} {
			for _, rows := range []int{0, 1, 3, 4, 7, 9} {
				for _, step := range []int{cols, cols + 3, 3 * cols} {
					checkCacheRows(t, rows, cols, step)
				}
			}
		}
	})
}

func checkCacheRows(t *testing.T, rows, cols, step int) {
	t.Helper()
	name := fmt.Sprintf("%d rows of %d, %d apart", rows, cols, step)
	n := max((rows-1)*step+cols, 0)
	halves := randomHalves(n, 1)
	floats := make([]float32, n)
	widenScalar(floats, halves)
	for i := range n {
		if i%step >= cols {
			floats[i], halves[i] = float32(math.NaN()), 0x7e00
		}
	}
	x, p, start := random(cols, 2), random(rows, 3), random(cols, 4)
	want, size := make([]float32, rows), make([]float64, rows)
	sum := append([]float32(nil), start...)
	for r := range rows {
		for i := range cols {
			v := floats[r*step+i]
			want[r] += v * x[i]
			size[r] += math.Abs(float64(v * x[i]))
			sum[i] += p[r] * v
		}
	}
	for _, half := range []bool{false, true} {
		y, s := newGuarded(make([]float32, rows)), newGuarded(start)
		if half {
			ScoresF16(y.inside, halves, x, step)
			WeightedSumF16(s.inside, halves, p, step)
		} else {
			Scores(y.inside, floats, x, step)
			WeightedSum(s.inside, floats, p, step)
		}
		for r, got := range y.inside {
			if !(math.Abs(float64(got-want[r])) <= roundings(size[r], cols)) {
				t.Errorf("%s: score %d is %v, want %v", name, r, got, want[r])
			}
		}
		near(t, name, s.inside, sum, 1e-5, 1e-5)
		y.check(t, name)
		s.check(t, name)
	}
}

// A row's score does not depend on how many rows there are.
func TestCacheRowsAreIndependent(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		const rows, cols = 9, 128
		w, x, all := random(rows*cols, 1), random(cols, 2), make([]float32, rows)
		Scores(all, w, x, cols)
		for r := range rows {
			one := make([]float32, 1)
			if Scores(one, w[r*cols:], x, cols); one[0] != all[r] {
				t.Errorf("score %d is %v alone, want %v", r, one[0], all[r])
			}
		}
		panics(t, "a row is missing", func() { Scores(all, w[1:], x, cols) })
		panics(t, "rows overlap", func() { WeightedSum(x, w, all, cols-1) })
	})
}

func BenchmarkCacheRows(b *testing.B) {
	const rows, cols, step = 1024, 128, 1024
	w, x, y := random(rows*step, 1), random(cols, 2), make([]float32, rows)
	h := make([]uint16, len(w))
	Float16s(h, w)
	b.Run("scores", func(b *testing.B) {
		for b.Loop() {
			Scores(y, w, x, step)
		}
	})
	b.Run("dots", func(b *testing.B) {
		for b.Loop() {
			for r := range y {
				y[r] = Dot(x, w[r*step:][:cols])
			}
		}
	})
	b.Run("scores of float16", func(b *testing.B) {
		for b.Loop() {
			ScoresF16(y, h, x, step)
		}
	})
	b.Run("sum", func(b *testing.B) {
		for b.Loop() {
			WeightedSum(x, w, y, step)
		}
	})
	b.Run("sum of float16", func(b *testing.B) {
		for b.Loop() {
			WeightedSumF16(x, h, y, step)
		}
	})
}

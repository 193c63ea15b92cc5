package simd

import (
	"fmt"
	"math"
	"testing"
)

// TestSubstitute multiplies the solution by the triangular matrix again, in float64.
func TestSubstitute(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, n := range []int{1, 2, 3, 7, 16, 33} {
			l := random(n*n, 1)
			for i := range l {
				l[i] *= 0.2
				if i/n <= i%n {
					l[i] = float32(math.NaN()) // not read
				}
			}
			for _, cols := range sizes {
				for _, transposed := range []bool{false, true} {
					what := fmt.Sprintf("n %d, cols %d, transposed %v", n, cols, transposed)
					want := random(n*cols, 2)
					x := newGuarded(want)
					Substitute(x.inside, l, n, cols, transposed)
					x.check(t, what)
					for row := range n {
						for col := range cols {
							sum := float64(x.inside[row*cols+col])
							size := math.Abs(sum)
							for other := range n {
								factor := 0.0
								switch {
								case !transposed && other < row:
									factor = float64(l[row*n+other])
								case transposed && other > row:
									factor = float64(l[other*n+row])
								}
								term := factor * float64(x.inside[other*cols+col])
								sum += term
								size += math.Abs(term)
							}
							if w := float64(want[row*cols+col]); !(math.Abs(sum-w) <= roundings(size, n)) {
								t.Fatalf("%s: element (%d, %d) times the matrix is %v, want %v", what, row, col, sum, w)
							}
						}
					}
				}
			}
		}
	})
	Substitute(nil, nil, 0, 5, false)
	panics(t, "Substitute", func() { Substitute(make([]float32, 6), make([]float32, 8), 3, 2, false) })
}

func TestSubstituteColumnsAreIndependent(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		const n, cols = 9, 77
		l, whole := random(n*n, 1), random(n*cols, 2)
		start := append([]float32(nil), whole...)
		Substitute(whole, l, n, cols, false)
		for _, from := range []int{1, 8, 30, 70} {
			var part, want []float32
			for row := range n {
				part = append(part, start[row*cols+from:(row+1)*cols]...)
				want = append(want, whole[row*cols+from:(row+1)*cols]...)
			}
			Substitute(part, l, n, cols-from, false)
			near(t, fmt.Sprintf("columns from %d", from), part, want, 0, 0)
		}
	})
}

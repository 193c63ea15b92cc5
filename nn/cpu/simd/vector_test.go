package simd

import (
	"fmt"
	"math"
	"testing"
)

// roundings bounds the error of a sum: terms of this size in total, n of them.
func roundings(size float64, n int) float64 { return size * float64(n+4) * 0x1p-24 }

func TestSums(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, n := range sizes {
			x, y, z := random(n, 1), random(n, 2), random(n, 3)
			var dot, squares, triple, dotSize, tripleSize float64
			for i := range x {
				a, b, c := float64(x[i]), float64(y[i]), float64(z[i])
				dot += a * b
				dotSize += math.Abs(a * b)
				squares += a * a
				triple += a * b * c
				tripleSize += math.Abs(a * b * c)
			}
			within := func(what string, got, want, bound float64) {
				if !(math.Abs(got-want) <= bound) {
					t.Errorf("%s of %d: %v, want %v ± %v", what, n, got, want, bound)
				}
			}
			within("Dot", float64(Dot(x, y)), dot, roundings(dotSize, n))
			within("SumSquares", float64(SumSquares(x)), squares, roundings(squares, n))
			within("dot3", float64(active.Load().dot3(x, y, z)), triple, roundings(tripleSize, n))
		}
	})
}

func TestMax(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, n := range sizes {
			for at := range n {
				x := random(n, 4)
				for i := range x {
					x[i] -= 100 // a lane outside the vector must not win
				}
				x[at] = -3
				if got := Max(x); got != -3 {
					t.Fatalf("Max of %d with the largest at %d: %v, want -3", n, at, got)
				}
			}
		}
		if got := Max(nil); !math.IsInf(float64(got), -1) {
			t.Errorf("Max of nothing: %v", got)
		}
	})
}

// operation is one element-wise function under test: run works on the slices of out
// and in, all of one length.
type operation struct {
	name     string
	outs     int // slices written
	ins      int // slices only read
	abs, rel float64
	run      func(k *kernels, out, in [][]float32)
}

var operations = []operation{
	{"axpy", 1, 1, 1e-7, 1e-6, func(k *kernels, out, in [][]float32) { k.axpy(-1.7, in[0], out[0]) }},
	{"scale", 1, 0, 0, 0, func(k *kernels, out, in [][]float32) { k.scale(3.3, out[0]) }},
	{"add", 1, 2, 0, 0, func(k *kernels, out, in [][]float32) { k.add(out[0], in[0], in[1]) }},
	{"mul", 1, 2, 0, 0, func(k *kernels, out, in [][]float32) { k.mul(out[0], in[0], in[1]) }},
	{"mul in place", 1, 1, 0, 0, func(k *kernels, out, in [][]float32) { k.mul(out[0], out[0], in[0]) }},
	{"mulAdd", 1, 2, 1e-7, 1e-6, func(k *kernels, out, in [][]float32) { k.mulAdd(out[0], in[0], in[1]) }},
	{"scaledMul", 1, 2, 0, 0, func(k *kernels, out, in [][]float32) { k.scaledMul(out[0], 0.3, in[0], in[1]) }},
	{"rmsNormBackward", 2, 3, 1e-6, 1e-6, func(k *kernels, out, in [][]float32) {
		k.rmsNormBackward(out[0], out[1], in[0], in[1], in[2], 0.7, -0.2)
	}},
	{"sigmoid", 1, 1, 0, 4e-7, func(k *kernels, out, in [][]float32) { k.sigmoid(out[0], in[0]) }},
	{"silu", 1, 1, 0, 4e-7, func(k *kernels, out, in [][]float32) { k.silu(out[0], in[0]) }},
	{"silu in place", 1, 0, 0, 4e-7, func(k *kernels, out, in [][]float32) { k.silu(out[0], out[0]) }},
	{"siluBackward", 1, 2, 1e-6, 1e-6, func(k *kernels, out, in [][]float32) { k.siluBackward(out[0], in[0], in[1]) }},
	{"siluMul", 1, 2, 0, 6e-7, func(k *kernels, out, in [][]float32) { k.siluMul(out[0], in[0], in[1]) }},
	{"siluMul in place", 1, 1, 0, 6e-7, func(k *kernels, out, in [][]float32) { k.siluMul(out[0], in[0], out[0]) }},
	{"siluMulBackward", 2, 3, 1e-6, 1e-6, func(k *kernels, out, in [][]float32) {
		k.siluMulBackward(out[0], out[1], in[0], in[1], in[2])
	}},
	{"siluMulBackward in place", 2, 1, 1e-6, 1e-6, func(k *kernels, out, in [][]float32) {
		k.siluMulBackward(out[0], out[1], in[0], out[0], out[1])
	}},
	{"expFrom", 1, 1, 0, 4e-7, func(k *kernels, out, in [][]float32) { k.expFrom(out[0], in[0], -0.3, 1.5, 0.7) }},
	{"expFrom in place", 1, 0, 0, 4e-7, func(k *kernels, out, in [][]float32) { k.expFrom(out[0], out[0], 0.1, 1.5, 2) }},
	{"softmax terms", 1, 1, 0, 3e-7, func(k *kernels, out, in [][]float32) { k.expSum(out[0], in[0], 1.5) }},
	{"adamW", 3, 1, 1e-6, 1e-6, func(k *kernels, out, in [][]float32) {
		for i, v := range out[2] {
			out[2][i] = v * v // the second moment
		}
		k.adamW(out[0], in[0], out[1], out[2], 0.5, 0.9, 0.1, 0.99, 0.01, 20, 1e-8, 1e-2, 1e-3)
	}},
}

func TestElementwiseAgainstScalar(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, op := range operations {
			for _, n := range sizes {
				var in [][]float32
				for i := range op.ins {
					in = append(in, random(n, uint64(10+i)))
				}
				var want, got [][]float32
				var guards []guarded
				for i := range op.outs {
					x := random(n, uint64(20+i))
					g := newGuarded(x)
					want, got, guards = append(want, x), append(got, g.inside), append(guards, g)
				}
				op.run(&portable, want, in)
				op.run(active.Load(), got, in)
				what := fmt.Sprintf("%s of %d", op.name, n)
				for i := range want {
					near(t, what, got[i], want[i], op.abs, op.rel)
					guards[i].check(t, what)
				}
			}
		}
	})
}

func TestPlaceInVectorDoesNotMatter(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, op := range operations {
			const n = 77
			slices := func(from, to int) (out, in [][]float32) {
				for i := range op.outs {
					out = append(out, random(n, uint64(20+i))[from:to])
				}
				for i := range op.ins {
					in = append(in, random(n, uint64(10+i))[from:to])
				}
				return out, in
			}
			whole, in := slices(0, n)
			op.run(active.Load(), whole, in)
			for from := range n {
				part, in := slices(from, n)
				op.run(active.Load(), part, in)
				for i := range part {
					near(t, fmt.Sprintf("%s from %d", op.name, from), part[i], whole[i][from:], 0, 0)
				}
			}
		}
	})
}

func TestGer(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, rows := range []int{0, 1, 2, 9} {
			for _, cols := range sizes {
				e, k, start := random(rows, 1), random(cols, 2), random(rows*cols, 3)
				want := append([]float32(nil), start...)
				gerScalar(want, -0.6, e, k)
				got := newGuarded(start)
				Ger(got.inside, -0.6, e, k)
				what := fmt.Sprintf("Ger %d×%d", rows, cols)
				near(t, what, got.inside, want, 1e-6, 1e-6)
				got.check(t, what)
			}
		}
	})
}

func TestVectorsDoNotAllocate(t *testing.T) {
	x, y := random(300, 1), random(300, 2)
	eachLevel(t, func(t *testing.T) {
		noAllocations(t, "vectors", func() {
			Axpy(Dot(x, y), x, y)
			SiluMul(y, x, y)
			SoftmaxCrossEntropy(y, x, 3, 1)
			RMSNorm(y, x, x, 1e-5)
			ExpFrom(y, x, 0, 1, 2)
			Substitute(y, x[:9], 3, 100, true)
			AdamW(x, y, x, y, 1e-3, 0.9, 0.99, 1e-8, 0, 1, 1, 1)
		})
	})
}

func TestExpFrom(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	eachLevel(t, func(t *testing.T) {
		for _, n := range sizes {
			x, sum := random(n, 1), 0.0
			dst := make([]float32, n)
			got := ExpFrom(dst, x, 0.25, 3, 1.5)
			for i, v := range x {
				if (dst[i] > 0) != (v >= 0.25) {
					t.Errorf("%d of %d: exp of %v is %v", i, n, v, dst[i])
				}
				sum += float64(dst[i])
			}
			if math.Abs(got-sum) > 1e-13*sum {
				t.Errorf("sum of %d: %v, want %v", n, got, sum)
			}
		}
		for _, c := range []struct{ x, limit, want float32 }{
			{0, 0, 1}, {nan, -inf, 0}, {-inf, -inf, 0}, {-200, -inf, 0}, {0, inf, 0}, {0, nan, 0},
		} {
			dst := []float32{7}
			if sum := ExpFrom(dst, []float32{c.x}, c.limit, 0, 1); dst[0] != c.want || sum != float64(c.want) {
				t.Errorf("exp of %v from %v: %v, sum %v, want %v", c.x, c.limit, dst[0], sum, c.want)
			}
		}
	})
}

func TestLengthsThatDifferPanic(t *testing.T) {
	x, y := make([]float32, 3), make([]float32, 4)
	panics(t, "Dot", func() { Dot(x, y) })
	panics(t, "Axpy", func() { Axpy(1, x, y) })
	panics(t, "MulAdd", func() { MulAdd(x, x, y) })
	panics(t, "ExpFrom", func() { ExpFrom(x, y, 0, 0, 1) })
	panics(t, "Mul", func() { Mul(x, x, y) })
	panics(t, "Ger", func() { Ger(x, 1, x, y) })
	panics(t, "AdamW", func() { AdamW(x, x, x, y, 0, 0, 0, 0, 0, 1, 1, 1) })
	panics(t, "SoftmaxCrossEntropy", func() { SoftmaxCrossEntropy(x, x, 3, 1) })
}

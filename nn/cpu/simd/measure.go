package simd

import (
	"sync/atomic"
	"time"

	"bitgpu/nn/cpu/parallel"
)

// MeasurePeakFMA is the machine's rate of float32 operations, in FLOP/s with two for
// a multiply-add, at the level in use on all workers: the best of a few runs of some
// milliseconds over registers alone.
func MeasurePeakFMA() float64 {
	const rounds, pieces = 200_000, 16
	loop := active.Load().fmaLoop
	best := fastest(5, parallel.Func(func(start, end int) {
		for range end - start {
			loop(rounds)
		}
	}), pieces)
	return 2 * float64(loop(1)) * rounds * pieces / best.Seconds()
}

// MeasureReadBandwidth is the rate, in bytes a second, at which all workers read a
// slice of 256 MB, larger than the caches: the best of a few runs.
func MeasureReadBandwidth() float64 {
	const length, pieces = 1 << 26, 64
	x := make([]float32, length)
	for i := range x {
		x[i] = 1 // touched, that every page is a page of its own
	}
	kern := active.Load()
	var sum atomic.Int64
	best := fastest(4, parallel.Func(func(start, end int) {
		for i := start; i < end; i++ {
			sum.Add(int64(kern.sumSquares(x[i*(length/pieces) : (i+1)*(length/pieces)])))
		}
	}), pieces)
	return 4 * length / best.Seconds()
}

// fastest is the shortest of the times that n runs of a loop over pieces took.
func fastest(n int, t parallel.Task, pieces int) time.Duration {
	best := time.Duration(1<<63 - 1)
	for range n {
		start := time.Now()
		parallel.For(pieces, 1, t)
		best = min(best, time.Since(start))
	}
	return best
}

// fmaResult keeps the compiler from dropping the portable loop.
var fmaResult atomic.Int64

func fmaLoopScalar(n int) int {
	var a, b, c, d, e, f, g, h float32
	const factor, term = 0.5, 1
	for range n {
		a = a*factor + term
		b = b*factor + term
		c = c*factor + term
		d = d*factor + term
		e = e*factor + term
		f = f*factor + term
		g = g*factor + term
		h = h*factor + term
	}
	fmaResult.Store(int64(a + b + c + d + e + f + g + h))
	return 8
}

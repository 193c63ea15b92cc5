package simd

import (
	"sync/atomic"
	"time"

	"bitgpu/nn/cpu/hugepages"
	"bitgpu/nn/cpu/parallel"
)

// MeasurePeakFMA returns the machine's rate of float32 operations, in FLOP/s with two per
// multiply-add, at the level in use on all workers: the best of many short runs over
// registers alone, so that other processes disturb it little.
func MeasurePeakFMA() float64 { return measureFMA(100) }

// MeasureFMA returns that rate at this moment, measured in about a millisecond.
func MeasureFMA() float64 { return measureFMA(10) }

func measureFMA(runs int) float64 {
	const rounds, pieces = 5_000, 16
	loop := active.Load().fmaLoop
	task := parallel.Func(func(start, end int) {
		for range end - start {
			loop(rounds)
		}
	})
	best := fastest(runs, func(int) { parallel.For(pieces, 1, task) })
	return 2 * float64(loop(1)) * rounds * pieces / best.Seconds()
}

// MeasureReadBandwidth returns the rate, in bytes per second, at which all workers read
// from memory: the best of several runs, each over another part of a slice of 256 MB,
// which has left the caches when it is read again.
func MeasureReadBandwidth() float64 {
	const parts, rounds = 8, 3
	const length, pieces = 1 << 23, 64 // of a part
	x := hugepages.Make[float32](parts * length)
	for i := range x {
		x[i] = 1 // touched, that every page is a page of its own
	}
	kern := active.Load()
	var sum atomic.Int64
	var part []float32
	task := parallel.Func(func(start, end int) {
		for i := start; i < end; i++ {
			sum.Add(int64(kern.sumSquares(part[i*(length/pieces) : (i+1)*(length/pieces)])))
		}
	})
	best := fastest(rounds*parts, func(run int) {
		part = x[run%parts*length:][:length]
		parallel.For(pieces, 1, task)
	})
	return 4 * length / best.Seconds()
}

// fastest returns the shortest of the times that runs 0 to n−1 took.
func fastest(n int, run func(i int)) time.Duration {
	best := time.Duration(1<<63 - 1)
	for i := range n {
		start := time.Now()
		run(i)
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

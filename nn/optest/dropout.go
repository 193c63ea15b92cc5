package optest

import (
	"fmt"
	"math"

	"bitgpu/nn/op"
)

// dropoutCase drops from a copy of x, and from the gradient what it dropped from x.
func dropoutCase[T any](name string, rows, cols int, std float64, site uint32, rate float32, check func(x, y []float32) error) Case[T] {
	return Case[T]{
		Op: "dropout", Name: fmt.Sprintf("%s/%dx%d/%v", name, rows, cols, rate), Tolerance: rounded,
		Make: func(b *Bench[T]) Trial[T] {
			x, y := b.Normal("x", std, rows, cols), b.Stale("y", rows, cols)
			dy, dx := b.Normal("dy", 1, rows, cols), b.Stale("dx", rows, cols)
			seed := b.IDs("seed", []uint32{77}, 1)
			return Trial[T]{
				Forward: b.program(
					&op.Copy[T]{Dst: y, Src: x, N: rows * cols},
					&op.Dropout[T]{X: y, Seed: seed, Site: site, Rate: rate},
				),
				Outputs:  []string{"y"},
				Upstream: []string{"y"},
				Backward: b.program(
					&op.Copy[T]{Dst: dx, Src: dy, N: rows * cols},
					&op.Dropout[T]{X: dx, Seed: seed, Site: site, Rate: rate},
				),
				Writes: []string{"x"},
				Check:  func(v Values) error { return check(b.Start("x"), v("y")) },
			}
		},
	}
}

// aShare checks that about a share `rate` of the numbers is dropped and the others are scaled up.
func aShare(rate float64) func(x, y []float32) error {
	return func(x, y []float32) error {
		gone := 0
		for i := range y {
			if y[i] == 0 {
				gone++
			} else if want := float64(x[i]) / (1 - rate); math.Abs(float64(y[i])-want) > 1e-5*math.Abs(want) {
				return fmt.Errorf("y: element %d: got %v, want %v", i, y[i], want)
			}
		}
		n := float64(len(y))
		if spread := 5 * math.Sqrt(n*rate*(1-rate)); math.Abs(float64(gone)-n*rate) > spread {
			return fmt.Errorf("y: %d of %d numbers are gone, want %v ± %v", gone, len(y), n*rate, spread)
		}
		return nil
	}
}

func dropoutCases[T any]() []Case[T] {
	// The numbers that are dropped, by definition.
	known := func(x, y []float32) error {
		for i := range y {
			if dropped := op.Uniform(9<<32|77, uint32(i)) < 0.5; dropped != (y[i] == 0) {
				return fmt.Errorf("y: element %d: got dropped = %v, want %v", i, y[i], dropped)
			}
		}
		return nil
	}
	return []Case[T]{
		dropoutCase[T]("known", 3, 9, 1, 9, 0.5, known),
		dropoutCase[T]("random", 20, 300, 1, 0, 0.1, aShare(float64(float32(0.1)))),
		dropoutCase[T]("random", 1, 1000, 1, 1<<31, 0.7, aShare(float64(float32(0.7)))),
		dropoutCase[T]("extreme/large", 2, 300, 1e4, 3, 0.25, aShare(0.25)),
		dropoutCase[T]("extreme/none", 2, 36, 1, 3, 0, aShare(0)),
		{
			Op: "dropout", Name: "refuses/seed", Refuses: true,
			Make: func(b *Bench[T]) Trial[T] {
				x, seed := b.Normal("x", 1, 2, 3), b.IDs("seed", []uint32{1, 2}, 2)
				return Trial[T]{Forward: b.program(&op.Dropout[T]{X: x, Seed: seed, Rate: 0.5})}
			},
		},
		large(dropoutCase[T]("random", 512, 1024, 1, 1, 0.1, aShare(float64(float32(0.1)))), 512*1024*8),
	}
}

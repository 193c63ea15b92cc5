package cpu_test

import (
	"fmt"
	"testing"

	"bitgpu/nn/cpu"
	"bitgpu/nn/cpu/parallel"
	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/optest"
)

// TestLacks: the CPU lacks nothing, because other backends are compared with it.
func TestLacks(t *testing.T) {
	if got := append(optest.Lacks(cpu.NewScalar[float64]()), optest.Lacks(cpu.New())...); got != nil {
		t.Errorf("got none of %v", got)
	}
}

func TestOps(t *testing.T) {
	t.Run("float64", func(t *testing.T) { optest.Run(t, cpu.NewScalar[float64]()) })
	t.Run("scalar", func(t *testing.T) { optest.Run(t, cpu.NewScalar[float32]()) })
	eachLevel(t, func(t *testing.T) { optest.Run(t, cpu.New()) })
}

// eachLevel runs the test of the engine with each set of instructions; those that the machine lacks are listed as skipped.
func eachLevel(t *testing.T, test func(t *testing.T)) {
	best := simd.Active()
	defer simd.Use(best)
	for _, l := range simd.Known() {
		t.Run("engine/"+l.String(), func(t *testing.T) {
			if err := simd.Use(l); err != nil {
				t.Skip(err)
			}
			test(t)
		})
	}
}

// ahead samples several tokens before it looks at them, as a GPU does.
type ahead struct{ *cpu.Scalar[float64] }

func (ahead) Lookahead() int { return 4 }

func TestProperties(t *testing.T) {
	t.Run("scalar", func(t *testing.T) { optest.Properties(t, cpu.NewScalar[float32](), 1e-5) })
	t.Run("engine", func(t *testing.T) { optest.Properties(t, cpu.New(), 1e-5) })
	t.Run("ahead", func(t *testing.T) { optest.Properties(t, ahead{cpu.NewScalar[float64]()}, 1e-6) })
}

func TestDecoders(t *testing.T) {
	t.Run("scalar", func(t *testing.T) { optest.Decoders(t, cpu.NewScalar[float32](), 1e-4) })
	t.Run("engine", func(t *testing.T) { optest.Decoders(t, cpu.New(), 1e-4) })
}

func TestBatches(t *testing.T) {
	some, many := 10, 40
	if testing.Short() {
		some, many = 2, 6
	}
	t.Run("scalar", func(t *testing.T) { optest.Batches(t, cpu.NewScalar[float32](), some) })
	t.Run("engine", func(t *testing.T) { optest.Batches(t, cpu.New(), many) })
	t.Run("ahead", func(t *testing.T) { optest.Batches(t, ahead{cpu.NewScalar[float64]()}, some) })
}

func TestRaising(t *testing.T) {
	t.Run("engine", func(t *testing.T) { optest.Raising(t, cpu.New()) })
	t.Run("ahead", func(t *testing.T) { optest.Raising(t, ahead{cpu.NewScalar[float64]()}) })
}

func TestQuantizing(t *testing.T) {
	t.Run("masters/scalar", func(t *testing.T) { optest.QuantizingMasters(t, cpu.NewScalar[float32]()) })
	t.Run("groups/scalar", func(t *testing.T) { optest.QuantizingGroups(t, cpu.NewScalar[float32]()) })
	t.Run("groups", func(t *testing.T) { optest.QuantizingGroups(t, cpu.New()) })
	t.Run("masters", func(t *testing.T) { optest.QuantizingMasters(t, cpu.New()) })
	t.Run("scalar", func(t *testing.T) { optest.Quantizing(t, cpu.NewScalar[float32]()) })
	defer parallel.SetWorkers(0)
	for threads := 1; threads <= 4; threads++ {
		t.Run(fmt.Sprintf("threads %d", threads), func(t *testing.T) {
			parallel.SetWorkers(threads)
			eachLevel(t, func(t *testing.T) { optest.Quantizing(t, cpu.New()) })
		})
	}
}

func BenchmarkOps(b *testing.B) { optest.Benchmark(b, cpu.New()) }

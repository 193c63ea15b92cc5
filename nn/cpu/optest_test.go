package cpu_test

import (
	"testing"

	"bitgpu/nn/cpu"
	"bitgpu/nn/optest"
)

func TestOps(t *testing.T) {
	t.Run("float64", func(t *testing.T) { optest.Run(t, cpu.NewScalar[float64]()) })
	t.Run("scalar", func(t *testing.T) { optest.Run(t, cpu.NewScalar[float32]()) })
	t.Run("engine", func(t *testing.T) { optest.Run(t, cpu.New()) })
}

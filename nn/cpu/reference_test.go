package cpu_test

import (
	"testing"

	"bitgpu/nn/cpu"
	"bitgpu/nn/optest"
)

func TestInference(t *testing.T) {
	t.Run("scalar", func(t *testing.T) { optest.Inference(t, cpu.NewScalar[float32](), 1e-5) })
	t.Run("engine", func(t *testing.T) { optest.Inference(t, cpu.New(), 1e-5) })
	t.Run("float64", func(t *testing.T) { optest.Inference(t, cpu.NewScalar[float64](), 1e-5) })
}

func TestTraining(t *testing.T) {
	t.Run("scalar", func(t *testing.T) { optest.Training(t, cpu.NewScalar[float32](), 1e-4) })
	t.Run("engine", func(t *testing.T) { optest.Training(t, cpu.New(), 1e-4) })
	t.Run("float64", func(t *testing.T) { optest.Training(t, cpu.NewScalar[float64](), 1e-4) })
}

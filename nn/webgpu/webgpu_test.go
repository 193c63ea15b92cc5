package webgpu_test

import (
	"testing"

	"bitgpu/gpu/gputest"
	"bitgpu/nn/optest"
	"bitgpu/nn/webgpu"
)

// TestLacks: a GPU has everything.
func TestLacks(t *testing.T) {
	if got := optest.Lacks(webgpu.New(gputest.Device(t))); got != nil {
		t.Errorf("got %v, want nothing", got)
	}
}

func TestOperations(t *testing.T) { optest.Run(t, webgpu.New(gputest.Device(t))) }

func TestProperties(t *testing.T) { optest.Properties(t, webgpu.New(gputest.Device(t)), 1e-4) }

func TestDecoders(t *testing.T) { optest.Decoders(t, webgpu.New(gputest.Device(t)), 1e-4) }

func TestInference(t *testing.T) { optest.Inference(t, webgpu.New(gputest.Device(t)), 1e-4) }

func TestTraining(t *testing.T) { optest.Training(t, webgpu.New(gputest.Device(t)), 1e-3) }

func TestQuantizing(t *testing.T) { optest.Quantizing(t, webgpu.New(gputest.Device(t))) }

func TestQuantizingGroups(t *testing.T) { optest.QuantizingGroups(t, webgpu.New(gputest.Device(t))) }

func TestQuantizingMasters(t *testing.T) { optest.QuantizingMasters(t, webgpu.New(gputest.Device(t))) }

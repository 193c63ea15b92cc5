package webgpu_test

import (
	"slices"
	"testing"

	"bitgpu/gpu/gputest"
	"bitgpu/nn/optest"
	"bitgpu/nn/webgpu"
)

// TestLacks lists what cannot be computed as yet: public models are not trained on a GPU but for what is frozen.
func TestLacks(t *testing.T) {
	if got, want := optest.Lacks(webgpu.New(gputest.Device(t))), []string{"GatedDeltaBackward", "RoPEBackward", "AttentionBackward"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestOperations(t *testing.T) { optest.Run(t, webgpu.New(gputest.Device(t))) }

func TestProperties(t *testing.T) { optest.Properties(t, webgpu.New(gputest.Device(t)), 1e-4) }

func TestDecoders(t *testing.T) { optest.Decoders(t, webgpu.New(gputest.Device(t)), 1e-4) }

func TestInference(t *testing.T) { optest.Inference(t, webgpu.New(gputest.Device(t)), 1e-4) }

func TestTraining(t *testing.T) { optest.Training(t, webgpu.New(gputest.Device(t)), 1e-3) }

func TestQuantizing(t *testing.T) { optest.Quantizing(t, webgpu.New(gputest.Device(t))) }

func TestQuantizingMasters(t *testing.T) { optest.QuantizingMasters(t, webgpu.New(gputest.Device(t))) }

package webgpu_test

import (
	"testing"

	"bitgpu/gpu/gputest"
	"bitgpu/nn/optest"
	"bitgpu/nn/webgpu"
)

func TestInference(t *testing.T) { optest.Inference(t, webgpu.New(gputest.Device(t)), 1e-4) }

package cpu

import (
	"fmt"

	"bitgpu/nn/cpu/parallel"
	"bitgpu/nn/cpu/simd"
)

// DeviceName names the CPU engine for a user, with its threads and the level of its kernels.
func DeviceName() string {
	return fmt.Sprintf("CPU (%d threads, %s)", parallel.Workers(), simd.Instructions())
}

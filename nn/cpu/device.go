package cpu

import (
	"fmt"

	"bitgpu/nn/cpu/parallel"
	"bitgpu/nn/cpu/simd"
)

// DeviceName names the CPU engine for a user, with the number of threads and the SIMD level of its kernels.
func DeviceName() string {
	return fmt.Sprintf("CPU (%d threads, %s)", parallel.Workers(), simd.Instructions())
}

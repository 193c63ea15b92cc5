package webgpu

import "bitgpu/gpu"

// Buffer is the device memory of an F32 or U32 tensor, row-major, for kernels that are no operations of the model. A
// tensor that is too large for one binding is the device's error.
func (o *Ops) Buffer(t *Tensor) *gpu.Buffer { return o.whole(t) }

package webgpu

import "bitgpu/gpu"

// Buffer returns the device memory of an F32 or U32 tensor, row-major, for kernels that are not operations of a model. For a
// tensor that is too large for one binding the device keeps an error.
func (o *Ops) Buffer(t *Tensor) *gpu.Buffer { return o.whole(t) }

package cpu

import (
	"bitgpu/nn/op"
)

// Scalar is the reference: every operation as plain loops over slices.
type Scalar[F Float] struct {
	arena[F]
	scratch []float32
}

var (
	_ op.Executor[*Tensor[float32]] = (*Scalar[float32])(nil)
	_ op.Executor[*Tensor[float64]] = (*Scalar[float64])(nil)
)

// NewScalar makes the reference.
func NewScalar[F Float]() *Scalar[F] { return &Scalar[F]{} }

func (s *Scalar[F]) StartDownload(t *Tensor[F], slot int) {
	t.pending[slot] = append(t.pending[slot][:0], t.Tokens...)
}

func (s *Scalar[F]) FinishDownload(t *Tensor[F], slot int, dst []uint32) error {
	copy(dst, t.pending[slot])
	return nil
}

// dot returns Σ a·b.
func dot[F Float](a, b []F) F {
	var sum F
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// axpy adds alpha·x to y.
func axpy[F Float](y []F, alpha F, x []F) {
	for i := range x {
		y[i] += alpha * x[i]
	}
}

// rowsOf returns a tensor's number of rows, its first axis, and the number of elements in a row.
func rowsOf[F Float](t *Tensor[F]) (rows, each int) { return t.Shape[0], op.Count(t.Shape[1:]) }

package cpu

import (
	"fmt"

	"bitgpu/nn/op"
)

// program is a prepared list of operations.
type program []func()

// Run runs the operations, in order.
func (p program) Run() {
	for _, do := range p {
		do()
	}
}

// Release does nothing: a program on the CPU holds no memory.
func (p program) Release() {}

// prepare looks up every operation. kernel returns what runs an operation, nil if the backend lacks it.
func prepare[F Float](name string, p op.Program[*Tensor[F]], shape func(*Tensor[F]) []int, kernel func(op.Op[*Tensor[F]]) func()) (op.Prepared, error) {
	op.CheckShapes(p, shape)
	prepared := make(program, len(p))
	for i, o := range p {
		if prepared[i] = kernel(o); prepared[i] == nil {
			return nil, fmt.Errorf("%s has no operation %s", name, o.Name())
		}
	}
	return prepared, nil
}

// Name implements op.Executor.
func (s *Scalar[F]) Name() string { return "the CPU reference" }

// Prepare implements op.Executor.
func (s *Scalar[F]) Prepare(p op.Program[*Tensor[F]], _ ...*Tensor[F]) (op.Prepared, error) {
	return prepare(s.Name(), p, s.Shape, s.kernel)
}

// Alike implements op.Executor. The reference computes each row by itself.
func (s *Scalar[F]) Alike() int { return 64 }

// PrepareAlike implements op.Executor.
func (s *Scalar[F]) PrepareAlike(p op.Program[*Tensor[F]], scratch ...*Tensor[F]) (op.Prepared, error) {
	return s.Prepare(p, scratch...)
}

// Has implements op.Executor.
func (s *Scalar[F]) Has(o op.Op[*Tensor[F]]) bool { return s.kernel(o) != nil }

// kernel returns what runs an operation, nil if there is none.
func (s *Scalar[F]) kernel(o op.Op[*Tensor[F]]) func() {
	switch a := o.(type) {
	case *op.Copy[*Tensor[F]]:
		return func() { s.Copy(a.Dst, a.DstOffset, a.Src, a.SrcOffset, a.N) }
	case *op.Zero[*Tensor[F]]:
		return func() { s.Zero(a.X) }
	case *op.Gather[*Tensor[F]]:
		return func() { s.gather(a) }
	case *op.Scatter[*Tensor[F]]:
		return func() { s.scatter(a) }
	case *op.CopyColumns[*Tensor[F]]:
		return func() { s.copyColumns(a) }
	case *op.Embed[*Tensor[F]]:
		return func() { s.embed(a) }
	case *op.EmbedBackward[*Tensor[F]]:
		return func() { s.embedBackward(a) }
	case *op.RMSNorm[*Tensor[F]]:
		return func() { s.rmsNorm(a) }
	case *op.RMSNormBackward[*Tensor[F]]:
		return func() { s.rmsNormBackward(a) }
	case *op.Linear[*Tensor[F]]:
		return func() { s.linear(a) }
	case *op.LinearBackward[*Tensor[F]]:
		return func() { s.linearBackward(a) }
	case *op.Quantize[*Tensor[F]]:
		return func() { s.quantize(a) }
	case *op.SwiGLU[*Tensor[F]]:
		return func() { s.swiGLU(a) }
	case *op.SwiGLUBackward[*Tensor[F]]:
		return func() { s.swiGLUBackward(a) }
	case *op.TiedScan[*Tensor[F]]:
		return func() { s.tiedScan(a) }
	case *op.TiedScanBackward[*Tensor[F]]:
		return func() { s.tiedScanBackward(a) }
	case *op.StepSize[*Tensor[F]]:
		return func() { s.stepSize(a) }
	case *op.StepSizeBackward[*Tensor[F]]:
		return func() { s.stepSizeBackward(a) }
	case *op.DeltaScan[*Tensor[F]]:
		return func() { s.deltaScan(a) }
	case *op.DeltaScanBackward[*Tensor[F]]:
		return func() { s.deltaScanBackward(a) }
	case *op.Head[*Tensor[F]]:
		return func() { s.head(a) }
	case *op.HeadBackward[*Tensor[F]]:
		return func() { s.headBackward(a) }
	case *op.CrossEntropy[*Tensor[F]]:
		return func() { s.crossEntropy(a) }
	case *op.Dropout[*Tensor[F]]:
		return func() { s.dropout(a) }
	case *op.SumSquares[*Tensor[F]]:
		return func() { s.sumSquares(a) }
	case *op.AdamW[*Tensor[F]]:
		return func() { s.adamW(a) }
	case *op.RoPE[*Tensor[F]]:
		return func() { s.rope(a) }
	case *op.Advance[*Tensor[F]]:
		return func() { s.advance(a) }
	case *op.Attention[*Tensor[F]]:
		return func() { s.attention(a) }
	case *op.GatedDelta[*Tensor[F]]:
		return func() { s.gatedDelta(a) }
	case *op.Hadamard[*Tensor[F]]:
		return func() { s.hadamard(a) }
	case *op.SquaredReLU[*Tensor[F]]:
		return func() { s.squaredReLU(a) }
	case *op.LowRank[*Tensor[F]]:
		return func() { s.lowRank(a) }
	case *op.LowRankMerge[*Tensor[F]]:
		return func() { s.lowRankMerge(a) }
	case *op.LowRankBackward[*Tensor[F]]:
		return func() { s.lowRankBackward(a) }
	case *op.AttentionBackward[*Tensor[F]]:
		return func() { s.attentionBackward(a) }
	case *op.RoPEBackward[*Tensor[F]]:
		return func() { s.ropeBackward(a) }
	case *op.GatedDeltaBackward[*Tensor[F]]:
		return func() { s.gatedDeltaBackward(a) }
	case *op.SquaredReLUBackward[*Tensor[F]]:
		return func() { s.squaredReLUBackward(a) }
	case *op.Sample[*Tensor[F]]:
		return func() { s.sample(a) }
	}
	return nil
}

// Name implements op.Executor.
func (o *Ops) Name() string { return "the CPU engine" }

// Prepare implements op.Executor.
func (o *Ops) Prepare(p op.Program[*Tensor[float32]], _ ...*Tensor[float32]) (op.Prepared, error) {
	return prepare(o.Name(), p, o.Shape, o.kernel)
}

// Alike implements op.Executor: a product with more rows sums in another order.
func (o *Ops) Alike() int { return 32 }

// PrepareAlike implements op.Executor.
func (o *Ops) PrepareAlike(p op.Program[*Tensor[float32]], scratch ...*Tensor[float32]) (op.Prepared, error) {
	return o.Prepare(p, scratch...)
}

// Has implements op.Executor.
func (o *Ops) Has(x op.Op[*Tensor[float32]]) bool { return o.kernel(x) != nil }

// kernel returns what runs an operation: the fast twin, or the reference if there is none.
func (o *Ops) kernel(x op.Op[*Tensor[float32]]) func() {
	switch a := x.(type) {
	case *op.RMSNorm[*Tensor[float32]]:
		return func() { o.rmsNorm(a) }
	case *op.RMSNormBackward[*Tensor[float32]]:
		return func() { o.rmsNormBackward(a) }
	case *op.Linear[*Tensor[float32]]:
		return func() { o.linear(a) }
	case *op.LinearBackward[*Tensor[float32]]:
		return func() { o.linearBackward(a) }
	case *op.Quantize[*Tensor[float32]]:
		return func() { o.quantize(a) }
	case *op.SwiGLU[*Tensor[float32]]:
		return func() { o.swiGLU(a) }
	case *op.SwiGLUBackward[*Tensor[float32]]:
		return func() { o.swiGLUBackward(a) }
	case *op.TiedScan[*Tensor[float32]]:
		return func() { o.tiedScan(a) }
	case *op.TiedScanBackward[*Tensor[float32]]:
		return func() { o.tiedScanBackward(a) }
	case *op.StepSize[*Tensor[float32]]:
		return func() { o.stepSize(a) }
	case *op.StepSizeBackward[*Tensor[float32]]:
		return func() { o.stepSizeBackward(a) }
	case *op.DeltaScan[*Tensor[float32]]:
		return func() { o.deltaScan(a) }
	case *op.DeltaScanBackward[*Tensor[float32]]:
		return func() { o.deltaScanBackward(a) }
	case *op.Head[*Tensor[float32]]:
		return func() { o.head(a) }
	case *op.HeadBackward[*Tensor[float32]]:
		return func() { o.headBackward(a) }
	case *op.CrossEntropy[*Tensor[float32]]:
		return func() { o.crossEntropy(a) }
	case *op.Dropout[*Tensor[float32]]:
		return func() { o.dropout(a) }
	case *op.SumSquares[*Tensor[float32]]:
		return func() { o.sumSquares(a) }
	case *op.AdamW[*Tensor[float32]]:
		return func() { o.adamW(a) }
	case *op.RoPE[*Tensor[float32]]:
		return func() { o.rope(a) }
	case *op.Attention[*Tensor[float32]]:
		return func() { o.attention(a) }
	case *op.GatedDelta[*Tensor[float32]]:
		return func() { o.gatedDelta(a) }
	case *op.Hadamard[*Tensor[float32]]:
		return func() { o.hadamard(a) }
	case *op.SquaredReLU[*Tensor[float32]]:
		return func() { o.squaredReLU(a) }
	case *op.LowRank[*Tensor[float32]]:
		return func() { o.lowRank(a) }
	case *op.LowRankMerge[*Tensor[float32]]:
		return func() { o.lowRankMerge(a) }
	case *op.LowRankBackward[*Tensor[float32]]:
		return func() { o.lowRankBackward(a) }
	case *op.AttentionBackward[*Tensor[float32]]:
		return func() { o.attentionBackward(a) }
	case *op.RoPEBackward[*Tensor[float32]]:
		return func() { o.ropeBackward(a) }
	case *op.GatedDeltaBackward[*Tensor[float32]]:
		return func() { o.gatedDeltaBackward(a) }
	case *op.SquaredReLUBackward[*Tensor[float32]]:
		return func() { o.squaredReLUBackward(a) }
	case *op.Sample[*Tensor[float32]]:
		return func() { o.sample(a) }
	}
	return o.Scalar.kernel(x)
}

package optest

import "bitgpu/nn/op"

// Operations returns one operation of each kind.
func Operations[T any]() []op.Op[T] {
	return []op.Op[T]{
		&op.Copy[T]{}, &op.Zero[T]{}, &op.Gather[T]{}, &op.Scatter[T]{}, &op.CopyColumns[T]{}, &op.Embed[T]{}, &op.EmbedBackward[T]{},
		&op.RMSNorm[T]{}, &op.RMSNormBackward[T]{}, &op.Linear[T]{}, &op.LinearBackward[T]{}, &op.Quantize[T]{},
		&op.LowRank[T]{}, &op.LowRankBackward[T]{}, &op.LowRankMerge[T]{}, &op.SwiGLU[T]{}, &op.SwiGLUBackward[T]{}, &op.SquaredReLU[T]{}, &op.SquaredReLUBackward[T]{},
		&op.Hadamard[T]{}, &op.Dropout[T]{}, &op.TiedScan[T]{}, &op.TiedScanBackward[T]{}, &op.StepSize[T]{}, &op.StepSizeBackward[T]{},
		&op.DeltaScan[T]{}, &op.DeltaScanBackward[T]{}, &op.GatedDelta[T]{}, &op.GatedDeltaBackward[T]{}, &op.RoPE[T]{}, &op.RoPEBackward[T]{},
		&op.Advance[T]{}, &op.Attention[T]{}, &op.AttentionBackward[T]{}, &op.Head[T]{}, &op.HeadBackward[T]{}, &op.CrossEntropy[T]{},
		&op.SumSquares[T]{}, &op.AdamW[T]{}, &op.Sample[T]{},
	}
}

// Lacks returns the names of the operations that a backend lacks.
func Lacks[T any](b op.Executor[T]) (names []string) {
	for _, o := range Operations[T]() {
		if !b.Has(o) {
			names = append(names, o.Name())
		}
	}
	return names
}

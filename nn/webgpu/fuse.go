package webgpu

import (
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

// kernel returns what records a single operation, nil for one that the backend lacks.
func (o *Ops) kernel(x op.Op[*Tensor]) func() {
	switch a := x.(type) {
	case *op.Copy[*Tensor]:
		return func() { o.copyTensors(a) }
	case *op.Zero[*Tensor]:
		return func() { o.zero(a) }
	case *op.Gather[*Tensor]:
		return func() { o.gather(a) }
	case *op.Scatter[*Tensor]:
		return func() { o.scatter(a) }
	case *op.CopyColumns[*Tensor]:
		return func() { o.copyColumns(a) }
	case *op.Embed[*Tensor]:
		return func() { o.embed(a) }
	case *op.EmbedBackward[*Tensor]:
		return func() { o.embedBackward(a) }
	case *op.RMSNorm[*Tensor]:
		return func() { o.rmsNorm(a) }
	case *op.RMSNormBackward[*Tensor]:
		return func() { o.rmsNormBackward(a) }
	case *op.Linear[*Tensor]:
		return func() { o.linear(a) }
	case *op.LinearBackward[*Tensor]:
		return func() { o.linearBackward(a) }
	case *op.Quantize[*Tensor]:
		return func() { o.quantize(a) }
	case *op.SwiGLU[*Tensor]:
		return func() { o.swiGLU(a) }
	case *op.SwiGLUBackward[*Tensor]:
		return func() { o.swiGLUBackward(a) }
	case *op.TiedScan[*Tensor]:
		return func() { o.tiedScan(a) }
	case *op.TiedScanBackward[*Tensor]:
		return func() { o.tiedScanBackward(a) }
	case *op.StepSize[*Tensor]:
		return func() { o.stepSize(a) }
	case *op.StepSizeBackward[*Tensor]:
		return func() { o.stepSizeBackward(a) }
	case *op.DeltaScan[*Tensor]:
		return func() { o.deltaScan(a) }
	case *op.DeltaScanBackward[*Tensor]:
		return func() { o.deltaScanBackward(a) }
	case *op.Head[*Tensor]:
		return func() { o.head(a) }
	case *op.HeadBackward[*Tensor]:
		return func() { o.headBackward(a) }
	case *op.CrossEntropy[*Tensor]:
		return func() { o.crossEntropy(a) }
	case *op.Dropout[*Tensor]:
		return func() { o.dropout(a) }
	case *op.SumSquares[*Tensor]:
		return func() { o.sumSquares(a) }
	case *op.AdamW[*Tensor]:
		return func() { o.adamW(a) }
	case *op.RoPE[*Tensor]:
		return func() { o.rope(a) }
	case *op.Advance[*Tensor]:
		return func() { o.advance(a) }
	case *op.Attention[*Tensor]:
		return func() { o.attention(a) }
	case *op.GatedDelta[*Tensor]:
		return func() { o.gatedDelta(a) }
	case *op.Hadamard[*Tensor]:
		return func() { o.hadamard(a) }
	case *op.SquaredReLU[*Tensor]:
		return func() { o.squaredReLU(a) }
	case *op.RoPEBackward[*Tensor]:
		return func() { o.ropeBackward(a) }
	case *op.AttentionBackward[*Tensor]:
		return func() { o.attentionBackward(a) }
	case *op.GatedDeltaBackward[*Tensor]:
		return func() { o.gatedDeltaBackward(a) }
	case *op.SquaredReLUBackward[*Tensor]:
		return func() { o.squaredReLUBackward(a) }
	case *op.LowRank[*Tensor]:
		return func() { o.lowRank(a) }
	case *op.LowRankBackward[*Tensor]:
		return func() { o.lowRankBackward(a) }
	case *op.LowRankMerge[*Tensor]:
		return func() { o.lowRankMerge(a) }
	case *op.Sample[*Tensor]:
		return func() { o.sample(a) }
	}
	return nil
}

// fuse finds operations at the beginning of a program that are computed together. It returns how many, and what records them;
// 0 means that the first is computed by itself.
func (o *Ops) fuse(p op.Program[*Tensor]) (int, func()) {
	switch a := p[0].(type) {
	case *op.RMSNorm[*Tensor]:
		return o.fuseNorm(a, p)
	case *op.Sample[*Tensor]:
		if e, ok := second[*op.Embed[*Tensor]](p); ok && e.Tokens == a.Next && len(e.Table.parts) == 1 {
			return 2, func() { o.draw(a, e) }
		}
	case *op.SwiGLU[*Tensor]:
		if h, ok := o.fuseHadamard(a.A, p); ok {
			return 2, func() { o.transform(h, o.whole(a.GateUp), nil, 0, wgsl.HadamardOfSwiGLU) }
		}
	case *op.SquaredReLU[*Tensor]:
		if h, ok := o.fuseHadamard(a.A, p); ok {
			return 2, func() { o.transform(h, o.whole(a.GateUp), nil, 0, wgsl.HadamardOfSquaredReLU) }
		}
		if norm, ok := second[*op.RMSNorm[*Tensor]](p); ok && len(p) > 2 && norm.H == a.A && norm.X == a.A && norm.From == 0 && norm.Count == 0 && norm.Kept == nil {
			if l, ok := p[2].(*op.Linear[*Tensor]); ok && l.Int8 && l.X == a.A {
				return 3, func() { o.multiplyRounded(l, norm, o.whole(a.GateUp)) }
			}
		}
	case *op.StepSize[*Tensor]:
		if s, ok := second[*op.DeltaScan[*Tensor]](p); ok && o.binds(wgsl.DeltaDecode) && s.Beta == a.Beta && sequencesOf(s.State, s.Slots) == a.X.shape[0] && fusesStep(s) {
			return 2, func() { o.stepAndScan(a, s) }
		}
	}
	return 0, nil
}

// fuseNorm looks for the product after an RMSNorm, and for an activation after that.
func (o *Ops) fuseNorm(norm *op.RMSNorm[*Tensor], p op.Program[*Tensor]) (int, func()) {
	if norm.Kept != nil {
		return 0, nil
	}
	from, n := norm.Span(norm.H.shape[0])
	inPlace := norm.X == norm.H // a product must not read what it writes
	if l, ok := second[*op.Linear[*Tensor]](p); ok && l.X == norm.X && n == norm.H.shape[0] && (l.Int8 || l.Addend == nil && !inPlace) {
		if len(p) > 2 && !l.Int8 && len(l.W.parts) == 1 {
			if act, ok := p[2].(*op.SwiGLU[*Tensor]); ok && act.GateUp == l.Y {
				return 3, func() { o.normSwiGLU(norm, l, act) }
			}
		}
		return 2, func() { o.multiply(l, norm) }
	}
	if h, ok := o.fuseHadamard(norm.X, p); ok && !inPlace && n == norm.H.shape[0] {
		return 2, func() { o.normHadamard(norm, h) }
	}
	if h, ok := second[*op.Head[*Tensor]](p); ok && h.X == norm.X && !inPlace && h.From == from && h.Logits.shape[0] == n {
		return 2, func() { o.logits(h, norm) }
	}
	return 0, nil
}

// second returns a program's second operation, if it is of type O.
func second[O op.Op[*Tensor]](p op.Program[*Tensor]) (x O, ok bool) {
	if len(p) > 1 {
		x, ok = p[1].(O)
	}
	return x, ok
}

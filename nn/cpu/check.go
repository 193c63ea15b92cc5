package cpu

import "bitgpu/nn"

// What each operation asks of its tensors' shapes, for the reference and the engine alike. A shape
// that does not fit is a mistake in our own code and panics.

// is panics unless t has the shape, or is nil.
func (t *Tensor[F]) is(op string, shape ...int) {
	if t != nil {
		nn.Check(op, t.Shape, shape...)
	}
}

// holds panics unless t's first axis and the product of its others are as given, or t is nil.
func (t *Tensor[F]) holds(op string, rows, each int) {
	if t == nil {
		return
	}
	if r, e := rowsOf(t); r != rows || e != each {
		nn.Check(op, []int{r, e}, rows, each)
	}
}

// atLeast panics unless there are as many as wanted.
func atLeast(op string, found, wanted int) {
	if found < wanted {
		nn.Check(op, []int{found}, wanted)
	}
}

func checkEmbed[F Float](h, table, tokens *Tensor[F]) {
	n, D := rowsOf(h)
	table.is("Embed: table", table.Shape[0], D)
	tokens.is("Embed: tokens", n)
}

func checkNorm[F Float](x, h, gain *Tensor[F]) {
	n, D := rowsOf(h)
	gain.is("RMSNorm: gain", D)
	x.is("RMSNorm: output", n, D)
}

func checkRMSNormBackward[F Float](dh, dgain, dx, h, gain *Tensor[F]) {
	n, D := rowsOf(h)
	gain.is("RMSNormBackward: gain", D)
	dgain.is("RMSNormBackward: dgain", D)
	dx.is("RMSNormBackward: dx", n, D)
	dh.is("RMSNormBackward: dh", n, D)
}

func checkLinear[F Float](y, r, x, w *Tensor[F]) {
	n, K := rowsOf(x)
	w.is("Linear: weight", w.Shape[0], K)
	y.is("Linear: output", n, w.Shape[0])
	r.is("Linear: what is added to", n, w.Shape[0])
}

func checkLinearBackward[F Float](dx, dw, dy, x, w *Tensor[F]) {
	n, K := rowsOf(x)
	R := w.Shape[0]
	w.is("LinearBackward: weight", R, K)
	dw.is("LinearBackward: dw", R, K)
	dy.is("LinearBackward: dy", n, R)
	dx.is("LinearBackward: dx", n, K)
}

func checkSwiGLU[F Float](a, gu, w *Tensor[F]) {
	n, H := rowsOf(a)
	w.is("SwiGLU: weight", 2*H, w.Shape[1])
	gu.is("SwiGLU: gate and up", n, 2*H)
}

func checkSwiGLUBackward[F Float](dgu, da, gu *Tensor[F]) {
	n, H := rowsOf(da)
	gu.is("SwiGLUBackward: gate and up", n, 2*H)
	dgu.is("SwiGLUBackward: dgu", n, 2*H)
}

// chunks is the number of chunks of n rows in B sequences.
func chunks(n, B, chunk int) int { return (n/B + chunk - 1) / chunk }

func checkTiedScan[F Float](z, f, state, starts *Tensor[F], scan nn.Scan) {
	n, d := rowsOf(f)
	B := state.Shape[0]
	z.is("TiedScan: predictions", n, d)
	state.holds("TiedScan: state", B, d*d)
	starts.holds("TiedScan: starts", B, chunks(n, B, scan.Chunk)*d*d)
}

func checkTiedScanBackward[F Float](df, dz, f, starts *Tensor[F], scan nn.Scan) {
	n, d := rowsOf(f)
	B := starts.Shape[0]
	dz.is("TiedScanBackward: dz", n, d)
	df.is("TiedScanBackward: df", n, d)
	starts.holds("TiedScanBackward: starts", B, chunks(n, B, scan.Chunk)*d*d)
}

func checkStep[F Float](b, x, w, bias *Tensor[F]) {
	n, D := rowsOf(x)
	h := w.Shape[0]
	w.is("Step: weight", h, D)
	bias.is("Step: bias", h)
	b.is("Step: output", n, h)
}

func checkStepBackward[F Float](dx, dw, dbias, db, b, x, w *Tensor[F]) {
	checkStep(b, x, w, dbias)
	dx.is("StepBackward: dx", x.Shape...)
	dw.is("StepBackward: dw", w.Shape...)
	db.is("StepBackward: db", b.Shape...)
}

// checkDelta checks what both directions of a delta scan have and returns its sizes.
func checkDelta[F Float](o, u, b, conv, gain, mixed, read, starts *Tensor[F], B, chunk int) deltaShape {
	n, d := rowsOf(o)
	c := gain.Shape[0]
	h := d / c
	u.is("delta scan: projections", n, 3*d)
	b.is("delta scan: steps", n, h)
	conv.is("delta scan: convolutions", 3, d, nn.ConvTaps)
	mixed.is("delta scan: mixed", n, 3*d)
	read.is("delta scan: read", n, d)
	starts.holds("delta scan: starts", B, chunks(n, B, chunk)*h*c*c)
	return deltaShape{B, n / B, d, h, c}
}

func checkDeltaScan[F Float](o, u, b, conv, gain, state, tail, mixed, read, starts *Tensor[F], chunk int) deltaShape {
	p := checkDelta(o, u, b, conv, gain, mixed, read, starts, state.Shape[0], chunk)
	state.holds("DeltaScan: state", p.B, p.h*p.c*p.c)
	tail.holds("DeltaScan: tail", p.B, 3*nn.ConvTail*p.d)
	return p
}

func checkDeltaScanBackward[F Float](du, db, dconv, dgain, do, u, b, conv, gain, mixed, read, starts *Tensor[F], chunk int) deltaShape {
	p := checkDelta(do, u, b, conv, gain, mixed, read, starts, starts.Shape[0], chunk)
	du.is("DeltaScanBackward: du", u.Shape...)
	db.is("DeltaScanBackward: db", b.Shape...)
	dconv.is("DeltaScanBackward: dconv", conv.Shape...)
	dgain.is("DeltaScanBackward: dgain", gain.Shape...)
	return p
}

func checkNormHead[F Float](logits, x, h, gain, head *Tensor[F], from int) {
	m, V := rowsOf(logits)
	checkNorm(x, h, gain)
	head.is("NormHead: head", V, gain.Shape[0])
	atLeast("NormHead: rows", h.Shape[0], from+m)
}

func checkHeadBackward[F Float](dx, dhead, dlogits, x, head *Tensor[F], from int) {
	m, V := rowsOf(dlogits)
	n, D := rowsOf(x)
	head.is("HeadBackward: head", V, D)
	dhead.is("HeadBackward: dhead", V, D)
	dx.is("HeadBackward: dx", n, D)
	atLeast("HeadBackward: rows", n, from+m)
}

func checkCrossEntropy[F Float](loss, logits, targets *Tensor[F], from int) {
	loss.is("CrossEntropy: loss", 1)
	atLeast("CrossEntropy: targets", nn.Count(targets.Shape), from+logits.Shape[0])
}

func checkSumSquares[F Float](sum *Tensor[F]) { sum.is("SumSquares: sum", 1) }

func checkAdamW[F Float](w, m, v, g, sumSquares, hyper *Tensor[F]) {
	g.is("AdamW: gradient", w.Shape...)
	m.is("AdamW: first moment", w.Shape...)
	v.is("AdamW: second moment", w.Shape...)
	sumSquares.is("AdamW: sum of squares", 1)
	hyper.is("AdamW: numbers", nn.HyperCount)
}

func checkSample[F Float](next, out, recent, logits *Tensor[F]) {
	B := logits.Shape[0]
	next.is("Sample: next", B)
	out.is("Sample: out", B, out.Shape[1])
	recent.is("Sample: recent", B, nn.RecentSize)
}

func checkQuantize[F Float](q, w *Tensor[F]) { w.is("Quantize", q.Shape...) }

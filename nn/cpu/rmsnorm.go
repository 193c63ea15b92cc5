package cpu

import (
	"math"

	"bitgpu/nn/op"
)

// normEps is the ε inside the norms of our own models, unitEps that beside a key's length.
const (
	normEps = op.NormEps
	unitEps = 1e-6
)

// inverseRMS returns 1 / sqrt(mean(x²) + eps).
func inverseRMS[F Float](x []F, eps float64) F {
	return F(inverseRoot(float64(dot(x, x)/F(len(x))), eps))
}

// inverseRoot returns 1 / sqrt(mean + eps), or NaN if the squares overflowed, because 0 would hide that.
func inverseRoot(mean float64, eps float64) float64 {
	if math.IsInf(mean, 1) {
		return math.NaN()
	}
	return 1 / math.Sqrt(mean+eps)
}

// rmsNorm writes y = x·inverseRMS(x)·gain for one row.
func rmsNorm[F Float](y, x, gain []F, eps float64) {
	r := inverseRMS(x, eps)
	for i := range x {
		y[i] = x[i] * r * gain[i]
	}
}

// rmsNormBackward adds into dx and dgain. With r the inverse root and g = dy·gain:
// dx = r·(g − x·r²·mean(g·x)). dgain may be nil.
func rmsNormBackward[F Float](dx, dgain, dy, x, gain []F, eps float64) {
	r := inverseRMS(x, eps)
	var gx F
	for i := range x {
		gx += dy[i] * gain[i] * x[i]
		if dgain != nil {
			dgain[i] += dy[i] * x[i] * r
		}
	}
	c := r * r * gx / F(len(x))
	for i := range x {
		dx[i] += r * (dy[i]*gain[i] - x[i]*c)
	}
}

func normRows[F Float](x, h, gain *Tensor[F], from, n int, eps float64) {
	D := gain.Shape[0]
	for i := from; i < from+n; i++ {
		rmsNorm(x.Data[i*D:(i+1)*D], h.Data[i*D:(i+1)*D], gain.Data, eps)
	}
}

func (s *Scalar[F]) rmsNorm(args *op.RMSNorm[*Tensor[F]]) {
	from, n := args.Span(args.H.Shape[0])
	if args.Kept != nil {
		copy(args.Kept.Data, args.H.Data)
	}
	normRows(args.X, args.H, args.Gain, from, n, args.Epsilon())
}

func (s *Scalar[F]) rmsNormBackward(args *op.RMSNormBackward[*Tensor[F]]) {
	dh, dgain, dx, h, gain := args.DH, args.DGain, args.DX, args.H, args.Gain
	n, D := rowsOf(h)
	for i := range n {
		row := func(t *Tensor[F]) []F { return t.Data[i*D : (i+1)*D] }
		rmsNormBackward(row(dh), dgain.data(), row(dx), row(h), gain.Data, args.Epsilon())
	}
}

package cpu

import (
	"math"

	"bitgpu/nn/op"
)

func (s *Scalar[F]) sumSquares(args *op.SumSquares[*Tensor[F]]) {
	sum, g := args.Sum, args.G
	total := 0.0
	for _, x := range g.Data {
		total += float64(x) * float64(x)
	}
	sum.Data[0] += F(total)
}

// clipFactor returns the factor that keeps the norm of a gradient within the clip.
func clipFactor[F Float](sumSquares, clip F) F {
	if norm := F(math.Sqrt(float64(sumSquares))); clip > 0 && norm > clip {
		return clip / norm
	}
	return 1
}

func (s *Scalar[F]) adamW(args *op.AdamW[*Tensor[F]]) { adamW(args) }

// adamW follows arXiv 1711.05101, with the bias corrections of Adam (arXiv 1412.6980).
func adamW[F Float](args *op.AdamW[*Tensor[F]]) {
	w, m, v, g, sumSquares, hyper := args.W, args.M, args.V, args.G, args.SumSquares, args.Hyper
	p := hyper.Data
	b1, b2 := p[op.HyperBeta1], p[op.HyperBeta2]
	factor := clipFactor(sumSquares.Data[0], p[op.HyperClip])
	for i := range w.Data {
		gi := g.Data[i] * factor
		m.Data[i] = b1*m.Data[i] + (1-b1)*gi
		v.Data[i] = b2*v.Data[i] + (1-b2)*gi*gi
		step := (m.Data[i] / p[op.HyperCorrect1]) /
			(F(math.Sqrt(float64(v.Data[i]/p[op.HyperCorrect2]))) + p[op.HyperEps])
		if args.Log {
			w.Data[i] *= F(math.Exp(-float64(p[op.HyperLR] * step)))
			continue
		}
		w.Data[i] -= p[op.HyperLR] * (step + p[op.HyperDecay]*w.Data[i])
	}
}

package cpu

import (
	"math"

	"bitgpu/nn"
)

func (s *Scalar[F]) SumSquares(sum, g *Tensor[F]) {
	checkSumSquares(sum)
	total := 0.0
	for _, x := range g.Data {
		total += float64(x) * float64(x)
	}
	sum.Data[0] += F(total)
}

// clipFactor is what a gradient is multiplied by so that its norm stays within the clip.
func clipFactor[F Float](sumSquares, clip F) F {
	if norm := F(math.Sqrt(float64(sumSquares))); clip > 0 && norm > clip {
		return clip / norm
	}
	return 1
}

// AdamW is arXiv 1711.05101 with the bias corrections of Adam (arXiv 1412.6980).
func (s *Scalar[F]) AdamW(w, m, v, g, sumSquares, hyper *Tensor[F]) {
	checkAdamW(w, m, v, g, sumSquares, hyper)
	p := hyper.Data
	b1, b2 := p[nn.HyperBeta1], p[nn.HyperBeta2]
	factor := clipFactor(sumSquares.Data[0], p[nn.HyperClip])
	for i := range w.Data {
		gi := g.Data[i] * factor
		m.Data[i] = b1*m.Data[i] + (1-b1)*gi
		v.Data[i] = b2*v.Data[i] + (1-b2)*gi*gi
		step := (m.Data[i] / p[nn.HyperCorrect1]) /
			(F(math.Sqrt(float64(v.Data[i]/p[nn.HyperCorrect2]))) + p[nn.HyperEps])
		w.Data[i] -= p[nn.HyperLR] * (step + p[nn.HyperDecay]*w.Data[i])
	}
}

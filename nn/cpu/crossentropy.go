package cpu

import (
	"math"

	"bitgpu/nn/op"
)

func (s *Scalar[F]) crossEntropy(args *op.CrossEntropy[*Tensor[F]]) {
	loss, logits, targets, from, scale := args.Loss, args.Logits, args.Targets, args.From, args.Scale
	m, V := rowsOf(logits)
	for i := range m {
		row := logits.Data[i*V : (i+1)*V]
		target := targets.Tokens[from+i]
		if target == op.NoTarget {
			clear(row)
			continue
		}
		best := row[0]
		for _, l := range row {
			best = max(best, l)
		}
		sum := 0.0
		for _, l := range row {
			sum += math.Exp(float64(l - best))
		}
		loss.Data[0] += F(scale) * F(math.Log(sum)-float64(row[target]-best))
		for v, l := range row {
			row[v] = F(scale) * F(math.Exp(float64(l-best))/sum)
		}
		row[target] -= F(scale)
	}
}

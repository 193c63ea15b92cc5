package cpu

import "math"

func (s *Scalar[F]) CrossEntropy(loss, logits, targets *Tensor[F], from int, scale float32) {
	checkCrossEntropy(loss, logits, targets, from)
	m, V := rowsOf(logits)
	for i := range m {
		row := logits.Data[i*V : (i+1)*V]
		best := row[0]
		for _, l := range row {
			best = max(best, l)
		}
		sum := 0.0
		for _, l := range row {
			sum += math.Exp(float64(l - best))
		}
		target := targets.Tokens[from+i]
		loss.Data[0] += F(scale) * F(math.Log(sum)-float64(row[target]-best))
		for v, l := range row {
			row[v] = F(scale) * F(math.Exp(float64(l-best))/sum)
		}
		row[target] -= F(scale)
	}
}

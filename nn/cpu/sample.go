package cpu

import "bitgpu/nn"

func (s *Scalar[F]) Sample(next, out, recent, logits *Tensor[F], p nn.Sampling) {
	checkSample(next, out, recent, logits)
	B, V := rowsOf(logits)
	K := out.Shape[1]
	if len(s.scratch) < 2*V {
		s.scratch = make([]float32, 2*V)
	}
	row, sorted := s.scratch[:V], s.scratch[V:2*V]
	for b := range B {
		for i, l := range logits.Data[b*V : (b+1)*V] {
			row[i] = float32(l)
		}
		seen := recent.Tokens[b*nn.RecentSize : (b+1)*nn.RecentSize]
		n := int(seen[nn.RecentSampled])
		id := p.Draw(row, seen, sorted)
		out.Tokens[b*K+n%K], next.Tokens[b] = id, nextInput(id)
	}
}

// nextInput is a token that can be looked up, whatever was drawn.
func nextInput(id uint32) uint32 {
	if id == nn.NotFinite {
		return 0
	}
	return id
}

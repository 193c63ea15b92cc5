package cpu

import (
	"bitgpu/nn/op"
)

func (s *Scalar[F]) sample(args *op.Sample[*Tensor[F]]) {
	next, out, recent, rules, logits := args.Next, args.Out, args.Recent, args.Rules, args.Logits
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
		seen := recent.Tokens[b*op.RecentSize : (b+1)*op.RecentSize]
		n := int(seen[op.RecentSampled])
		p := op.DecodeRules(rules.Tokens[b*op.RulesSize:])
		id := p.Draw(row, seen, sorted)
		out.Tokens[b*K+n%K], next.Tokens[b] = id, nextInput(id)
	}
}

// nextInput returns the token drawn or, if there is none, one that can be looked up.
func nextInput(id uint32) uint32 {
	if id == op.NotFinite {
		return 0
	}
	return id
}

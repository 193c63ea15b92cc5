package cpu

import "bitgpu/nn/op"

// slotOf returns the slot of sequence b.
func slotOf[F Float](slots *Tensor[F], b int) int {
	if slots == nil {
		return b
	}
	return int(slots.Tokens[b])
}

// sequencesOf returns how many sequences an operation with states in slots handles.
func sequencesOf[F Float](states, slots *Tensor[F]) int {
	if slots == nil {
		return states.Shape[0]
	}
	return slots.Shape[0]
}

func (s *Scalar[F]) gather(a *op.Gather[*Tensor[F]]) {
	n, each := rowsOf(a.Dst)
	for i := range n {
		s.Copy(a.Dst, i*each, a.Src, slotOf(a.Slots, i)*each, each)
	}
}

func (s *Scalar[F]) scatter(a *op.Scatter[*Tensor[F]]) {
	n, each := rowsOf(a.Src)
	for i := range n {
		s.Copy(a.Dst, slotOf(a.Slots, i)*each, a.Src, i*each, each)
	}
}

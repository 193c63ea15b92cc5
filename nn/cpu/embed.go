package cpu

import "bitgpu/nn/op"

func (s *Scalar[F]) embed(args *op.Embed[*Tensor[F]]) {
	h, table, tokens := args.H, args.Table, args.Tokens
	n, D := rowsOf(h)
	for i := range n {
		table.row(h.Data[i*D:(i+1)*D], int(tokens.Tokens[i]))
	}
}

func (s *Scalar[F]) embedBackward(args *op.EmbedBackward[*Tensor[F]]) {
	dtable, dh, tokens := args.DTable, args.DH, args.Tokens
	n, D := rowsOf(dh)
	for i := range n {
		id := int(tokens.Tokens[i])
		axpy(dtable.Data[id*D:(id+1)*D], 1, dh.Data[i*D:(i+1)*D])
	}
}

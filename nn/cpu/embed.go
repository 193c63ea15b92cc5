package cpu

func (s *Scalar[F]) Embed(h, table, tokens *Tensor[F]) {
	checkEmbed(h, table, tokens)
	n, D := rowsOf(h)
	for i := range n {
		table.row(h.Data[i*D:(i+1)*D], int(tokens.Tokens[i]))
	}
}

func (s *Scalar[F]) EmbedBackward(dtable, dh, tokens *Tensor[F]) {
	checkEmbed(dh, dtable, tokens)
	n, D := rowsOf(dh)
	for i := range n {
		id := int(tokens.Tokens[i])
		axpy(dtable.Data[id*D:(id+1)*D], 1, dh.Data[i*D:(i+1)*D])
	}
}

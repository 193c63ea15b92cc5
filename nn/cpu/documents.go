package cpu

// documents are what an operation's Documents holds, nil where each sequence is one.
type documents []uint32

func documentsOf[F Float](t *Tensor[F]) documents {
	if t == nil {
		return nil
	}
	return t.Tokens
}

// begin reports whether a row is the first of its document, of several in a sequence.
func (d documents) begin(row int) bool { return d != nil && d[2*row] == 0 }

// before is how many tokens of its document come before token t of a sequence, which is a row of all.
func (d documents) before(row, t int) int {
	if d == nil {
		return t
	}
	return int(d[2*row])
}

// behind is how many tokens of its document come behind token t of a sequence of time tokens.
func (d documents) behind(row, t, time int) int {
	if d == nil {
		return time - 1 - t
	}
	return int(d[2*row+1])
}

// pieceBefore is where the piece begins that ends before a token of a sequence, of which row is the first: with a chunk, or with
// the document of its last token.
func (d documents) pieceBefore(row, end, chunk int) int {
	last := end - 1
	return max(last/chunk*chunk, last-d.before(row+last, last))
}

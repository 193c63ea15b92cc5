package cpu

// documents is the content of an operation's Documents, nil if each sequence is one document.
type documents []uint32

func documentsOf[F Float](t *Tensor[F]) documents {
	if t == nil {
		return nil
	}
	return t.Tokens
}

// begin reports whether a row is the first of a document, where sequences hold several.
func (d documents) begin(row int) bool { return d != nil && d[2*row] == 0 }

// before returns how many tokens of its document precede token t of a sequence; row is the token's row.
func (d documents) before(row, t int) int {
	if d == nil {
		return t
	}
	return int(d[2*row])
}

// behind returns how many tokens of its document follow token t of a sequence of time tokens.
func (d documents) behind(row, t, time int) int {
	if d == nil {
		return time - 1 - t
	}
	return int(d[2*row+1])
}

// pieceBefore returns where the piece begins that ends before a token of the sequence that starts at row: at the start of a
// chunk, or of the document that its last token belongs to.
func (d documents) pieceBefore(row, end, chunk int) int {
	last := end - 1
	return max(last/chunk*chunk, last-d.before(row+last, last))
}

package op

// Embed copies the rows of Table (V, D) at Tokens (n) to H (n, D).
type Embed[T any] struct{ H, Table, Tokens T }

// Name implements Op.
func (o *Embed[T]) Name() string { return "Embed" }

// Args implements Op.
func (o *Embed[T]) Args(v Visitor[T]) {
	n, D := rows(v, o.H)
	v.Arg("table", Reads, &o.Table, axis(v, o.Table, 0), D)
	v.Arg("tokens", Reads, &o.Tokens, n)
	v.Arg("h", Writes, &o.H, n, D)
}

// EmbedBackward adds the rows of DH (n, D) to the rows of DTable (V, D) at Tokens (n).
type EmbedBackward[T any] struct{ DTable, DH, Tokens T }

// Name implements Op.
func (o *EmbedBackward[T]) Name() string { return "EmbedBackward" }

// Args implements Op.
func (o *EmbedBackward[T]) Args(v Visitor[T]) {
	n, D := rows(v, o.DH)
	v.Arg("dh", Reads, &o.DH, n, D)
	v.Arg("tokens", Reads, &o.Tokens, n)
	v.Arg("dtable", Updates, &o.DTable, axis(v, o.DTable, 0), D)
}

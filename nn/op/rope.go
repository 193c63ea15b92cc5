package op

// RoPE makes the rows QKV (n, (H+2G)·c or more) of an attention layer ready: of each row the H queries and G keys of width c
// are normalised by QGain and KGain (c), where those are given, as RMSNorm does, and their first R elements are turned by the
// angles of the row's position: with the pair (x, y) = (i, i+R/2) of a head, x ← x·cos − y·sin and y ← y·cos + x·sin
// (arXiv 2104.09864, halves as in GPT-NeoX). Angles (L, R) has the R/2 cosines of each position, then the sines, both times
// what YaRN asks for (arXiv 2309.00071). Keys and the G values, which follow them and stay as they are, go to the rows of
// Keys and Values (S, L, G·c) from Position (S) of the slot on, which are those of the n/B rows of each sequence; Slots and
// Documents as in the package comment. Raw (n, (H+G)·c), optional, receives the queries and keys as they were, which RoPEBackward wants.
type RoPE[T any] struct {
	QKV, QGain, KGain, Angles, Position, Keys, Values, Raw, Slots, Documents T

	Heads, KVHeads int // H, G
	Eps            float64
}

// Name implements Op.
func (o *RoPE[T]) Name() string { return "RoPE" }

// Args implements Op.
func (o *RoPE[T]) Args(v Visitor[T]) {
	n, stride := rows(v, o.QKV)
	S, L, c := axis(v, o.Keys, 0), axis(v, o.Keys, 1), axis(v, o.Keys, 2)/max(o.KVHeads, 1)
	B := sequences(v, o.Keys, o.Slots)
	slotsArg(v, &o.Slots)
	documentsArg(v, &o.Documents, n)
	v.Arg("queries, keys and values", Updates, &o.QKV, whole(n, B), max(stride, (o.Heads+2*o.KVHeads)*c))
	v.Arg("query gain", Reads|Optional, &o.QGain, c)
	v.Arg("key gain", Reads|Optional, &o.KGain, c)
	v.Arg("angles", Reads, &o.Angles, L, min(axis(v, o.Angles, 1), c))
	v.Arg("position", Reads, &o.Position, S)
	v.Arg("keys", Updates, &o.Keys, S, L, o.KVHeads*c)
	v.Arg("values", Updates, &o.Values, S, L, o.KVHeads*c)
	v.Arg("raw", Writes|Optional, &o.Raw, n, (o.Heads+o.KVHeads)*c)
}

// Advance adds N to Position (S), or to that of Slots as in the package comment: so many tokens a sequence have been read.
type Advance[T any] struct {
	Position, Slots T
	N               int
}

// Name implements Op.
func (o *Advance[T]) Name() string { return "Advance" }

// Args implements Op.
func (o *Advance[T]) Args(v Visitor[T]) {
	v.Arg("position", Updates, &o.Position, axis(v, o.Position, 0))
	slotsArg(v, &o.Slots)
}

// RoPEBackward, of a RoPE: turns the gradient of queries and keys in DQKV (n, stride) to that of what RoPE was given, back by
// the angles, and through the norms where there are gains, which are constants. Raw (n, (H+G)·c) are the queries and keys
// before. Of Keys (B, L, G·c) it takes how many sequences there are.
type RoPEBackward[T any] struct {
	DQKV, Raw, QGain, KGain, Angles, Position, Keys, Documents T

	Heads, KVHeads int // H, G
	Eps            float64
}

// Name implements Op.
func (o *RoPEBackward[T]) Name() string { return "RoPEBackward" }

// Args implements Op.
func (o *RoPEBackward[T]) Args(v Visitor[T]) {
	n, stride := rows(v, o.DQKV)
	B, L, c := axis(v, o.Keys, 0), axis(v, o.Keys, 1), axis(v, o.Keys, 2)/max(o.KVHeads, 1)
	v.Arg("query gain", Reads|Optional, &o.QGain, c)
	v.Arg("key gain", Reads|Optional, &o.KGain, c)
	raw := Reads
	if v.Shape(o.QGain) == nil && v.Shape(o.KGain) == nil {
		raw |= Optional
	}
	v.Arg("queries and keys", raw, &o.Raw, n, (o.Heads+o.KVHeads)*c)
	v.Arg("angles", Reads, &o.Angles, L, min(axis(v, o.Angles, 1), c))
	v.Arg("position", Reads, &o.Position, B)
	documentsArg(v, &o.Documents, n)
	v.Arg("keys", Reads, &o.Keys, B, L, o.KVHeads*c)
	v.Arg("dqueries, dkeys and dvalues", Updates, &o.DQKV, whole(n, B), max(stride, (o.Heads+2*o.KVHeads)*c))
}

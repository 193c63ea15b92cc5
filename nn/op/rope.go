package op

// RoPE prepares the rows QKV (n, (H+2G)·c or more) of an attention layer. In each row the H queries and G keys of width c are
// normalised as RMSNorm does by QGain and KGain (c), where given, and their first R elements are rotated by the angles of the
// row's position: the pair (x, y) = (i, i+R/2) of a head becomes x·cos − y·sin and y·cos + x·sin (arXiv 2104.09864, halves as
// in GPT-NeoX). Angles (L, R) holds the R/2 cosines of each position, then the sines, both multiplied by YaRN's factor (arXiv
// 2309.00071). The keys, and the G values behind them, which are not rotated, are also stored in the n/B rows of Keys and
// Values (S, L, G·c) that start at the slot's Position (S). Raw (n, (H+G)·c), optional, receives the original queries and
// keys for RoPEBackward. Slots and Documents are described in the package comment.
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

// Advance adds N, the number of tokens that each sequence has read, to Position (S), or to the positions of Slots only.
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

// RoPEBackward is the backward of RoPE: it turns the gradient of queries and keys in DQKV (n, stride) into that of RoPE's
// input, rotating back by the angles and going through the norms where there are gains. Raw (n, (H+G)·c) holds the original
// queries and keys. Of Keys (B, L, G·c) only the number of sequences B is used. The gradients of the gains are added to DQGain
// and DKGain (c), which are optional; with them, Raw is scratch memory afterwards.
type RoPEBackward[T any] struct {
	DQKV, DQGain, DKGain, Raw, QGain, KGain, Angles, Position, Keys, Documents T

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
	if o.gains(v) {
		raw = Updates
	}
	if v.Shape(o.QGain) == nil && v.Shape(o.KGain) == nil {
		raw |= Optional
	}
	v.Arg("queries and keys", raw, &o.Raw, n, (o.Heads+o.KVHeads)*c)
	v.Arg("angles", Reads, &o.Angles, L, min(axis(v, o.Angles, 1), c))
	v.Arg("position", Reads, &o.Position, B)
	documentsArg(v, &o.Documents, n)
	v.Arg("keys", Reads, &o.Keys, B, L, o.KVHeads*c)
	v.Arg("dqueries, dkeys and dvalues", Updates, &o.DQKV, whole(n, B), max(stride, (o.Heads+2*o.KVHeads)*c))
	v.Arg("dquery gain", Updates|Optional, &o.DQGain, c)
	v.Arg("dkey gain", Updates|Optional, &o.DKGain, c)
}

// gains reports whether the gradient of a gain is wanted.
func (o *RoPEBackward[T]) gains(v Visitor[T]) bool {
	return v.Shape(o.DQGain) != nil || v.Shape(o.DKGain) != nil
}

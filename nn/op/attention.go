package op

// Attention writes O (n, H·c) = softmax(q·k/√c)·v. Row t of a sequence is at position Position (S) + t of its slot, and each
// of its H heads attends to the keys and values (S, L, G·c) of the sequence up to and including its own. Query head h reads
// key head ⌊h·G/H⌋ (arXiv 2305.13245). The queries are the first H·c elements of a row of QKV as RoPE leaves it; with Gate
// the last H·c are gates, and O is multiplied by their σ. Slots and Documents are described in the package comment.
type Attention[T any] struct {
	O, QKV, Keys, Values, Position, Slots, Documents T

	Heads, KVHeads int // H, G
	Gate           bool
}

// Name implements Op.
func (o *Attention[T]) Name() string { return "Attention" }

// Args implements Op.
func (o *Attention[T]) Args(v Visitor[T]) {
	n, stride := rows(v, o.QKV)
	S, L, c := axis(v, o.Keys, 0), axis(v, o.Keys, 1), axis(v, o.Keys, 2)/max(o.KVHeads, 1)
	B := sequences(v, o.Keys, o.Slots)
	least := o.Heads + 2*o.KVHeads
	if o.Gate {
		least += o.Heads
	}
	v.Arg("queries, keys and values", Reads, &o.QKV, whole(n, B), max(stride, least*c))
	v.Arg("keys", Reads, &o.Keys, S, L, o.KVHeads*c)
	v.Arg("values", Reads, &o.Values, S, L, o.KVHeads*c)
	v.Arg("position", Reads, &o.Position, S)
	slotsArg(v, &o.Slots)
	documentsArg(v, &o.Documents, n)
	v.Arg("o", Writes, &o.O, n, o.Heads*c)
}

// AttentionBackward is the backward of Attention over sequences that began with an empty cache. It writes DQKV (n, stride)
// from DO (n, H·c). QKV (n, stride) holds the rows as RoPE left them, keys and values included; of Keys (B, L, G·c) only the
// number of sequences B is used. With P = softmax(Q·Kᵀ/√c), and Q, K, V of a head,
//
//	dV = Pᵀ·dO    dS = P ∘ (dP − rows of P ∘ dP summed up)/√c,  dP = dO·Vᵀ    dQ = dS·K    dK = dSᵀ·Q
//
// where query heads that share a key head are summed, and a gate t gives dO = dY ∘ σ(t) and dt = dY ∘ O ∘ σ(t)·(1 − σ(t)).
type AttentionBackward[T any] struct {
	DQKV, DO, QKV, Keys, Documents T

	Heads, KVHeads int // H, G
	Gate           bool
}

// Name implements Op.
func (o *AttentionBackward[T]) Name() string { return "AttentionBackward" }

// Args implements Op.
func (o *AttentionBackward[T]) Args(v Visitor[T]) {
	n, _ := rows(v, o.QKV)
	B, L, c := axis(v, o.Keys, 0), axis(v, o.Keys, 1), axis(v, o.Keys, 2)/max(o.KVHeads, 1)
	stride := (o.Heads + 2*o.KVHeads) * c
	if o.Gate {
		stride += o.Heads * c
	}
	v.Arg("do", Reads, &o.DO, n, o.Heads*c)
	v.Arg("queries, keys and values", Reads, &o.QKV, whole(n, B), stride)
	v.Arg("keys", Reads, &o.Keys, B, L, o.KVHeads*c)
	documentsArg(v, &o.Documents, n)
	v.Arg("dqueries, dkeys and dvalues", Writes, &o.DQKV, n, stride)
}

package op

// GatedDelta is the gated delta rule (arXiv 2412.06464) as Qwen3.5 has it, from the projections to the normalised, gated
// output O (n, V·v) of V value heads of width v. A row of U (n, 2·K·k + 2·V·v) holds queries and keys of K heads of width k,
// values and output gates z; B and A (n, V) are the inputs of σ and softplus below. Queries, keys and values pass through a
// causal convolution Conv (2·K·k + V·v, taps) and SiLU; query and key become unit vectors, x/√(Σx² + 1e-6), and the query is
// divided by √k.
// Then, for value head h, which uses key head ⌊h·K/V⌋, with β = σ(b) and g = Decay·softplus(a + Bias),
//
//	S ← e^g·S;  S ← S + β(v − S·k)kᵀ;  o = S·q;  O = RMSNorm(o)·Gain·silu(z)
//
// Decay (V) is −exp(A_log). It updates State (S, V, v, k) and Tail (S, taps−1, 2·K·k + V·v), the last inputs of the
// convolution, oldest first. QKV (n, 2·K·k + V·v) is room for the convolution's output; Starts (B, ceil(T/Chunk), V, v, k),
// optional, receives the state before each chunk, and Chunk changes nothing else. Slots and Documents are described in the
// package comment.
type GatedDelta[T any] struct {
	O, U, B, A, Conv, Decay, Bias, Gain, State, Tail, QKV, Starts, Slots, Documents T

	KeyHeads, Chunk int // K
	Eps             float64
}

// Name implements Op.
func (o *GatedDelta[T]) Name() string { return "GatedDelta" }

// Args implements Op.
func (o *GatedDelta[T]) Args(v Visitor[T]) {
	n, inner := rows(v, o.O)
	S, V, valueWidth, k := axis(v, o.State, 0), axis(v, o.State, 1), axis(v, o.State, 2), axis(v, o.State, 3)
	B := sequences(v, o.State, o.Slots)
	channels := 2*o.KeyHeads*k + V*valueWidth
	taps := axis(v, o.Conv, 1)
	slotsArg(v, &o.Slots)
	documentsArg(v, &o.Documents, n)
	v.Arg("projections", Reads, &o.U, whole(n, B), channels+V*valueWidth)
	v.Arg("b", Reads, &o.B, n, V)
	v.Arg("a", Reads, &o.A, n, V)
	v.Arg("convolution", Reads, &o.Conv, channels, taps)
	v.Arg("decay", Reads, &o.Decay, V)
	v.Arg("bias", Reads, &o.Bias, V)
	v.Arg("gain", Reads, &o.Gain, valueWidth)
	v.Arg("state", Updates, &o.State, S, V, valueWidth, k)
	v.Arg("tail", Updates, &o.Tail, S, taps-1, channels)
	v.Arg("qkv", Writes, &o.QKV, n, channels)
	v.Arg("starts", Writes|Optional, &o.Starts, B, Chunks(n, B, o.Chunk)*V*valueWidth*k)
	v.Arg("o", Writes, &o.O, n, inner)
}

// GatedDeltaBackward is the backward of a GatedDelta that began with a zero state and tail. It writes DU (n, 2·K·k + 2·V·v),
// DB and DA (n, V) from DO (n, V·v), and adds the gradients of the gain to DGain (v), of the convolution to
// DConv (2·K·k + V·v, taps), of the bias to DBias (V) and of A_log = ln(−Decay) to DLogDecay (V), which are optional; with DGain, DO
// is scratch memory afterwards. With P = e^g·S before a token, e = v − P·k, and dS the gradient of the state after it, to which
// do·qᵀ has been added,
//
//	dq = Sᵀ·do    dβ = eᵀ·dS·k    dv = β·dS·k    dk = β·dSᵀ·e − Pᵀ·dv    dP = dS − dv·kᵀ    dg = ⟨dP, P⟩    dS ← e^g·dP
//
// and the gradient of A_log is Σ dg·g.
type GatedDeltaBackward[T any] struct {
	DU, DB, DA, DGain, DConv, DBias, DLogDecay, DO, U, B, A, Conv, Decay, Bias, Gain, QKV, Starts, Documents T

	KeyHeads, Chunk int // K
	Eps             float64
}

// Name implements Op.
func (o *GatedDeltaBackward[T]) Name() string { return "GatedDeltaBackward" }

// Args implements Op.
func (o *GatedDeltaBackward[T]) Args(v Visitor[T]) {
	n, inner := rows(v, o.DO)
	B, V, valueWidth, k := axis(v, o.Starts, 0), axis(v, o.Starts, 2), axis(v, o.Starts, 3), axis(v, o.Starts, 4)
	channels := 2*o.KeyHeads*k + V*valueWidth
	documentsArg(v, &o.Documents, n)
	do := Reads
	if v.Shape(o.DGain) != nil {
		do = Updates
	}
	v.Arg("do", do, &o.DO, n, inner)
	v.Arg("projections", Reads, &o.U, whole(n, B), channels+V*valueWidth)
	v.Arg("b", Reads, &o.B, n, V)
	v.Arg("a", Reads, &o.A, n, V)
	v.Arg("convolution", Reads, &o.Conv, channels, axis(v, o.Conv, 1))
	v.Arg("decay", Reads, &o.Decay, V)
	v.Arg("bias", Reads, &o.Bias, V)
	v.Arg("gain", Reads, &o.Gain, valueWidth)
	v.Arg("qkv", Reads, &o.QKV, n, channels)
	v.Arg("starts", Reads, &o.Starts, B, Chunks(n, B, o.Chunk)*V*valueWidth*k)
	v.Arg("du", Writes, &o.DU, n, channels+V*valueWidth)
	v.Arg("db", Writes, &o.DB, n, V)
	v.Arg("da", Writes, &o.DA, n, V)
	v.Arg("dgain", Updates|Optional, &o.DGain, valueWidth)
	v.Arg("dconvolution", Updates|Optional, &o.DConv, channels, axis(v, o.Conv, 1))
	v.Arg("dbias", Updates|Optional, &o.DBias, V)
	v.Arg("dlogdecay", Updates|Optional, &o.DLogDecay, V)
}

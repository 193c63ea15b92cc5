package nn

// Scan says how the tied mixer's memory learns.
type Scan struct {
	Chunk     int     // C: tokens taken together
	Minibatch bool    // one summed step a chunk instead of the exact rule
	Rate      float32 // η
}

// Places of the numbers in the hyper tensor that AdamW reads, so that a recorded step can be run
// again with other numbers.
const (
	HyperLR       = iota // learning rate
	HyperBeta1           // β₁
	HyperBeta2           // β₂
	HyperEps             // ε
	HyperDecay           // decoupled weight decay
	HyperCorrect1        // 1 − β₁^(step+1)
	HyperCorrect2        // 1 − β₂^(step+1)
	HyperClip            // largest norm of the gradient, 0 = any
	HyperCount
)

// RecentWindow is how many of the last tokens the repeat penalty looks at.
const RecentWindow = 64

// Places in the tensor of recent tokens, U32 (B, RecentSize): how many tokens were pushed, how
// many were sampled, then a ring of the last RecentWindow ids.
const (
	RecentPushed = iota
	RecentSampled
	RecentRing
	RecentSize = RecentRing + RecentWindow
)

// Ops are the operations the model is made of, over a backend's tensor T.
//
// Operations record: they may run later, in the order of the calls. The first error is kept and
// comes back from Flush and the Read methods, so that layers carry no error. Shapes that do not
// fit are a mistake in our own code and panic. The zero T stands for "not needed" where a
// parameter says optional. An Ops is for one goroutine at a time.
//
// n is the number of rows of the activations, n = B·T, and B that of the state.
type Ops[T any] interface {
	// New makes a tensor of zeros, F32 or U32.
	New(format Format, shape ...int) T
	// NewSet makes n tensors like New, side by side where a kernel can then see them all. Copy does
	// not copy from one to another of a set.
	NewSet(n int, format Format, shape ...int) []T
	// NewTernary makes room for a ternary matrix (rows, cols) of stacked blocks with a γ each;
	// absmean says that its products are multiplied by γ.
	NewTernary(rows, cols, blocks int, absmean bool) T
	// Load copies a host tensor to the device, packed as it is.
	Load(t HostTensor) T
	// Release gives back the memory of tensors that New, Load and nothing else made.
	Release(ts ...T)
	// Rows is a view of the first n rows (along the first axis) of t. It owns nothing.
	Rows(t T, n int) T
	// Write replaces elements of an F32 tensor, in order with the recorded operations.
	Write(t T, offset int, values []float32)
	// WriteTokens replaces elements of a U32 tensor, in order with the recorded operations.
	WriteTokens(t T, offset int, ids []uint32)
	// Read runs what was recorded and reads elements of an F32 tensor.
	Read(t T, offset int, dst []float32) error
	// ReadTokens runs what was recorded and reads elements of a U32 tensor.
	ReadTokens(t T, offset int, dst []uint32) error
	// ReadTernary runs what was recorded and reads a ternary tensor back, packed.
	ReadTernary(t T) (HostTensor, error)
	// StartReadTokens begins to read the elements of a U32 tensor as they are at this point of the
	// record, and submits. slot (0, 1) tells two reads of one tensor apart: sessions that take
	// turns each read a tensor of their own. FinishReadTokens waits for what was started.
	StartReadTokens(t T, slot int)
	FinishReadTokens(t T, slot int, dst []uint32) error
	// Lookahead is how many tokens are worth sampling before they are read back: 1 where a read
	// costs nothing.
	Lookahead() int
	// Copy copies n elements of one F32 or U32 tensor into another of the same format.
	Copy(dst T, dstOffset int, src T, srcOffset, n int)
	// CopySet copies the n elements of each tensor of a set into those of another.
	CopySet(dst, src []T, n int)
	// Zero fills a tensor with zeros.
	Zero(t T)
	// Submit starts what was recorded without waiting for it.
	Submit()
	// Flush runs what was recorded, waits, and returns the first error since the last Flush.
	Flush() error

	// Blocks takes one token a sequence through all blocks, by the exact rule: h (B, D) = blocks(h),
	// and moves their states on. a is room for B rows of one block's activations, with In and Mid
	// that are h; what it holds afterwards is open. A backend may fuse the whole, else it is
	// BlockByBlock.
	Blocks(h T, layers []Layer[T], states []LayerState[T], a *Activations[T], c Config)

	// Embed writes h (n, D) = table (V, D) rows at tokens (n).
	Embed(h, table, tokens T)
	// EmbedBackward adds the rows of dh (n, D) into dtable (V, D) at tokens (n).
	EmbedBackward(dtable, dh, tokens T)

	// RMSNormBackward, of x = RMSNorm(h)·gain: adds into dh (n, D) and dgain (D) from dx (n, D).
	RMSNormBackward(dh, dgain, dx, h, gain T)

	// NormLinear writes x (n, D) = RMSNorm(h)·gain and y (n, R) = s·x·wᵀ for a ternary w (R, D).
	NormLinear(y, x, h, gain, w T)
	// LinearAdd writes y (n, R) = r + s·x·wᵀ for x (n, K), ternary w (R, K). y may be r.
	LinearAdd(y, r, x, w T)
	// LinearBackward, of y = s·x·wᵀ: writes dx (n, K) and adds into dw (R, K), straight through
	// the rounding (SPEC: dw = (1/γ)·dyᵀx for scale none, dyᵀx for absmean; dx = s·dy·Q).
	LinearBackward(dx, dw, dy, x, w T)

	// NormSwiGLU writes x (n, D) = RMSNorm(h)·gain, gu (n, 2H) = s·x·wᵀ, gate beside up, and
	// a (n, H) = silu(gate) ⊙ up. With gu and x optional a backend may fuse the whole.
	NormSwiGLU(a, gu, x, h, gain, w T)
	// SwiGLUBackward writes dgu (n, 2H) from da (n, H).
	SwiGLUBackward(dgu, da, gu T)

	// TiedScan reads keys f (n, d), normalises them to unit length, writes the predictions z (n, d)
	// and moves the state (B, d, d) on. starts (B, ceil(T/C), d, d), optional, receives the
	// state before each chunk.
	TiedScan(z, f, state, starts T, s Scan)
	// TiedScanBackward writes df (n, d) from dz (n, d). The state after the last token has no gradient.
	TiedScanBackward(df, dz, f, starts T, s Scan)

	// Step writes b (n, h) = σ(x·wᵀ + bias) for x (n, D), w (h, D), bias (h).
	Step(b, x, w, bias T)
	// StepBackward, from db (n, h): adds into dx (n, D), dw (h, D) and dbias (h).
	StepBackward(dx, dw, dbias, db, b, x, w T)

	// DeltaScan is the delta mixer from its projections u (n, 3d), key, query, value, and steps
	// b (n, h) to the normalised output o (n, d): convolution conv (3, d, 4), SiLU, unit keys and
	// queries, the delta rule a head, RMSNorm over c with gain (c). It moves state (B, h, c, c)
	// and tail (B, 3, 3, d) on. mixed (n, 3d) receives keys, queries and values as the rule sees
	// them, read (n, d) what it reads before the norm; starts (B, ceil(T/C), h, c, c), optional,
	// the state before each chunk.
	DeltaScan(o, u, b, conv, gain, state, tail, mixed, read, starts T, chunk int)
	// DeltaScanBackward, of a scan that began with a zero tail, writes du (n, 3d) and db (n, h) and
	// adds into dconv (3, d, 4) and dgain (c), from do (n, d).
	DeltaScanBackward(du, db, dconv, dgain, do, u, b, conv, gain, mixed, read, starts T, chunk int)

	// NormHead writes x (n, D) rows from… = RMSNorm(h)·gain and logits (m, V) = x·headᵀ for the m
	// rows of h (n, D) that begin at row from. head (V, D) may be F32, F16 or I8.
	NormHead(logits, x, h, gain, head T, from int)
	// HeadBackward, of logits = x·headᵀ: writes rows from… of dx (n, D), adds into dhead (V, D).
	HeadBackward(dx, dhead, dlogits, x, head T, from int)
	// CrossEntropy adds scale·Σ −log softmax(logits)[target] to loss (1) over the m rows of logits
	// (m, V), whose targets begin at element from of targets (n); logits become their gradient.
	CrossEntropy(loss, logits, targets T, from int, scale float32)

	// Dropout sets each number of x to 0 with probability rate and divides the others by 1 − rate.
	// Number i goes where Uniform(site·2³² + seed, i) < rate, with seed the one number of a U32
	// tensor, so that the same call is its own backward on the gradient. rate is below 1.
	Dropout(x, seed T, site uint32, rate float32)

	// Quantize packs w (R, K) into the ternary q; each of its blocks of rows has its own γ.
	Quantize(q, w T)
	// SumSquares adds Σ g² to sum (1).
	SumSquares(sum, g T)
	// AdamW updates w with gradient g and moments m, v, all of one shape. g is scaled down first
	// where the norm √sumSquares exceeds the clip. hyper (HyperCount) holds the numbers.
	AdamW(w, m, v, g, sumSquares, hyper T)

	// Sample draws one token a row of logits (B, V) by the rules of Sampling, counting from recent
	// (B, RecentSize), which it moves on; it writes next (B), the input of the next step, and
	// element (row, sampled mod K) of out (B, K). Where a logit is not finite, out gets NotFinite and
	// next 0.
	Sample(next, out, recent, logits T, s Sampling)
}

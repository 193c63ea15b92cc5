package nn

import (
	"fmt"
	"strings"

	"bitgpu/nn/arch"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// Net is a model's layers over one kind of tensor: parameters, gradients, or the tensors of a pass.
type Net[T any] struct {
	Embed  T                  // (V, D)
	Blocks [][]layer.Layer[T] // in the order of the data flow
	Norm   T                  // (D)
	Head   T                  // (V, D), which may be Embed
	Signs  T                  // (D) for the Hadamard transform that both tables expect, if they do

	config          Config
	position, slots T // (S) if layers attend, (B) or none
}

// NewNet makes the layers of a configuration, without tensors: our own, or those that arch.Layers chooses for a public
// family.
func NewNet[T any](c Config, scan op.Scan) *Net[T] {
	n := &Net[T]{config: c, Blocks: make([][]layer.Layer[T], c.Layers)}
	for i := range n.Blocks {
		if c.Decoder != nil {
			n.Blocks[i] = arch.Layers[T](c.Decoder, i)
			if memory, ok := n.Blocks[i][0].(*layer.GatedDelta[T]); ok {
				memory.Chunk = scan.Chunk
			}
			continue
		}
		n.Blocks[i] = []layer.Layer[T]{mixerOf[T](c).layer(c, scan), &layer.MLP[T]{
			Width: c.Width, Hidden: c.MLPWidth, Eps: c.NormEps, Activation: c.Activation,
		}}
	}
	return n
}

// The names of the tables: the embedding is the first parameter, and a head of its own the last.
const (
	EmbedName = "embed.weight"
	HeadName  = "lm_head.weight"
)

// Place is where in the model something was declared.
type Place struct {
	Block, Layer int    // the block, and the layer within it
	Kind         string // the layer's type
}

// Binding fills the tensors of a Net. A nil function leaves its tensors unchanged.
type Binding[T any] struct {
	Param func(p layer.Param) T
	Rows  func(at Place, r layer.Rows) T
	State func(at Place, s layer.State) T
	// Low returns A, then B, of each adapter in the configuration.
	Low func(p layer.Param, blocks []op.LowRankBlock) T
	// Shared returns the same tensor to all layers that ask for it.
	Shared func(which layer.Shared) T
}

// Bind fills the tensors of a net in the order of the data flow, and returns the net.
func (n *Net[T]) Bind(b Binding[T]) *Net[T] {
	c := n.config
	d := binder[T]{Binding: b, adapter: c.Adapter, int8: c.Decoder != nil && c.Decoder.Int8}
	table := func(t *T, name string, init func([]float32, func() float64)) {
		d.param(t, layer.Param{Names: []string{name}, Shape: []int{c.Vocab, c.Width}, Kind: layer.Table, Layer: -1, Init: init})
	}
	first := 1.0
	if c.TiedHead { // norms undo the scale of the embedding, but not that of the logits
		first = headScale(c.Width)
	}
	table(&n.Embed, EmbedName, layer.Normal(first))
	if c.Decoder != nil && c.Decoder.Rotation > 0 {
		d.param(&n.Signs, layer.Param{Names: []string{"embed.signs"}, Shape: []int{c.Width}, Layer: -1, Fixed: true})
	}
	for i, block := range n.Blocks {
		for j, l := range block {
			kind, _, _ := strings.Cut(fmt.Sprintf("%T", l), "[") // without the type parameter
			d.at = Place{i, j, kind}
			l.Declare(&d)
		}
	}
	d.param(&n.Norm, layer.Param{Names: []string{"norm_f.weight"}, Shape: []int{c.Width}, Layer: -1, Init: layer.Constant(1)})
	if c.TiedHead {
		n.Head = n.Embed
	} else {
		table(&n.Head, HeadName, layer.Normal(headScale(c.Width)))
	}
	if c.Decoder != nil {
		d.Shared(&n.position, layer.Position)
		d.Shared(&n.slots, layer.Slots)
	}
	return n
}

// binder is the Declarer of Bind.
type binder[T any] struct {
	Binding[T]
	at      Place
	adapter *Adapter
	int8    bool // linear layers round their inputs
}

func (d *binder[T]) param(t *T, p layer.Param) {
	if d.Binding.Param != nil {
		*t = d.Binding.Param(p)
	}
}

// Param implements layer.Declarer. It puts the block's prefix before the names.
func (d *binder[T]) Param(t *T, p layer.Param) {
	p.Names, p.Layer = d.names(p.Names), d.at.Block
	d.param(t, p)
}

// Rows implements layer.Declarer.
func (d *binder[T]) Rows(t *T, r layer.Rows) {
	if d.Binding.Rows != nil {
		*t = d.Binding.Rows(d.at, r)
	}
}

// State implements layer.Declarer.
func (d *binder[T]) State(t *T, s layer.State) {
	if d.Binding.State != nil {
		*t = d.Binding.State(d.at, s)
	}
}

// Shared implements layer.Declarer.
func (d *binder[T]) Shared(t *T, which layer.Shared) {
	if d.Binding.Shared != nil {
		*t = d.Binding.Shared(which)
	}
}

// Lookup appends the embedding of tokens (n) into the stream (n, D).
func (n *Net[T]) Lookup(p *op.Program[T], stream, tokens T) {
	p.Add(&op.Embed[T]{H: stream, Table: n.Embed, Tokens: tokens})
	if block := n.rotation(); block > 0 {
		p.Add(&op.Hadamard[T]{Y: stream, X: stream, Signs: n.Signs, Block: block, Inverse: true})
	}
}

// rotation returns the block size of the Hadamard transform, 0 for none.
func (n *Net[T]) rotation() int {
	if n.config.Decoder == nil {
		return 0
	}
	return n.config.Decoder.Rotation
}

// Advance appends the operation that counts `tokens` more tokens of each sequence as read.
func (n *Net[T]) Advance(p *op.Program[T], tokens int) {
	if n.config.Decoder != nil {
		p.Add(&op.Advance[T]{Position: n.position, Slots: n.slots, N: tokens})
	}
}

// Forward appends block i. Its layers read and write one stream (n, D).
func (n *Net[T]) Forward(p *op.Program[T], i int, stream T) {
	for _, l := range n.Blocks[i] {
		l.Forward(p, layer.Stream[T]{In: stream, Out: stream})
	}
}

// LogitsBackward appends the backward of the final norm: dx (n, D), the gradient of its output, is changed and added to the
// gradients of the stream (n, D) and of the gain.
func (n *Net[T]) LogitsBackward(p *op.Program[T], grad *Net[T], dstream, dx, stream T) {
	if block := n.rotation(); block > 0 {
		p.Add(&op.Hadamard[T]{Y: dx, X: dx, Signs: n.Signs, Block: block, Inverse: true})
	}
	p.Add(&op.RMSNormBackward[T]{DH: dstream, DGain: grad.Norm, DX: dx, H: stream, Gain: n.Norm, Eps: n.config.NormEps})
}

// Logits appends the head for m rows of the stream from row `from` on; normed is scratch memory for them.
func (n *Net[T]) Logits(p *op.Program[T], logits, normed, stream T, from, m int) {
	p.Add(&op.RMSNorm[T]{X: normed, H: stream, Gain: n.Norm, From: from, Count: m, Eps: n.config.NormEps})
	if block := n.rotation(); block > 0 {
		p.Add(&op.Hadamard[T]{Y: normed, X: normed, Signs: n.Signs, Block: block})
	}
	p.Add(&op.Head[T]{Logits: logits, X: normed, W: n.Head, From: from})
}

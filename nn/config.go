package nn

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"bitgpu/nn/arch"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// Values of the configuration's words.
const (
	ScaleNone    = "none"    // y = x·Qᵀ, what the first models use
	ScaleAbsmean = "absmean" // y = γ·x·Qᵀ, BitNet b1.58 (arXiv 2402.17764)

	RuleSequential = "sequential" // one exact step per token
	RuleMinibatch  = "minibatch"  // one summed step per chunk, as the first models are trained

	ActivationSiLU  = layer.SiLU
	ActivationReLU2 = layer.ReLU2
)

// DefaultMinibatch is the default chunk of the minibatch rule.
const DefaultMinibatch = 32

// Limits that no real model reaches. A larger number in a file means that the file is broken.
const (
	maxWidth  = 1 << 17
	maxLayers = 1 << 12
	maxVocab  = 1 << 24

	minEps = 1e-30 // anything smaller comes close to what float32 cannot represent
)

// Config is the content of config.json. The zero value of an optional field means its default.
type Config struct {
	Vocab   int     // V
	Width   int     // D
	Layers  int     // N
	InnerLR float64 // η of the tied mixer

	WeightScale string // ScaleNone or ScaleAbsmean
	Rule        string // RuleSequential or RuleMinibatch: the rule the model was trained with
	Chunk       int    // chunk of the minibatch rule
	Mixer       string // one of Mixers
	MemoryWidth int    // d
	Heads       int    // h
	MLPWidth    int    // H, the width inside the MLP
	Activation  string // one of layer.Activations, for the MLP's gate

	NormEps  float64 // ε of all norms
	TiedHead bool    // the head is the embedding, one table

	// Decoder describes a model of a public family; it is nil for our own. Vocab, Width, Layers, MLPWidth, NormEps and TiedHead
	// are then copied from it.
	Decoder *arch.Decoder

	// Adapter is added to products with the weights, nil: none. It is not part of a model's files.
	Adapter *Adapter

	given map[string]bool            // keys that ParsePartialConfig read
	extra map[string]json.RawMessage // unknown keys, kept for writing
}

// OfDecoder returns the configuration of a model of a public family.
func OfDecoder(d *arch.Decoder) Config {
	return Config{Vocab: d.Vocab, Width: d.Width, Layers: d.Layers, MLPWidth: d.MLP, NormEps: d.Eps, TiedHead: d.Tied, Decoder: d}
}

// Capacity returns how many tokens a session has room for: 0, meaning any number, for our own models.
func (c Config) Capacity() int {
	if c.Decoder == nil {
		return 0
	}
	return c.Decoder.Context
}

// HeadWidth returns c, the width of one head of the memory.
func (c Config) HeadWidth() int { return c.MemoryWidth / c.Heads }

// WithDefaults returns the configuration with missing fields filled in.
func (c Config) WithDefaults() Config {
	if c.Decoder != nil {
		return c
	}
	if c.WeightScale == "" {
		c.WeightScale = ScaleNone
	}
	if c.Rule == "" {
		c.Rule = RuleSequential
	}
	if c.Chunk == 0 {
		c.Chunk = DefaultMinibatch
	}
	if c.Mixer == "" {
		c.Mixer = Mixers()[0]
	}
	if c.MemoryWidth == 0 || !c.Uses("ttt_dim") {
		c.MemoryWidth = c.Width / 4
	}
	if c.MLPWidth == 0 {
		c.MLPWidth = 4 * c.Width
	}
	if c.Activation == "" {
		c.Activation = ActivationSiLU
	}
	if c.NormEps == 0 {
		c.NormEps = op.NormEps
	}
	if !c.Uses("ttt_heads") {
		c.Heads = 1
	} else if c.Heads == 0 {
		c.Heads = max(1, c.MemoryWidth/64)
	}
	return c
}

// Validate says in one sentence what is wrong with a configuration that WithDefaults has completed.
func (c Config) Validate() error {
	if c.Decoder != nil {
		return c.Decoder.Validate()
	}
	switch {
	case c.Vocab < 1 || c.Vocab > maxVocab:
		return fmt.Errorf("vocab_size: got %d, want 1 to %d", c.Vocab, maxVocab)
	case c.Width < 4 || c.Width > maxWidth || c.Width%4 != 0:
		return fmt.Errorf("hidden_dim: got %d, want a multiple of 4 up to %d", c.Width, maxWidth)
	case c.Layers < 1 || c.Layers > maxLayers:
		return fmt.Errorf("num_layers: got %d, want 1 to %d", c.Layers, maxLayers)
	case !(c.InnerLR >= 0 && c.InnerLR <= math.MaxFloat32):
		return fmt.Errorf("inner_lr: got %v, want a float32 that is not negative", c.InnerLR)
	case c.WeightScale != ScaleNone && c.WeightScale != ScaleAbsmean:
		return fmt.Errorf("weight_scale: got %q, want %q or %q", c.WeightScale, ScaleNone, ScaleAbsmean)
	case c.Rule != RuleSequential && c.Rule != RuleMinibatch:
		return fmt.Errorf("ttt_rule: got %q, want %q or %q", c.Rule, RuleSequential, RuleMinibatch)
	case c.Chunk < 1 || c.Chunk > maxWidth:
		return fmt.Errorf("ttt_chunk: got %d, want 1 to %d", c.Chunk, maxWidth)
	case !slices.Contains(Mixers(), c.Mixer):
		return fmt.Errorf("ttt_mixer: got %q, want %s", c.Mixer, quoted(Mixers()))
	case !slices.Contains(c.Rules(), c.Rule):
		return fmt.Errorf("ttt_rule: got %q, the %q mixer knows the %s rule only", c.Rule, c.Mixer, quoted(c.Rules()))
	case c.MemoryWidth < 1 || c.MemoryWidth > maxWidth:
		return fmt.Errorf("ttt_dim: got %d, want 1 to %d", c.MemoryWidth, maxWidth)
	case c.Heads < 1 || c.MemoryWidth%c.Heads != 0:
		return fmt.Errorf("ttt_heads: got %d, want a divisor of ttt_dim %d", c.Heads, c.MemoryWidth)
	case c.MLPWidth < 1 || c.MLPWidth > 4*maxWidth:
		return fmt.Errorf("mlp_dim: got %d, want 1 to %d", c.MLPWidth, 4*maxWidth)
	case !slices.Contains(layer.Activations(), c.Activation):
		return fmt.Errorf("hidden_act: got %q, want %s", c.Activation, quoted(layer.Activations()))
	case !(c.NormEps >= minEps && c.NormEps <= 1):
		return fmt.Errorf("rms_norm_eps: got %v, want %v to 1", c.NormEps, minEps)
	}
	return nil
}

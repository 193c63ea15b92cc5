package nn

import (
	"strings"

	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// Key describes one key of config.json. The parser and the writer, the flags of training, and the configurations of the C
// library and of Python all use this description.
type Key struct {
	Name    string   // as it is written
	Aliases []string // other names that are accepted
	// Flag and Usage belong to `bitgpu train`; "" where no flag sets the key. Usage has the placeholder in backquotes.
	Flag, Usage string
	Required    bool // in every file
	Positive    bool // for a float64: 0 means the default, and files must not contain it
	// Value returns the field of a configuration: an *int, a *float64, a *string or a *bool.
	Value func(c *Config) any
	// written reports whether a complete configuration (WithDefaults) writes the key; nil: always.
	written func(c Config) bool
}

// Written reports whether the config.json of c contains the key.
func (k *Key) Written(c Config) bool { return k.written == nil || k.written(c) }

// Keys lists all keys of config.json that have a meaning, in the order in which they are written.
var Keys = []Key{
	{Name: "vocab_size", Required: true, Value: func(c *Config) any { return &c.Vocab }},
	{
		Name: "hidden_dim", Aliases: []string{"hidden_size"}, Required: true, Value: func(c *Config) any { return &c.Width },
		Flag: "dim", Usage: "width `N` of the model",
	},
	{
		Name: "num_layers", Aliases: []string{"num_hidden_layers", "n_layers"}, Required: true, Value: func(c *Config) any { return &c.Layers },
		Flag: "layers", Usage: "`N` layers",
	},
	{
		Name: "inner_lr", Value: func(c *Config) any { return &c.InnerLR },
		Flag: "inner-lr", Usage: "rate `R` at which the tied mixer's memory learns while it reads",
	},
	{
		Name: "weight_scale", Value: func(c *Config) any { return &c.WeightScale },
		Flag: "weight-scale", Usage: "`absmean|none`: scale of ternary products",
	},
	{
		Name: "ttt_rule", Value: func(c *Config) any { return &c.Rule },
		Flag: "ttt-rule", Usage: "`sequential|minibatch`: how the tied mixer's memory learns in training",
	},
	{
		Name: "ttt_chunk", Value: func(c *Config) any { return &c.Chunk }, written: func(c Config) bool { return c.Rule == RuleMinibatch },
		Flag: "ttt-chunk", Usage: "`N` tokens of one step of the minibatch rule",
	},
	{
		Name: "ttt_mixer", Value: func(c *Config) any { return &c.Mixer }, written: func(c Config) bool { return c.Mixer != Mixers()[0] },
		Flag: "mixer", Usage: "`" + strings.Join(Mixers(), "|") + "`: one projection as key, value and query, or keys, values and queries of their own",
	},
	{
		Name: "ttt_dim", Value: func(c *Config) any { return &c.MemoryWidth }, written: func(c Config) bool { return c.Uses("ttt_dim") },
		Flag: "ttt-dim", Usage: "width `N` of the delta mixer's memory, 0 = a quarter of --dim",
	},
	{
		Name: "ttt_heads", Value: func(c *Config) any { return &c.Heads }, written: func(c Config) bool { return c.Uses("ttt_heads") },
		Flag: "ttt-heads", Usage: "`N` heads of the delta mixer's memory, 0 = one for each 64 of --ttt-dim",
	},
	{
		Name: "mlp_dim", Value: func(c *Config) any { return &c.MLPWidth }, written: func(c Config) bool { return c.MLPWidth != 4*c.Width },
		Flag: "mlp-dim", Usage: "width `N` inside the MLP, 0 = 4 times --dim",
	},
	{
		Name: "hidden_act", Value: func(c *Config) any { return &c.Activation }, written: func(c Config) bool { return c.Activation != ActivationSiLU },
		Flag: "hidden-act", Usage: "`" + strings.Join(layer.Activations(), "|") + "`: what the gate of the MLP goes through",
	},
	{
		Name: "rms_norm_eps", Value: func(c *Config) any { return &c.NormEps }, written: func(c Config) bool { return c.NormEps != op.NormEps },
		Positive: true, Flag: "norm-eps", Usage: "number `E` that norms add to the mean square, 0 = 1e-5",
	},
	{
		Name: "tie_word_embeddings", Value: func(c *Config) any { return &c.TiedHead }, written: func(c Config) bool { return c.TiedHead },
		Flag: "tie-word-embeddings", Usage: "let the embedding be the head too, one table in place of two",
	},
}

package nn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"sort"
)

// Values of the configuration's words.
const (
	ScaleNone    = "none"    // y = x·Qᵀ, what the first engine trains and runs
	ScaleAbsmean = "absmean" // y = γ·x·Qᵀ, BitNet b1.58 (arXiv 2402.17764)

	RuleSequential = "sequential" // one exact step a token
	RuleMinibatch  = "minibatch"  // one summed step a chunk, as the first engine trains

	MixerTied  = "tied"  // key = value = query
	MixerDelta = "delta" // keys, values and queries of their own
)

// DefaultMinibatch is the chunk of the minibatch rule where a config names none.
const DefaultMinibatch = 32

// Limits that no real model reaches; a larger number in a file is a broken file.
const (
	maxWidth  = 1 << 17
	maxLayers = 1 << 12
	maxVocab  = 1 << 24
)

// Config is what config.json says. The zero value of an optional field means its default.
type Config struct {
	Vocab   int     // V
	Width   int     // D
	Layers  int     // N
	InnerLR float64 // η of the tied mixer

	WeightScale string // ScaleNone or ScaleAbsmean
	Rule        string // RuleSequential or RuleMinibatch: the rule the model was trained with
	Chunk       int    // chunk of the minibatch rule
	Mixer       string // MixerTied or MixerDelta
	MemoryWidth int    // d
	Heads       int    // h

	extra map[string]json.RawMessage // keys that we do not know, kept
}

// MLPWidth is H, the width inside the MLP.
func (c Config) MLPWidth() int { return 4 * c.Width }

// HeadWidth is c, the width of one head of the memory.
func (c Config) HeadWidth() int { return c.MemoryWidth / c.Heads }

// Delta says whether the mixer is the delta rule's.
func (c Config) Delta() bool { return c.Mixer == MixerDelta }

// MixWidth is the number of rows of the mixer's input projection: d, or 3d for key, query, value.
func (c Config) MixWidth() int {
	if c.Delta() {
		return 3 * c.MemoryWidth
	}
	return c.MemoryWidth
}

// WithDefaults fills what is missing.
func (c Config) WithDefaults() Config {
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
		c.Mixer = MixerTied
	}
	if c.MemoryWidth == 0 || c.Mixer == MixerTied {
		c.MemoryWidth = c.Width / 4
	}
	if c.Mixer == MixerTied {
		c.Heads = 1
	} else if c.Heads == 0 {
		c.Heads = max(1, c.MemoryWidth/64)
	}
	return c
}

// Validate says in one sentence what is wrong with a configuration that WithDefaults has filled.
func (c Config) Validate() error {
	switch {
	case c.Vocab < 1 || c.Vocab > maxVocab:
		return fmt.Errorf("vocab_size: 1 to %d wanted, %d found", maxVocab, c.Vocab)
	case c.Width < 4 || c.Width > maxWidth || c.Width%4 != 0:
		return fmt.Errorf("hidden_dim: a multiple of 4 up to %d wanted, %d found", maxWidth, c.Width)
	case c.Layers < 1 || c.Layers > maxLayers:
		return fmt.Errorf("num_layers: 1 to %d wanted, %d found", maxLayers, c.Layers)
	case !(c.InnerLR >= 0 && c.InnerLR <= math.MaxFloat32):
		return fmt.Errorf("inner_lr: a float32 that is not negative wanted, %v found", c.InnerLR)
	case c.WeightScale != ScaleNone && c.WeightScale != ScaleAbsmean:
		return fmt.Errorf("weight_scale: %q or %q wanted, %q found", ScaleNone, ScaleAbsmean, c.WeightScale)
	case c.Rule != RuleSequential && c.Rule != RuleMinibatch:
		return fmt.Errorf("ttt_rule: %q or %q wanted, %q found", RuleSequential, RuleMinibatch, c.Rule)
	case c.Chunk < 1 || c.Chunk > maxWidth:
		return fmt.Errorf("ttt_chunk: 1 to %d wanted, %d found", maxWidth, c.Chunk)
	case c.Mixer != MixerTied && c.Mixer != MixerDelta:
		return fmt.Errorf("ttt_mixer: %q or %q wanted, %q found", MixerTied, MixerDelta, c.Mixer)
	case c.Delta() && c.Rule == RuleMinibatch:
		return fmt.Errorf("ttt_rule: the %q mixer knows the %q rule only, %q found", MixerDelta, RuleSequential, c.Rule)
	case c.MemoryWidth < 1 || c.MemoryWidth > maxWidth:
		return fmt.Errorf("ttt_dim: 1 to %d wanted, %d found", maxWidth, c.MemoryWidth)
	case c.Heads < 1 || c.MemoryWidth%c.Heads != 0:
		return fmt.Errorf("ttt_heads: a divisor of ttt_dim %d wanted, %d found", c.MemoryWidth, c.Heads)
	}
	return nil
}

// numbers are the whole-number keys of config.json, first the name that is written, then those
// that are read as well.
func (c *Config) numbers() []struct {
	names []string
	value *int
} {
	return []struct {
		names []string
		value *int
	}{
		{[]string{"vocab_size"}, &c.Vocab},
		{[]string{"hidden_dim", "hidden_size"}, &c.Width},
		{[]string{"num_layers", "num_hidden_layers", "n_layers"}, &c.Layers},
		{[]string{"ttt_chunk"}, &c.Chunk},
		{[]string{"ttt_dim"}, &c.MemoryWidth},
		{[]string{"ttt_heads"}, &c.Heads},
	}
}

// ParseConfig reads config.json. name is the file's, for errors.
func ParseConfig(name string, data []byte) (Config, error) {
	var c Config
	raw, err := members(data)
	if err != nil {
		return c, fmt.Errorf("%s: %w", name, err)
	}
	take := func(key string, value any, want string) (bool, error) {
		r, ok := raw[key]
		delete(raw, key)
		if !ok || string(r) == "null" {
			return false, nil
		}
		if err := json.Unmarshal(r, value); err != nil {
			return false, fmt.Errorf("%s: %s: %s wanted, %.60s found", name, key, want, r)
		}
		return true, nil
	}
	for i, n := range c.numbers() {
		found := false
		for _, key := range n.names {
			var value int
			ok, err := take(key, &value, "a whole number")
			if err != nil {
				return c, err
			}
			if ok && found && value != *n.value {
				return c, fmt.Errorf("%s: %s %d contradicts %s %d", name, key, value, n.names[0], *n.value)
			}
			if ok {
				*n.value, found = value, true
				if value < 1 {
					return c, fmt.Errorf("%s: %s: a number above 0 wanted, %d found", name, key, value)
				}
			}
		}
		if !found && i < 3 {
			return c, fmt.Errorf("%s: %s is missing", name, n.names[0])
		}
	}
	ok, err := take("inner_lr", &c.InnerLR, "a number")
	if err != nil {
		return c, err
	}
	words := []struct {
		key   string
		value *string
	}{{"weight_scale", &c.WeightScale}, {"ttt_rule", &c.Rule}, {"ttt_mixer", &c.Mixer}}
	for _, w := range words {
		ok, err := take(w.key, w.value, "a word")
		if err != nil {
			return c, err
		}
		if ok && *w.value == "" { // which counts as missing in a Config
			return c, fmt.Errorf("%s: %s: got \"\", want a word", name, w.key)
		}
	}
	c.extra = raw
	c = c.WithDefaults()
	if !ok && !c.Delta() {
		return c, fmt.Errorf("%s: inner_lr is missing", name)
	}
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// maxKeys is far beyond the keys of any config.json, and bounds what a broken one takes in memory.
const maxKeys = 1 << 12

// members are the members of a JSON object; of equal names the last.
func members(data []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, errors.New("a JSON object wanted")
	}
	all := map[string]json.RawMessage{}
	for d.More() {
		var value json.RawMessage
		key, err := d.Token()
		if err == nil {
			err = d.Decode(&value)
		}
		if err != nil {
			return nil, fmt.Errorf("a JSON object wanted: %w", err)
		}
		if all[key.(string)] = value; len(all) > maxKeys {
			return nil, fmt.Errorf("got more than %d keys, want those of a model", maxKeys)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("a JSON object wanted: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("a JSON object wanted, more follows it")
	}
	return all, nil
}

// MarshalJSON writes config.json: the four keys of the first engine, then what differs from the
// defaults, then the unknown keys that were read.
func (c Config) MarshalJSON() ([]byte, error) {
	type pair struct {
		key   string
		value any
	}
	pairs := []pair{
		{"vocab_size", c.Vocab}, {"hidden_dim", c.Width}, {"num_layers", c.Layers}, {"inner_lr", c.InnerLR},
		{"weight_scale", c.WeightScale}, {"ttt_rule", c.Rule},
	}
	if c.Rule == RuleMinibatch {
		pairs = append(pairs, pair{"ttt_chunk", c.Chunk})
	}
	if c.Delta() {
		pairs = append(pairs, pair{"ttt_mixer", c.Mixer}, pair{"ttt_dim", c.MemoryWidth}, pair{"ttt_heads", c.Heads})
	}
	keys := make([]string, 0, len(c.extra))
	for k := range c.extra {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		pairs = append(pairs, pair{k, c.extra[k]})
	}
	out := []byte{'{'}
	for i, p := range pairs {
		if i > 0 {
			out = append(out, ',')
		}
		k, _ := json.Marshal(p.key)
		v, err := json.Marshal(p.value)
		if err != nil {
			return nil, fmt.Errorf("config: %s: %w", p.key, err)
		}
		out = append(append(append(out, k...), ':'), v...)
	}
	return append(out, '}'), nil
}

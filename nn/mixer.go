package nn

import (
	"slices"
	"strings"

	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// Names of mixers in config.json.
const (
	MixerTied  = "tied"  // key = value = query
	MixerDelta = "delta" // separate keys, values and queries
)

// mixer is a memory that the blocks of our own models may have, and how it uses the configuration.
type mixer[T any] struct {
	name string
	// keys of config.json that it uses and other mixers do not.
	keys  []string
	rules []string // that it can learn by, the default first
	// rateLimit is the inner_lr from which on the sequential rule diverges; 0 where inner_lr is not used.
	rateLimit float64
	layer     func(c Config, scan op.Scan) layer.Layer[T]
}

// mixers lists all mixers, the default first. A mixer is added here, with its layer, and nowhere else: everything that depends
// on the mixer asks Config.
func mixers[T any]() []mixer[T] {
	return []mixer[T]{
		{
			name: MixerTied, keys: []string{"inner_lr"}, rules: []string{RuleSequential, RuleMinibatch}, rateLimit: 2,
			layer: func(c Config, scan op.Scan) layer.Layer[T] {
				return &layer.Tied[T]{Width: c.Width, Inner: c.MemoryWidth, Scan: scan, Eps: c.NormEps}
			},
		},
		{
			name: MixerDelta, keys: []string{"ttt_dim", "ttt_heads"}, rules: []string{RuleSequential},
			layer: func(c Config, scan op.Scan) layer.Layer[T] {
				return &layer.Delta[T]{Width: c.Width, Inner: c.MemoryWidth, Heads: c.Heads, Chunk: scan.Chunk, Eps: c.NormEps}
			},
		},
	}
}

// mixerOf returns the configuration's mixer, or one without a name if there is none, as in public families.
func mixerOf[T any](c Config) (found mixer[T]) {
	for _, m := range mixers[T]() {
		if m.name == c.Mixer {
			return m
		}
	}
	return found
}

// Mixers returns the names of all mixers, the default first.
func Mixers() (names []string) {
	for _, m := range mixers[struct{}]() {
		names = append(names, m.name)
	}
	return names
}

// MixersWith returns the names of the mixers that use a key of config.json.
func MixersWith(key string) []string {
	return slices.DeleteFunc(Mixers(), func(name string) bool { return !Config{Mixer: name}.Uses(key) })
}

// FindMixer returns the mixer of a file with tensors of our own model: the one that has the most of them in its first block.
func FindMixer(has func(tensor string) bool) (name string) {
	most := -1
	for _, m := range Mixers() {
		n := 0
		for _, p := range Params(Config{Width: 4, Layers: 1, Mixer: m}.WithDefaults()) {
			for _, tensor := range p.Names {
				if has(tensor) {
					n++
				}
			}
		}
		if n > most {
			name, most = m, n
		}
	}
	return name
}

// Uses reports whether the configuration's mixer uses a key of config.json. Keys that have nothing to do with mixers are used.
func (c Config) Uses(key string) bool {
	isKey := func(m mixer[struct{}]) bool { return slices.Contains(m.keys, key) }
	return isKey(mixerOf[struct{}](c)) || !slices.ContainsFunc(mixers[struct{}](), isKey)
}

// Rules returns the rules that the memory can learn by, the default first; none for a public family.
func (c Config) Rules() []string { return mixerOf[struct{}](c).rules }

// RateLimit returns the InnerLR from which on the sequential rule diverges, 0 where the model does not use InnerLR.
func (c Config) RateLimit() float64 { return mixerOf[struct{}](c).rateLimit }

// Learning describes how the memory learns. ok is false for models without a [layer.Memory].
func (c Config) Learning() (how layer.Learning, ok bool) {
	m := mixerOf[struct{}](c)
	if m.layer == nil {
		return how, false
	}
	memory, ok := m.layer(c, c.DefaultScan()).(layer.Memory[struct{}])
	if ok {
		how = memory.Learning()
	}
	return how, ok
}

// Kind says in a word or two what the model is made of: its mixer, or the public family that it belongs to.
func (c Config) Kind() string {
	if c.Decoder != nil {
		return c.Decoder.Family
	}
	return c.Mixer + " mixer"
}

// quoted joins words for an error: "a" or "b".
func quoted(words []string) string { return `"` + strings.Join(words, `" or "`) + `"` }

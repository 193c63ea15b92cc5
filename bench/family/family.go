// Package family makes models of the shapes that people download, with random weights: in memory, to measure our engines, and
// as GGUF files, to measure other programs on the same models. Nothing is downloaded, and what such a model writes is noise.
//
// # Why
//
// Why random weights? What a token costs depends on the shape and on how weights are stored, not on their values. A shape is
// available everywhere, at once, and needs no licence.
//
// Why are parameters made one at a time, each from its own seed? A model of 27 billion weights then takes no more memory than
// the engine needs for it, and even a model that does not fit into memory can be written to a file.
//
// Why do neighbouring groups of 128 inputs share their scale? So that one model can be written with blocks of 64, 128 and
// 256 weights, and programs that support only one of these compute the same.
package family

import (
	"fmt"
	"strings"

	"bitgpu/nn"
	"bitgpu/nn/arch"
)

// Family is the shape of a public model, and how its weights are stored.
type Family struct {
	Name    string
	Decoder arch.Decoder
	// Group is how many inputs of a row share a float16 scale; 0 means one γ per matrix and float16 tables, as in BitNet.
	Group int
	// Learn: a training step of an adapter is measured, too.
	Learn bool
	// Long: a token after a long context is measured, too.
	Long bool
}

// Config returns the model's configuration with room for context tokens per sequence.
func (f Family) Config(context int) nn.Config {
	d := f.Decoder
	d.Context = context
	return nn.OfDecoder(&d)
}

// all returns the named families.
func all() []Family {
	qwen3 := func(name string, width, layers, mlp, heads int, tied bool) Family {
		return Family{Name: "qwen3-" + name, Group: 128, Decoder: arch.Decoder{
			Family: "qwen3", Vocab: 151669, Width: width, Layers: layers, MLP: mlp, Heads: heads, KVHeads: 8, HeadWidth: 128,
			Context: 32768, Eps: 1e-6, Tied: tied, HeadNorms: true, Rope: arch.Rope{Width: 128, Theta: 1e6},
		}}
	}
	small, large := qwen3("1.7B", 2048, 28, 6144, 16, true), qwen3("8B", 4096, 36, 12288, 32, false)
	small.Long = true
	// Small enough that PyTorch's training in float32 fits into the memory of any machine.
	least := qwen3("100M", 640, 16, 1920, 10, true)
	least.Decoder.Vocab, least.Decoder.KVHeads, least.Decoder.HeadWidth, least.Decoder.Rope.Width, least.Learn = 32000, 5, 64, 64, true
	large.Decoder.Context = 65536
	large.Decoder.Rope.YaRN = &arch.YaRN{Factor: 4, Original: 16384, BetaFast: 32, BetaSlow: 1}
	return []Family{
		least, small, qwen3("4B", 2560, 36, 9728, 32, true), large,
		{Name: "qwen3.5-27B", Group: 128, Long: true, Decoder: arch.Decoder{
			Family: "qwen3.5", Vocab: 248320, Width: 5120, Layers: 64, MLP: 17408, Heads: 24, KVHeads: 4, HeadWidth: 256,
			Context: 262144, Eps: 1e-6, HeadNorms: true, Gated: true, Rope: arch.Rope{Width: 64, Theta: 1e7},
			Recurrent: &arch.Recurrent{KeyHeads: 16, Heads: 48, KeyWidth: 128, ValueWidth: 128, Taps: 4, Attends: everyFourth(64)},
		}},
		{Name: "bitnet-2B4T", Decoder: arch.Decoder{
			Family: "bitnet", Vocab: 128256, Width: 2560, Layers: 30, MLP: 6912, Heads: 20, KVHeads: 5, HeadWidth: 128,
			Context: 4096, Eps: 1e-5, Tied: true, SubNorms: true, Squared: true, Int8: true, Rope: arch.Rope{Width: 128, Theta: 5e5},
		}},
	}
}

// everyFourth returns which of n layers have attention: every fourth.
func everyFourth(n int) (attends []bool) {
	for i := range n {
		attends = append(attends, i%4 == 3)
	}
	return attends
}

// tiny is the suffix of the names of models that [Family.Tiny] returns.
const tiny = "-tiny"

// Tiny returns a model of the same family for tests that takes hardly any time or memory.
func (f Family) Tiny() Family {
	if strings.HasSuffix(f.Name, tiny) {
		return f
	}
	f.Name += tiny
	d := &f.Decoder
	d.Vocab, d.Width, d.Layers, d.MLP, d.Heads, d.KVHeads, d.HeadWidth, d.Rope.Width = 512, 256, 2, 512, 4, 2, 64, 64
	if d.Recurrent != nil {
		d.Layers, d.Rope.Width = 4, 16
		d.Recurrent = &arch.Recurrent{KeyHeads: 2, Heads: 4, KeyWidth: 128, ValueWidth: 128, Taps: 4, Attends: everyFourth(4)}
	}
	return f
}

// Find returns the family of a name, or of its part after the first dash. With "-tiny" appended it is the tiny one.
func Find(name string) (Family, error) {
	plain, small := strings.CutSuffix(name, tiny)
	for _, f := range all() {
		_, short, _ := strings.Cut(f.Name, "-")
		if !strings.EqualFold(plain, f.Name) && !strings.EqualFold(plain, short) {
			continue
		}
		if small {
			f = f.Tiny()
		}
		return f, nil
	}
	return Family{}, fmt.Errorf("family: got %q, want one of %s", name, strings.Join(Names(), ", "))
}

// Names returns the names of all families.
func Names() (names []string) {
	for _, f := range all() {
		names = append(names, f.Name)
	}
	return names
}

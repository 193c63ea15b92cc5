// Package arch describes the public families of ternary models, decoder-only transformers and hybrids, by the parts that
// their layers have, and makes those layers. Our own models are configured in package nn. The keys and tensor names that a
// family uses on Hugging Face and in GGUF belong to package storage/public.
//
// # Why
//
// Why one description for all families? They differ in a handful of switches. A family that fits them needs only the code
// that reads its keys; one that does not gets a layer of its own in package layer, and a case in [Layers].
package arch

import (
	"errors"
	"fmt"
	"math"

	"bitgpu/nn/layer"
)

// Decoder describes a model of a public family.
type Decoder struct {
	Family                    string // the family's name in its files: "qwen3", "bitnet", "llama" …
	Vocab, Width, Layers, MLP int    // V, D, N, H
	Heads, KVHeads, HeadWidth int    // of attention
	Context                   int    // how many tokens the model was trained for, or how many a session has room for
	HalfCache                 bool   // keys and values are kept in float16
	Eps                       float64
	Tied                      bool    // the head is the embedding
	Squared                   bool    // the MLP's activation is relu² instead of SiLU
	SubNorms                  bool    // a norm before the output product of attention and of the MLP
	HeadNorms                 bool    // norms of queries and keys
	Gated                     bool    // attention's output is multiplied by a gate
	Int8                      bool    // the inputs of linear layers are rounded to int8
	LinearNormEps             float64 // ε of a norm in front of each linear layer, behind the others and with a gain of its own; 0: there are none
	Rope                      Rope
	Recurrent                 *Recurrent // of a hybrid, else nil
	Rotation                  int        // block size of the Hadamard transform that the matrices expect of their inputs, 0: none
	Masters                   *Masters   // of a model that keeps float matrices and rounds them to ternary in each pass, else nil
}

// Masters says how float masters become ternary: each matrix by its mean magnitude with ties rounded to zero, as BitNet's
// trainers do, or by groups of inputs (ternary.QuantizeGroup).
type Masters struct {
	Group  int  `json:"group"`            // how many inputs of a row share a scale, 0: one scale per matrix
	Tables bool `json:"tables,omitempty"` // embedding and head are ternary too
	Gates  bool `json:"gates,omitempty"`  // and so are the projections for the gates of the delta rule
}

// Recurrent describes the layers of a hybrid that use the gated delta rule instead of attention.
type Recurrent struct {
	KeyHeads, Heads, KeyWidth, ValueWidth, Taps int
	Attends                                     []bool // which layers keep attention
}

// Rope says how positions rotate queries and keys.
type Rope struct {
	Width   int       // how many elements of a head are rotated
	Theta   float64   // base of the frequencies
	Factors []float64 // divisors of the frequencies, Width/2 of them, or nil (Llama 3.1)
	Linear  float64   // divisor of the positions, 0: none
	YaRN    *YaRN
}

// YaRN stretches positions beyond the context that a model was trained for (arXiv 2309.00071).
type YaRN struct {
	Factor             float64
	Original           int // context before stretching
	BetaFast, BetaSlow float64
	Scale              float64 // factor of the cosines and sines, 0: 0.1·ln(Factor) + 1
	Fractions          bool    // the ramp between the two betas begins and ends between frequencies: transformers' truncate: false
}

// Frequencies returns the rotation angles of position 1, Width/2 of them, and the factor of their cosines and sines.
func (r Rope) Frequencies() (f []float64, scale float64) {
	n := r.Width
	f, scale = make([]float64, n/2), 1.0
	for i := range f {
		f[i] = math.Pow(r.Theta, -2*float64(i)/float64(n))
		if r.Factors != nil {
			f[i] /= r.Factors[i]
		}
		if r.Linear > 0 {
			f[i] /= r.Linear
		}
	}
	if y := r.YaRN; y != nil {
		turns := func(beta float64) float64 {
			return float64(n) * math.Log(float64(y.Original)/(2*math.Pi*beta)) / (2 * math.Log(r.Theta))
		}
		low, high := turns(y.BetaFast), turns(y.BetaSlow)
		if !y.Fractions {
			low, high = math.Floor(low), math.Ceil(high)
		}
		low, high = max(low, 0), min(high, float64(n-1))
		for i := range f {
			ramp := min(max((float64(i)-low)/max(high-low, 0.001), 0), 1)
			f[i] *= 1 - ramp + ramp/y.Factor
		}
		if scale = y.Scale; scale == 0 {
			scale = 0.1*math.Log(y.Factor) + 1
		}
	}
	return f, scale
}

// Angles returns the table (n, Width) that op.RoPE reads, for n positions starting at first.
func (r Rope) Angles(first, n int) []float32 {
	f, scale := r.Frequencies()
	all := make([]float32, n*r.Width)
	for t := range n {
		row := all[t*r.Width : (t+1)*r.Width]
		for i, x := range f {
			sin, cos := math.Sincos(float64(first+t) * x)
			row[i], row[i+len(f)] = float32(scale*cos), float32(scale*sin)
		}
	}
	return all
}

// Attends reports whether layer i has attention.
func (d *Decoder) Attends(i int) bool { return d.Recurrent == nil || d.Recurrent.Attends[i] }

// Layers makes the layers of block i.
func Layers[T any](d *Decoder, i int) []layer.Layer[T] {
	linear := layer.Projection[T]{Int8: d.Int8, NormEps: d.LinearNormEps}
	mlp := &layer.MLP[T]{
		Width: d.Width, Hidden: d.MLP, Eps: d.Eps, Activation: d.Activation(), SubNormed: d.SubNorms, Rotation: d.Rotation,
		GateUp: linear, Down: linear,
	}
	if !d.Attends(i) {
		r := d.Recurrent
		return []layer.Layer[T]{&layer.GatedDelta[T]{
			Width: d.Width, KeyHeads: r.KeyHeads, Heads: r.Heads, KeyWidth: r.KeyWidth, ValueWidth: r.ValueWidth, Taps: r.Taps,
			Eps: d.Eps, Rotation: d.Rotation,
		}, mlp}
	}
	return []layer.Layer[T]{&layer.Attention[T]{
		Width: d.Width, Heads: d.Heads, KVHeads: d.KVHeads, HeadWidth: d.HeadWidth, Eps: d.Eps,
		HeadNorms: d.HeadNorms, Gated: d.Gated, SubNormed: d.SubNorms, Half: d.HalfCache, Rotation: d.Rotation,
		QKV: linear, Output: linear,
	}, mlp}
}

// Limits that no real model reaches.
const (
	maxWidth   = 1 << 17
	maxLayers  = 1 << 12
	maxVocab   = 1 << 24
	maxContext = 1 << 24
)

// Validate returns nil, or an error that says in one sentence what is wrong.
func (d *Decoder) Validate() error {
	for _, n := range []struct {
		name        string
		value, most int
	}{
		{"vocabulary", d.Vocab, maxVocab}, {"width", d.Width, maxWidth}, {"layers", d.Layers, maxLayers}, {"width of the MLP", d.MLP, 4 * maxWidth},
		{"heads", d.Heads, maxWidth}, {"key and value heads", d.KVHeads, maxWidth}, {"width of a head", d.HeadWidth, maxWidth},
		{"context", d.Context, maxContext}, {"width of the rotary embedding", d.Rope.Width, d.HeadWidth},
	} {
		if n.value < 1 || n.value > n.most {
			return fmt.Errorf("%s: got %d, want 1 to %d", n.name, n.value, n.most)
		}
	}
	switch {
	case d.Heads%d.KVHeads != 0:
		return fmt.Errorf("key and value heads: got %d, want a divisor of the %d heads", d.KVHeads, d.Heads)
	case d.Heads*d.HeadWidth > 4*maxWidth:
		return fmt.Errorf("heads: got %d of width %d, want %d elements at most", d.Heads, d.HeadWidth, 4*maxWidth)
	case d.Rope.Width%2 != 0:
		return fmt.Errorf("width of the rotary embedding: got %d, want an even number", d.Rope.Width)
	case !(d.Eps > 0 && d.Eps < 1):
		return fmt.Errorf("epsilon of the norms: got %v, want a number between 0 and 1", d.Eps)
	case !(d.Rope.Theta > 1 && d.Rope.Theta < math.MaxFloat32):
		return fmt.Errorf("base of the rotary embedding: got %v, want a number above 1", d.Rope.Theta)
	case d.Rope.Factors != nil && len(d.Rope.Factors) != d.Rope.Width/2:
		return fmt.Errorf("factors of the rotary embedding: got %d, want %d", len(d.Rope.Factors), d.Rope.Width/2)
	case d.Rotation != 0 && (d.Rotation&(d.Rotation-1) != 0 || d.Width%d.Rotation != 0 || d.MLP%d.Rotation != 0):
		return fmt.Errorf("block of the Hadamard transform: got %d, want a power of two that divides the widths %d and %d", d.Rotation, d.Width, d.MLP)
	}
	switch {
	case d.LinearNormEps == 0:
	case !(d.LinearNormEps > 0 && d.LinearNormEps < 1):
		return fmt.Errorf("epsilon of the norms in front of linear layers: got %v, want a number between 0 and 1, or 0 for no such norms", d.LinearNormEps)
	case d.Recurrent != nil || d.Gated || d.Rotation != 0:
		return errors.New("norms in front of linear layers: got them in a model with a gated delta rule, gates or a Hadamard transform, want them in a plain transformer")
	}
	for _, x := range d.Rope.Factors {
		if !(x > 0 && x < math.MaxFloat32) {
			return fmt.Errorf("factors of the rotary embedding: got %v, want numbers above 0", x)
		}
	}
	if y := d.Rope.YaRN; y != nil && !(y.Factor >= 1 && y.Factor < 1e6 && y.Original > 0 && y.BetaFast > 0 && y.BetaSlow > 0 && y.Scale >= 0 && y.Scale < 1e6) {
		return fmt.Errorf("YaRN: got factor %v of %d tokens, want a factor of 1 or more", y.Factor, y.Original)
	}
	return d.validateRecurrent()
}

func (d *Decoder) validateRecurrent() error {
	r := d.Recurrent
	if r == nil {
		return nil
	}
	for _, n := range []struct {
		name  string
		value int
	}{
		{"key heads", r.KeyHeads}, {"value heads", r.Heads}, {"width of a key", r.KeyWidth}, {"width of a value", r.ValueWidth},
	} {
		if n.value < 1 || n.value > maxWidth {
			return fmt.Errorf("%s of the recurrent layers: got %d, want 1 to %d", n.name, n.value, maxWidth)
		}
	}
	switch {
	case r.Heads%r.KeyHeads != 0:
		return fmt.Errorf("value heads of the recurrent layers: got %d, want a multiple of the %d key heads", r.Heads, r.KeyHeads)
	case r.Taps < 2 || r.Taps > 64:
		return fmt.Errorf("convolution of the recurrent layers: got %d taps, want 2 to 64", r.Taps)
	case len(r.Attends) != d.Layers:
		return fmt.Errorf("kinds of layers: got %d, want one for each of the %d layers", len(r.Attends), d.Layers)
	case r.KeyHeads*r.KeyWidth > 4*maxWidth || r.Heads*r.ValueWidth > 4*maxWidth:
		return fmt.Errorf("heads of the recurrent layers: got %d of width %d, want %d elements at most", r.Heads, r.ValueWidth, 4*maxWidth)
	}
	return nil
}

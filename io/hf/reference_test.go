package hf

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"bitgpu/io/gguf"
)

// reference is a decoder of the LLaMA kind in float64, with what BitNet and Qwen3 add. It is slow and plain: it is here
// to show that the weights read are those the logits were made from.
type reference struct {
	t           *testing.T
	Hidden      int                            `json:"hidden_size"`
	Inter       int                            `json:"intermediate_size"`
	Layers      int                            `json:"num_hidden_layers"`
	Heads       int                            `json:"num_attention_heads"`
	KV          int                            `json:"num_key_value_heads"`
	HeadDim     int                            `json:"head_dim"`
	Act         string                         `json:"hidden_act"`
	Eps         float64                        `json:"rms_norm_eps"`
	Theta       float64                        `json:"rope_theta"`
	neighbours  bool                           // rope turns pairs of neighbours, as in llama.cpp's files of the architecture llama
	roundInputs func(float64) float64          // of a linear layer, to int8; nil leaves them
	matrix      func(string) ([]float32, bool) // a tensor by Hugging Face's name
}

func newReference(t *testing.T, c *Checkpoint) *reference {
	r := &reference{t: t}
	if err := json.Unmarshal(c.Config, r); err != nil {
		t.Fatal(err)
	}
	if r.HeadDim == 0 {
		r.HeadDim = r.Hidden / r.Heads
	}
	if c.quantization.Method == "bitnet" {
		r.roundInputs = math.RoundToEven
	}
	return r
}

func referenceOfGGUF(t *testing.T, f *gguf.File) *reference {
	arch, err := f.Text("general.architecture")
	if err != nil {
		t.Fatal(err)
	}
	number := func(key string) int {
		n, err := f.Int(arch + "." + key)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	r := &reference{t: t, Hidden: number("embedding_length"), Inter: number("feed_forward_length"), Layers: number("block_count"), Heads: number("attention.head_count"),
		KV: number("attention.head_count_kv"), HeadDim: number("rope.dimension_count"), Act: "silu", neighbours: arch == "llama"}
	if r.Eps, err = f.Float(arch + ".attention.layer_norm_rms_epsilon"); err != nil {
		t.Fatal(err)
	}
	if r.Theta, err = f.Float(arch + ".rope.freq_base"); err != nil {
		t.Fatal(err)
	}
	r.Eps = map[bool]float64{true: 1e-6, false: 1e-5}[r.Eps < 5e-6] // the float64 the model was made with, which the file holds as float32
	if arch == "bitnet-b1.58" {
		r.Act, r.roundInputs = "relu2", math.RoundToEven
	}
	return r
}

// norm is x · w / √(mean x² + ε), or x where there is no such tensor.
func (r *reference) norm(x []float64, name string) []float64 {
	w, ok := r.matrix(name)
	if !ok {
		return x
	}
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = v / math.Sqrt(sum/float64(len(x))+r.Eps) * float64(w[i])
	}
	return out
}

func (r *reference) product(x []float64, w []float32, rows int) []float64 {
	out := make([]float64, rows)
	for i := range out {
		for j, v := range x {
			out[i] += v * float64(w[i*len(x)+j])
		}
	}
	return out
}

func (r *reference) linear(x []float64, name string, rows int) []float64 {
	if r.roundInputs != nil {
		largest := 1e-5
		for _, v := range x {
			largest = max(largest, math.Abs(v))
		}
		s := 127 / largest
		x = slices.Clone(x)
		for i, v := range x {
			x[i] = max(-128, min(127, r.roundInputs(v*s))) / s
		}
	}
	w, ok := r.matrix(name)
	if !ok {
		r.t.Fatalf("%s is not there", name)
	}
	return r.product(x, w, rows)
}

// heads cuts x into heads, norms each and turns it to its position.
func (r *reference) heads(x []float64, name string, position int) [][]float64 {
	var out [][]float64
	for head := range slices.Chunk(x, r.HeadDim) {
		head = slices.Clone(r.norm(head, name))
		for i := range r.HeadDim / 2 {
			a, b := i, i+r.HeadDim/2
			if r.neighbours {
				a, b = 2*i, 2*i+1
			}
			sin, cos := math.Sincos(float64(position) / math.Pow(r.Theta, float64(2*i)/float64(r.HeadDim)))
			head[a], head[b] = head[a]*cos-head[b]*sin, head[b]*cos+head[a]*sin
		}
		out = append(out, head)
	}
	return out
}

func (r *reference) forward(tokens []float64) []float64 {
	embedding, _ := r.matrix("model.embed_tokens.weight")
	var xs [][]float64
	for _, id := range tokens {
		x := make([]float64, r.Hidden)
		for i := range x {
			x[i] = float64(embedding[int(id)*r.Hidden+i])
		}
		xs = append(xs, x)
	}
	for layer := range r.Layers {
		p := fmt.Sprintf("model.layers.%d.", layer)
		var keys, values [][][]float64
		for t, x := range xs {
			h := r.norm(x, p+"input_layernorm.weight")
			q := r.heads(r.linear(h, p+"self_attn.q_proj.weight", r.Heads*r.HeadDim), p+"self_attn.q_norm.weight", t)
			keys = append(keys, r.heads(r.linear(h, p+"self_attn.k_proj.weight", r.KV*r.HeadDim), p+"self_attn.k_norm.weight", t))
			values = append(values, slices.Collect(slices.Chunk(r.linear(h, p+"self_attn.v_proj.weight", r.KV*r.HeadDim), r.HeadDim)))
			var o []float64
			for head := range q {
				o = append(o, attend(q[head], keys, values, head*r.KV/r.Heads)...)
			}
			o = r.linear(r.norm(o, p+"self_attn.attn_sub_norm.weight"), p+"self_attn.o_proj.weight", r.Hidden)
			for i := range x {
				x[i] += o[i]
			}
			h = r.norm(x, p+"post_attention_layernorm.weight")
			gate, up := r.linear(h, p+"mlp.gate_proj.weight", r.Inter), r.linear(h, p+"mlp.up_proj.weight", r.Inter)
			for i, g := range gate {
				if r.Act == "relu2" {
					up[i] *= max(g, 0) * max(g, 0)
				} else {
					up[i] *= g / (1 + math.Exp(-g))
				}
			}
			down := r.linear(r.norm(up, p+"mlp.ffn_sub_norm.weight"), p+"mlp.down_proj.weight", r.Hidden)
			for i := range x {
				x[i] += down[i]
			}
		}
	}
	head, ok := r.matrix("lm_head.weight")
	if !ok {
		head = embedding
	}
	var logits []float64
	for _, x := range xs {
		logits = append(logits, r.product(r.norm(x, "model.norm.weight"), head, len(head)/r.Hidden)...)
	}
	return logits
}

// attend is softmax(q·k/√d)·v over the positions so far, for one head.
func attend(q []float64, keys, values [][][]float64, head int) []float64 {
	out, sum, largest := make([]float64, len(q)), 0.0, math.Inf(-1)
	scores := make([]float64, len(keys))
	for s := range keys {
		for i, v := range q {
			scores[s] += v * keys[s][head][i] / math.Sqrt(float64(len(q)))
		}
		largest = max(largest, scores[s])
	}
	for s := range keys {
		p := math.Exp(scores[s] - largest)
		sum += p
		for i := range out {
			out[i] += p * values[s][head][i]
		}
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// compare holds the logits against those of a file, to a share of the largest.
func (r *reference) compare(name, path string, tolerance float64) {
	r.t.Helper()
	cache := map[string][]float32{}
	read := r.matrix
	r.matrix = func(tensor string) ([]float32, bool) {
		w, ok := cache[tensor]
		if !ok {
			w, ok = read(tensor)
			cache[tensor] = w
		}
		return w, ok && w != nil
	}
	want := expectedFloats(r.t, path, "logits_f64")
	got := r.forward(expectedFloats(r.t, path, "tokens"))
	if len(got) != len(want) {
		r.t.Fatalf("%s: %d logits, want %d", name, len(got), len(want))
	}
	off, largest := 0.0, 0.0
	for i, w := range want {
		off, largest = max(off, math.Abs(got[i]-w)), max(largest, math.Abs(w))
	}
	r.t.Logf("%s: %.2g of %.3g off", name, off, largest)
	if !(off <= tolerance*largest) {
		r.t.Errorf("%s: logits are %g off of up to %g, want %g at most", name, off, largest, tolerance*largest)
	}
}

package public

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"bitgpu/io/ggml"
	"bitgpu/io/gguf"
	"bitgpu/nn/arch"
)

// ggufFamilies maps the known values of general.architecture to our names of the families.
var ggufFamilies = map[string]string{
	"llama": "llama", "bitnet": "bitnet", "bitnet-b1.58": "bitnet", "bitnet-25": "bitnet", "qwen3": "qwen3", "qwen35": "qwen3.5",
}

// keyReader reads the metadata of one architecture. It keeps the first error.
type keyReader struct {
	f    *gguf.File
	arch string
	err  error
}

// optional reads a key below the architecture's name, or returns other where the key is missing.
func optional[V any](r *keyReader, key string, read func(string) (V, error), other V) V {
	v, err := read(r.arch + "." + key)
	if errors.Is(err, gguf.ErrMissing) {
		return other
	}
	if err != nil && r.err == nil {
		r.err = err
	}
	return v
}

func (r *keyReader) int(key string) int {
	n, err := r.f.Int(r.arch + "." + key)
	if err != nil && r.err == nil {
		r.err = err
	}
	return n
}

// parseGGUF reads the keys of a GGUF file. The size of the vocabulary is not among them: it is that of the embedding.
func parseGGUF(f *gguf.File) (*arch.Decoder, error) {
	if n, err := f.Int("split.count"); err == nil && n > 1 {
		return nil, fmt.Errorf("%s: split.count: got one of %d files, want all in one, as llama.cpp's llama-gguf-split --merge writes it", f.Name(), n)
	}
	name, err := f.Text("general.architecture")
	if err != nil {
		return nil, err
	}
	family, ok := ggufFamilies[name]
	if !ok {
		return nil, fmt.Errorf("%s: general.architecture: got %q, want bitnet, bitnet-25, bitnet-b1.58, llama, qwen3 or qwen35", f.Name(), name)
	}
	r := &keyReader{f: f, arch: name}
	d := &arch.Decoder{
		Family: family, Width: r.int("embedding_length"), MLP: r.int("feed_forward_length"), Layers: r.int("block_count"),
		Heads: r.int("attention.head_count"), Context: r.int("context_length"),
	}
	if d.Eps, err = f.Float(name + ".attention.layer_norm_rms_epsilon"); err != nil && r.err == nil {
		r.err = err
	}
	d.Eps = decimal(d.Eps)
	d.KVHeads = optional(r, "attention.head_count_kv", f.Int, d.Heads)
	if r.err != nil {
		return nil, r.err
	}
	if d.Heads < 1 {
		return nil, fmt.Errorf("%s: %s.attention.head_count: got %d, want 1 or more", f.Name(), name, d.Heads)
	}
	d.HeadWidth = optional(r, "attention.key_length", f.Int, d.Width/d.Heads)
	if v := optional(r, "attention.value_length", f.Int, d.HeadWidth); v != d.HeadWidth {
		return nil, fmt.Errorf("%s: %s.attention.value_length: got %d, want %d as key_length is", f.Name(), name, v, d.HeadWidth)
	}
	d.Layers -= optional(r, "nextn_predict_layers", f.Int, 0) // the last blocks predict further tokens, and are left out
	_, head := f.Tensor("output.weight")
	d.Tied = !head
	d.Squared = name == "bitnet-b1.58" || name == "bitnet-25"
	d.SubNorms = family == "bitnet"
	d.HeadNorms = strings.HasPrefix(family, "qwen3")
	d.Int8 = slices.ContainsFunc(f.Tensors(), func(t gguf.Tensor) bool { return t.Type == ggml.I2_S })
	r.rope(d)
	if family == "qwen3.5" {
		r.recurrent(d)
	} else if d.Rope.Width < d.HeadWidth && r.err == nil {
		r.err = fmt.Errorf("%s: %s.rope.dimension_count: got %d of %d elements of a head, want all: only qwen35 rotates a part", f.Name(), name, d.Rope.Width, d.HeadWidth)
	}
	r.hadamard(d)
	return d, r.err
}

// ropeFactors is the tensor of the divisors of the frequencies.
const ropeFactors = "rope_freqs.weight"

// plainYaRN are keys of which only the usual value is known to mean one thing to all who read and write them.
var plainYaRN = map[string]float64{
	"rope.scaling.attn_factor": 1, "rope.scaling.yarn_attn_factor": 1, "rope.scaling.yarn_ext_factor": 1, "rope.scaling.yarn_log_multiplier": 0,
}

// rope reads the keys of the rotary embedding.
func (r *keyReader) rope(d *arch.Decoder) {
	f := r.f
	d.Rope = arch.Rope{Width: optional(r, "rope.dimension_count", f.Int, d.HeadWidth), Theta: decimal(optional(r, "rope.freq_base", f.Float, 10_000))}
	factor := optional(r, "rope.scaling.factor", f.Float, optional(r, "rope.scale_linear", f.Float, 1))
	switch kind := optional(r, "rope.scaling.type", f.Text, "linear"); kind { // a factor alone is linear in llama.cpp, too
	case "none":
	case "linear":
		if factor != 1 {
			d.Rope.Linear = factor
		}
		if !(factor > 0) && r.err == nil {
			r.err = fmt.Errorf("%s: %s.rope.scaling.factor: got %v, want a number above 0", f.Name(), r.arch, factor)
		}
	case "yarn":
		d.Rope.YaRN = &arch.YaRN{
			Factor: factor, Original: optional(r, "rope.scaling.original_context_length", f.Int, d.Context),
			BetaFast: decimal(optional(r, "rope.scaling.yarn_beta_fast", f.Float, 32)),
			BetaSlow: decimal(optional(r, "rope.scaling.yarn_beta_slow", f.Float, 1)),
		}
		for key, plain := range plainYaRN {
			if got := optional(r, key, f.Float, plain); got != plain && r.err == nil {
				r.err = fmt.Errorf("%s: %s.%s: got %v, want %v: not supported", f.Name(), r.arch, key, got, plain)
			}
		}
	default:
		if r.err == nil {
			r.err = fmt.Errorf("%s: %s.rope.scaling.type: got %q, want none, linear or yarn", f.Name(), r.arch, kind)
		}
	}
	if t, ok := f.Tensor(ropeFactors); ok && r.err == nil {
		m := t.Matrix()
		if m.Rows != 1 || m.Cols != d.Rope.Width/2 {
			r.err = fmt.Errorf("%s: %s: got %d × %d factors, want %d", f.Name(), t.Name, m.Rows, m.Cols, d.Rope.Width/2)
			return
		}
		row := make([]float32, m.Cols)
		if r.err = m.Floats(row, 0); r.err == nil {
			for _, x := range row {
				d.Rope.Factors = append(d.Rope.Factors, float64(x))
			}
		}
	}
}

// recurrent reads the keys of the gated delta rule.
func (r *keyReader) recurrent(d *arch.Decoder) {
	d.Gated = true
	d.Recurrent = &arch.Recurrent{KeyHeads: r.int("ssm.group_count"), Heads: r.int("ssm.time_step_rank"), KeyWidth: r.int("ssm.state_size"), Taps: r.int("ssm.conv_kernel")}
	inner := r.int("ssm.inner_size")
	if r.err != nil {
		return
	}
	if d.Recurrent.Heads < 1 || inner%d.Recurrent.Heads != 0 {
		r.err = fmt.Errorf("%s: %s.ssm.inner_size: got %d, want a multiple of the %d heads of ssm.time_step_rank", r.f.Name(), r.arch, inner, d.Recurrent.Heads)
		return
	}
	d.Recurrent.ValueWidth = inner / d.Recurrent.Heads
	recurrent := optional(r, "attention.recurrent_layers", r.f.Bools, nil)
	interval := optional(r, "full_attention_interval", r.f.Int, 4)
	if recurrent != nil && len(recurrent) < d.Layers || interval < 1 || d.Layers > 1<<16 {
		r.err = fmt.Errorf("%s: %s.attention.recurrent_layers: got %d, and a full_attention_interval of %d, want one for each of %d layers", r.f.Name(), r.arch, len(recurrent), interval, d.Layers)
		return
	}
	for i := range d.Layers {
		d.Recurrent.Attends = append(d.Recurrent.Attends, recurrent == nil && (i+1)%interval == 0 || recurrent != nil && !recurrent[i])
	}
}

// hadamardPrefix begins the keys about matrices that expect a Hadamard transform of their input.
const hadamardPrefix = "prism.hadamard."

// hadamard reads the keys of the transform, and refuses unknown ones: a model run without them would write nonsense.
func (r *keyReader) hadamard(d *arch.Decoder) {
	f := r.f
	found := false
	for _, key := range f.Keys() {
		name, ok := strings.CutPrefix(key, hadamardPrefix)
		if !ok {
			continue
		}
		found = true
		switch name {
		case "version", "block_size", "transform", "axis", "sign_mode", "sign_widths", "sign_values", "weight_names", "inverse_weight_names", "gdn_v_grouped", "tied_output":
		default:
			if r.err == nil {
				r.err = fmt.Errorf("%s: %s is not known: the file needs a newer program", f.Name(), key)
			}
		}
	}
	if !found || r.err != nil {
		return
	}
	k := &keyReader{f: f, arch: strings.TrimSuffix(hadamardPrefix, ".")}
	tied := optional(k, "tied_output", f.Bool, false)
	version := k.int("version")
	for _, want := range [][2]string{
		{"transform", "normalized-sylvester-walsh-hadamard"}, {"axis", "input-last-dimension"},
	} {
		if got := optional(k, want[0], f.Text, want[1]); got != want[1] && k.err == nil {
			k.err = fmt.Errorf("%s: %s%s: got %q, want %q", f.Name(), hadamardPrefix, want[0], got, want[1])
		}
	}
	if d.Rotation = k.int("block_size"); k.err == nil {
		switch {
		case version != 1 && version != 2:
			k.err = fmt.Errorf("%s: %sversion: got %d, want 1 or 2", f.Name(), hadamardPrefix, version)
		case tied != d.Tied:
			k.err = fmt.Errorf("%s: %stied_output: got %v, but the file says otherwise by output.weight", f.Name(), hadamardPrefix, tied)
		case d.Rotation < 2:
			k.err = fmt.Errorf("%s: %sblock_size: got %d, want a power of two above 1", f.Name(), hadamardPrefix, d.Rotation)
		}
	}
	r.err = k.err
}

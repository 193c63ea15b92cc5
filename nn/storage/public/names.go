package public

import (
	"fmt"
	"math"
	"strings"

	"bitgpu/nn/arch"
)

// Parameters have the names that package layer declares, below "layers.N."; files have others.

// hfNames maps the names of parameters to Hugging Face's where they differ.
var hfNames = map[string]string{
	"norm1.weight": "input_layernorm.weight", "norm2.weight": "post_attention_layernorm.weight",
	"self_attn.sub_norm.weight": "self_attn.attn_sub_norm.weight", "mlp.sub_norm.weight": "mlp.ffn_sub_norm.weight",
	"self_attn.gate_proj.weight": "self_attn.q_proj.weight", // it holds both, see split
	"linear_attn.decay":          "linear_attn.A_log",
	"embed.weight":               "embed_tokens.weight", "norm_f.weight": "norm.weight",
}

// oldNames maps them to those of 1bitLLM's models.
var oldNames = map[string]string{
	"self_attn.attn_sub_norm.weight": "self_attn.inner_attn_ln.weight", "mlp.ffn_sub_norm.weight": "mlp.ffn_layernorm.weight",
}

// ggufNames maps them to GGUF's, which follow "blk.N." in layers.
var ggufNames = map[string]string{
	"embed.weight": "token_embd.weight", "norm_f.weight": "output_norm.weight", "lm_head.weight": "output.weight",
	"norm1.weight": "attn_norm.weight", "norm2.weight": "ffn_norm.weight",
	"self_attn.q_proj.weight": "attn_q.weight", "self_attn.k_proj.weight": "attn_k.weight", "self_attn.v_proj.weight": "attn_v.weight",
	"self_attn.gate_proj.weight": "attn_q.weight", "self_attn.o_proj.weight": "attn_output.weight",
	"self_attn.q_norm.weight": "attn_q_norm.weight", "self_attn.k_norm.weight": "attn_k_norm.weight",
	"self_attn.sub_norm.weight": "attn_sub_norm.weight", "mlp.sub_norm.weight": "ffn_sub_norm.weight",
	"mlp.gate_proj.weight": "ffn_gate.weight", "mlp.up_proj.weight": "ffn_up.weight", "mlp.down_proj.weight": "ffn_down.weight",
	"linear_attn.in_proj_qkv.weight": "attn_qkv.weight", "linear_attn.in_proj_z.weight": "attn_gate.weight",
	"linear_attn.in_proj_b.weight": "ssm_beta.weight", "linear_attn.in_proj_a.weight": "ssm_alpha.weight",
	"linear_attn.conv1d.weight": "ssm_conv1d.weight", "linear_attn.decay": "ssm_a", "linear_attn.dt_bias": "ssm_dt.bias",
	"linear_attn.norm.weight": "ssm_norm.weight", "linear_attn.out_proj.weight": "ssm_out.weight",
}

// inLayer cuts "layers.N." off a name. layer is -1 where the name begins otherwise.
func inLayer(name string) (layer int, rest string) {
	if _, err := fmt.Sscanf(name, "layers.%d.", &layer); err != nil {
		return -1, name
	}
	_, rest, _ = strings.Cut(strings.TrimPrefix(name, "layers."), ".")
	return layer, rest
}

// TensorName returns the name of a parameter in transformers' text models.
func TensorName(name string) string {
	n, rest := inLayer(name)
	file, ok := hfNames[rest]
	if !ok {
		file = rest
	}
	switch {
	case n >= 0:
		return fmt.Sprintf("model.layers.%d.%s", n, file)
	case rest == "lm_head.weight":
		return file
	}
	return "model." + file
}

// GainOffset returns what is added to a norm's numbers in transformers' models to give its gains: 1 in families that store gains
// minus 1. name is the parameter's.
func GainOffset(d *arch.Decoder, name string) float32 {
	switch _, rest := inLayer(name); rest {
	case "norm1.weight", "norm2.weight", "norm_f.weight", "self_attn.q_norm.weight", "self_attn.k_norm.weight":
		if d.Family == "qwen3.5" {
			return 1
		}
	}
	return 0
}

// storedAs returns how transformers' files store the numbers of a parameter, and how they are read, nil where it is as they are.
// gains says that gains are stored as they are. name is the parameter's.
func storedAs(d *arch.Decoder, name string, gains bool) (write, read func(float64) float64) {
	if _, rest := inLayer(name); rest == "linear_attn.decay" {
		return func(decay float64) float64 { return math.Log(-decay) }, func(a float64) float64 { return -math.Exp(a) }
	}
	if offset := float64(GainOffset(d, name)); offset != 0 && !gains {
		return func(gain float64) float64 { return gain - offset }, func(w float64) float64 { return w + offset }
	}
	return nil, nil
}

// headHalves returns the rows of queries, or of gates, in a matrix that has both for each head in turn.
func headHalves(heads, width int, gates bool) (order []int) {
	from := 0
	if gates {
		from = width
	}
	for h := range heads {
		for i := range width {
			order = append(order, 2*h*width+from+i)
		}
	}
	return order
}

// apart returns the order of rows of queries or keys that moves the halves of each head apart. llama.cpp's files of the
// architecture llama interleave them.
func apart(heads, width int) (order []int) {
	for h := range heads {
		for half := range 2 {
			for i := range width / 2 {
				order = append(order, h*width+2*i+half)
			}
		}
	}
	return order
}

// grouped returns the order of value heads that turns GGUF's, the first of every key head, then the second …, into Hugging
// Face's, in which the value heads of a key head are neighbours.
func grouped(keyHeads, heads int) (order []int) {
	each := heads / keyHeads
	for h := range heads {
		order = append(order, h%each*keyHeads+h/each)
	}
	return order
}

// blocksOf expands an order of blocks to rows. Blocks have `width` rows and begin after `before` rows that stay in place.
func blocksOf(order []int, width, before int) (rows []int) {
	for r := range before {
		rows = append(rows, r)
	}
	for _, b := range order {
		for i := range width {
			rows = append(rows, before+b*width+i)
		}
	}
	return rows
}

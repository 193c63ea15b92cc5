package family

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"

	"bitgpu/io/trit"
)

// names maps the names of parameters to those of tensors in GGUF files.
var names = map[string]string{
	"embed.weight": "token_embd.weight", "norm_f.weight": "output_norm.weight", "lm_head.weight": "output.weight",
	"norm1.weight": "attn_norm.weight", "norm2.weight": "ffn_norm.weight",
	"self_attn.q_proj.weight": "attn_q.weight", "self_attn.k_proj.weight": "attn_k.weight", "self_attn.v_proj.weight": "attn_v.weight",
	"self_attn.o_proj.weight": "attn_output.weight", "self_attn.q_norm.weight": "attn_q_norm.weight", "self_attn.k_norm.weight": "attn_k_norm.weight",
	"self_attn.sub_norm.weight": "attn_sub_norm.weight", "mlp.sub_norm.weight": "ffn_sub_norm.weight",
	"mlp.gate_proj.weight": "ffn_gate.weight", "mlp.up_proj.weight": "ffn_up.weight", "mlp.down_proj.weight": "ffn_down.weight",
	"linear_attn.in_proj_qkv.weight": "attn_qkv.weight", "linear_attn.in_proj_z.weight": "attn_gate.weight",
	"linear_attn.in_proj_b.weight": "ssm_beta.weight", "linear_attn.in_proj_a.weight": "ssm_alpha.weight",
	"linear_attn.conv1d.weight": "ssm_conv1d.weight", "linear_attn.decay": "ssm_a", "linear_attn.dt_bias": "ssm_dt.bias",
	"linear_attn.norm.weight": "ssm_norm.weight", "linear_attn.out_proj.weight": "ssm_out.weight",
}

// fileName returns the name of a parameter in a file.
func fileName(name, family string) string {
	var n int
	if _, err := fmt.Sscanf(name, "layers.%d.", &n); err != nil {
		return names[name]
	}
	_, rest, _ := strings.Cut(strings.TrimPrefix(name, "layers."), ".")
	if rest == "norm2.weight" && family == "qwen3.5" {
		return fmt.Sprintf("blk.%d.post_attention_norm.weight", n)
	}
	return fmt.Sprintf("blk.%d.%s", n, names[rest])
}

// tiled returns the value heads in the order of files: the first of every key head, then the second of every key head …
func (f Family) tiled() (order []int) {
	r := f.Decoder.Recurrent
	each := r.Heads / r.KeyHeads
	for i := range r.Heads {
		order = append(order, i%r.KeyHeads*each+i/r.KeyHeads)
	}
	return order
}

// rowOrder returns the rows of a parameter that make up a file's tensor: those of the part that begins at first. In gated
// queries the rows of each head are followed by those of its gate.
func (f Family) rowOrder(name string, first, rows int) (order []int) {
	d := f.Decoder
	heads, before := []int(nil), 0
	width := 1
	switch {
	case strings.HasSuffix(name, "self_attn.q_proj.weight") && d.Gated:
		gates := first + (d.Heads+2*d.KVHeads)*d.HeadWidth
		for h := range d.Heads {
			for _, from := range []int{first, gates} {
				for i := range d.HeadWidth {
					order = append(order, from+h*d.HeadWidth+i)
				}
			}
		}
		return order
	case strings.HasSuffix(name, "linear_attn.in_proj_qkv.weight"), strings.HasSuffix(name, "linear_attn.conv1d.weight"):
		heads, width, before = f.tiled(), d.Recurrent.ValueWidth, 2*d.Recurrent.KeyHeads*d.Recurrent.KeyWidth
	case strings.HasSuffix(name, "linear_attn.in_proj_z.weight"):
		heads, width = f.tiled(), d.Recurrent.ValueWidth
	case strings.HasSuffix(name, "linear_attn.in_proj_b.weight"), strings.HasSuffix(name, "linear_attn.in_proj_a.weight"),
		strings.HasSuffix(name, "linear_attn.decay"), strings.HasSuffix(name, "linear_attn.dt_bias"):
		heads = f.tiled()
	default:
		before = rows
	}
	for r := range before {
		order = append(order, first+r)
	}
	for _, h := range heads {
		for i := range width {
			order = append(order, first+before+h*width+i)
		}
	}
	return order
}

// arrangeFloats returns a vector, or the rows of a convolution, in the order of files.
func (f Family) arrangeFloats(name string, v []float32) []float32 {
	rows := len(v)
	if strings.HasSuffix(name, "conv1d.weight") {
		rows /= f.Decoder.Recurrent.Taps
	}
	each := len(v) / rows
	out := make([]float32, 0, len(v))
	for _, r := range f.rowOrder(name, 0, rows) {
		out = append(out, v[r*each:(r+1)*each]...)
	}
	return out
}

// pickColumns reorders blocks of columns: block i of the result is block order[i] of m.
func pickColumns(m *trit.Matrix, order []int, width int) []byte {
	out := make([]byte, 0, len(m.Codes))
	for r := range m.Rows {
		row := m.Row(r)
		for _, b := range order {
			out = append(out, row[b*width/4:(b+1)*width/4]...)
		}
	}
	return out
}

func appendFloat(b []byte, x float32) []byte {
	return binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
}

func appendHalf(b []byte, x uint16) []byte { return binary.LittleEndian.AppendUint16(b, x) }

// write writes numbers in pieces.
func write[E any](out io.Writer, v []E, add func([]byte, E) []byte) error {
	const most = 1 << 20
	var b []byte
	for len(v) > 0 {
		n := min(len(v), most)
		b = b[:0]
		for _, x := range v[:n] {
			b = add(b, x)
		}
		if _, err := out.Write(b); err != nil {
			return err
		}
		v = v[n:]
	}
	return nil
}

package public

import (
	"slices"
	"strings"

	"bitgpu/io/gguf"
)

// readSigns reads the sign vectors of the Hadamard transform, and which matrices expect it.
func (g *ggufFile) readSigns() error {
	mode, err := g.Text(hadamardPrefix + "sign_mode")
	if err != nil {
		return err
	}
	g.signs, g.folded = map[int][]float32{}, map[string]bool{}
	if g.grouped, err = optionalBool(g.File, hadamardPrefix+"gdn_v_grouped"); err != nil {
		return err
	}
	if err := g.checkTiles(); err != nil {
		return err
	}
	names, err := g.Texts(hadamardPrefix + "weight_names")
	if err != nil {
		return err
	}
	inverse, err := g.Texts(hadamardPrefix + "inverse_weight_names")
	if err != nil {
		return err
	}
	for _, name := range slices.Concat(names, inverse) {
		g.folded[name] = true
	}
	if len(inverse) != 1 || inverse[0] != ggufNames["embed.weight"] {
		return g.errorf("%sinverse_weight_names: got %q, want token_embd.weight alone", hadamardPrefix, inverse)
	}
	switch mode {
	case "identity":
		return nil
	case "explicit":
	default:
		return g.errorf("%ssign_mode: got %q, want explicit or identity", hadamardPrefix, mode)
	}
	widths, err := g.Ints(hadamardPrefix + "sign_widths")
	if err != nil {
		return err
	}
	values, err := g.Ints(hadamardPrefix + "sign_values")
	if err != nil {
		return err
	}
	for _, width := range widths {
		if width < 1 || width > len(values) {
			return g.errorf("%ssign_values: got %d values left, want %d", hadamardPrefix, len(values), width)
		}
		signs := make([]float32, width)
		for i, v := range values[:width] {
			if v != 1 && v != -1 {
				return g.errorf("%ssign_values: got %d, want 1 or -1", hadamardPrefix, v)
			}
			signs[i] = float32(v)
		}
		g.signs[width], values = signs, values[width:]
	}
	if len(values) > 0 {
		return g.errorf("%ssign_values: got %d values too many for the widths %v", hadamardPrefix, len(values), widths)
	}
	return nil
}

func optionalBool(f *gguf.File, key string) (bool, error) {
	if _, ok := f.Value(key); !ok {
		return false, nil
	}
	return f.Bool(key)
}

// signsOf returns the signs for vectors of a width.
func (g *ggufFile) signsOf(name string, width int) (*part, error) {
	signs := g.signs[width]
	if signs == nil {
		if len(g.signs) > 0 {
			return nil, g.errorf("%ssign_widths: got none of %d, which %s wants", hadamardPrefix, width, name)
		}
		signs = make([]float32, width) // the mode "identity" has no signs
		for i := range signs {
			signs[i] = 1
		}
	}
	if r := g.d.Recurrent; strings.HasSuffix(name, "linear_attn.out_proj.signs") && g.tiled() {
		signs = pickRows(signs, grouped(r.KeyHeads, r.Heads), r.ValueWidth)
	}
	return &part{name: g.Name() + ": " + name, rows: 1, cols: width, floats: signs}, nil
}

// tiled reports whether the columns of ssm_out lie in GGUF's order of the value heads, and not yet in Hugging Face's.
func (g *ggufFile) tiled() bool { return !g.grouped || g.d.Rotation == 0 }

// checkTiles refuses rotated columns that cannot be moved: those of heads that share a block of the transform.
func (g *ggufFile) checkTiles() error {
	r := g.d.Recurrent
	if g.grouped || r == nil || r.KeyHeads == 1 || r.Heads == r.KeyHeads || r.ValueWidth%g.d.Rotation == 0 {
		return nil
	}
	return g.errorf("%sgdn_v_grouped: got false, with heads of %d in blocks of %d, want true, or blocks that divide a head", hadamardPrefix, r.ValueWidth, g.d.Rotation)
}

// signWidth returns the length of a vector of signs by the name of its parameter.
func (g *ggufFile) signWidth(rest string) int {
	switch rest {
	case "self_attn.o_proj.signs":
		return g.d.Heads * g.d.HeadWidth
	case "linear_attn.out_proj.signs":
		return g.d.Recurrent.Heads * g.d.Recurrent.ValueWidth
	case "mlp.down_proj.signs":
		return g.d.MLP
	}
	return g.d.Width
}

package public

import (
	"fmt"
	"slices"
	"strings"

	"bitgpu/io/chat"
	"bitgpu/io/ggml"
	"bitgpu/io/gguf"
	"bitgpu/io/regular"
	"bitgpu/io/tokenizer"
	"bitgpu/nn/arch"
	"bitgpu/nn/op"
)

// ggufFile is a GGUF file as a source of parameters.
type ggufFile struct {
	*gguf.File
	d       *arch.Decoder
	moved   bool // the two elements of a rotated pair are neighbours
	grouped bool // the columns of a rotated ssm_out are already in Hugging Face's order
	signs   map[int][]float32
	folded  map[string]bool // matrices that expect a transformed input
}

func openGGUF(path string, m *Model) (source, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	g := &ggufFile{File: f}
	if err := g.open(m); err != nil {
		f.Close()
		return nil, err
	}
	return g, nil
}

func (g *ggufFile) open(m *Model) (err error) {
	if g.d, err = parseGGUF(g.File); err != nil {
		return err
	}
	m.Form, m.Decoder = "GGUF", g.d
	g.moved = g.d.Family == "llama"
	if g.d.Rotation > 0 {
		if err := g.readSigns(); err != nil {
			return err
		}
	}
	for _, t := range g.Tensors() {
		m.Tensors = append(m.Tensors, Tensor{t.Name, t.Layout.String(), t.Shape, int64(len(t.Data))})
	}
	if _, ok := g.Value("tokenizer.ggml.model"); ok {
		var named []uint32
		if m.TokenizerJSON, named, err = tokenizer.ConvertGGUF(g.File); err != nil {
			return err
		}
		if m.Tokenizer, err = tokenizer.Parse(g.Name(), m.TokenizerJSON); err != nil {
			return err
		}
		m.Ends = m.Tokenizer.Ends(named)
	}
	metadata := map[string]string{}
	for _, key := range g.Keys() {
		if strings.HasPrefix(key, "tokenizer.chat_template") {
			if text, err := g.Text(key); err == nil {
				metadata[key] = text
			}
		}
	}
	m.Chat = chat.SourceFromGGUF(metadata, g.token("bos"), g.token("eos"))
	for which, name := range map[string]string{"padding": "pad_token", "unknown": "unk_token"} {
		if text := g.token(which); text != "" {
			m.Chat.Tokens[name] = text
		}
	}
	m.template()
	return nil
}

// token returns the text of a special token, "" where there is none.
func (g *ggufFile) token(which string) string {
	id, err := g.Int("tokenizer.ggml." + which + "_token_id")
	if err != nil {
		return ""
	}
	tokens, err := g.Texts("tokenizer.ggml.tokens")
	if err != nil || id < 0 || id >= len(tokens) {
		return ""
	}
	return tokens[id]
}

func (g *ggufFile) close() error { return g.Close() }

func (g *ggufFile) drop(name string) {
	if t, err := g.find(name); err == nil {
		regular.Drop(t.Data)
	}
}

func (g *ggufFile) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: "+format, append([]any{g.Name()}, args...)...)
}

// find returns a tensor by the name of its parameter.
func (g *ggufFile) find(name string) (t gguf.Tensor, err error) {
	n, rest := inLayer(name)
	file, ok := ggufNames[rest]
	if n >= 0 {
		if rest == "norm2.weight" && g.d.Family == "qwen3.5" {
			file = "post_attention_norm.weight"
		}
		file = fmt.Sprintf("blk.%d.%s", n, file)
	}
	if !ok {
		return t, g.errorf("no tensor is known for %s", name)
	}
	if t, ok = g.Tensor(file); !ok {
		return t, g.errorf("%s is missing", file)
	}
	if len(t.Shape) < 1 || len(t.Shape) > 2 {
		return t, g.errorf("%s: got the shape %v, want one or two axes", file, t.Shape)
	}
	return t, nil
}

func (g *ggufFile) has(name string) error {
	if strings.HasSuffix(name, ".signs") { // signs are metadata, not tensors
		return nil
	}
	_, err := g.find(name)
	return err
}

func (g *ggufFile) file(name string) string {
	t, _ := g.find(name)
	return t.Name
}

// scaleOf returns the name of the tensor that holds a factor for the whole matrix, as some BitNet files have it.
func scaleOf(matrix string) string { return strings.TrimSuffix(matrix, ".weight") + ".scale" }

// aroundLayers are the beginnings of the names of tensors outside of layers, in any family of llama.cpp.
var aroundLayers = []string{"token_", "position_", "output", "rope_"}

func (g *ggufFile) strangers(known map[string]bool) error {
	for _, t := range g.Tensors() {
		var n int
		if known[t.Name] || known[strings.TrimSuffix(t.Name, ".scale")+".weight"] {
			continue
		}
		if _, err := fmt.Sscanf(t.Name, "blk.%d.", &n); err == nil && n < g.d.Layers {
			return g.errorf("%s: got a tensor that no layer of the family %s has, want none", t.Name, g.d.Family)
		}
		if t.Name != ropeFactors && slices.ContainsFunc(aroundLayers, func(begin string) bool { return strings.HasPrefix(t.Name, begin) }) {
			return g.errorf("%s: got a tensor that no model of the family %s has, want none", t.Name, g.d.Family)
		}
	}
	return nil
}

// multiply applies the factor of a matrix, where the file has one.
func (g *ggufFile) multiply(x *part, matrix string) error {
	t, ok := g.Tensor(scaleOf(matrix))
	if !ok {
		return nil
	}
	m := t.Matrix()
	if m.Rows*m.Cols != 1 {
		return g.errorf("%s: got the shape %v, want one number", t.Name, t.Shape)
	}
	var factor [1]float32
	if err := m.Floats(factor[:], 0); err != nil {
		return g.errorf("%w", err)
	}
	switch {
	case factor[0] == 1:
		return nil
	case x.ternary == nil:
		return g.errorf("%s: got the factor %v for a matrix of floats, want one for ternary weights: not supported", t.Name, factor[0])
	}
	scale, ok := x.oneScale()
	if scale *= factor[0]; !ok || op.FirstNotFinite([]float32{scale}) >= 0 {
		return g.errorf("%s: got the factor %v for a matrix with several scales, or an infinite one, want one scale, or the factor 1: not supported", t.Name, factor[0])
	}
	x.ternary.halves, x.ternary.group, x.ternary.alike, x.ternary.scales = nil, x.cols, x.rows, []float32{scale}
	return nil
}

func (g *ggufFile) rows(name string) (int, error) {
	t, err := g.find(name)
	if err == nil && len(t.Shape) != 2 {
		err = g.errorf("%s: got the shape %v, want two axes", t.Name, t.Shape)
	}
	if err != nil {
		return 0, err
	}
	return t.Shape[0], nil
}

func (g *ggufFile) part(name string, table bool) (*part, error) {
	_, rest := inLayer(name)
	if strings.HasSuffix(rest, ".signs") {
		return g.signsOf(name, g.signWidth(rest))
	}
	t, err := g.find(name)
	if err != nil {
		return nil, err
	}
	m := t.Matrix()
	x := &part{name: g.Name() + ": " + t.Name, rows: m.Rows, cols: m.Cols}
	if t.Layout.Ternary() {
		if x.ternary, err = ofGGML(m); err != nil {
			return nil, g.errorf("%w", err)
		}
	} else if err := x.readFloats(m, t); err != nil {
		return nil, g.errorf("%w", err)
	}
	if err := g.multiply(x, t.Name); err != nil {
		return nil, err
	}
	if g.d.Rotation > 0 {
		turned := x.ternary != nil || table
		if g.folded[t.Name] != turned {
			return nil, g.errorf("%s: %sweight_names: got %v, want %v, for every matrix but those of the decay is stored for a rotated input", t.Name, hadamardPrefix, g.folded[t.Name], turned)
		}
	}
	return x, g.arrange(x, rest)
}

// readFloats reads weights that are not ternary. Half precision, and whole numbers with scales, stay in their format.
func (x *part) readFloats(m *ggml.Matrix, t gguf.Tensor) error {
	if k, ok := kinds[t.Layout]; ok {
		return x.readQuants(m, k)
	}
	switch t.Layout {
	case ggml.F16.Layout():
		return x.readHalves(t.Data, op.F16)
	case ggml.BF16.Layout():
		return x.readHalves(t.Data, op.BF16)
	}
	x.floats = make([]float32, m.Rows*m.Cols)
	return inPieces(m.Rows, 4*m.Cols, func(from, to int) error {
		for r := from; r < to; r++ {
			if err := m.Floats(x.floats[r*m.Cols:], r); err != nil {
				return err
			}
		}
		return nil
	})
}

// arrange moves rows and columns into the order of Hugging Face.
func (g *ggufFile) arrange(x *part, rest string) error {
	d := g.d
	want := func(rows int) error {
		if x.rows != rows {
			return fmt.Errorf("%s: got %d rows, want %d", x.name, x.rows, rows)
		}
		return nil
	}
	switch rest {
	case "self_attn.q_proj.weight", "self_attn.gate_proj.weight":
		if d.Gated {
			if err := want(2 * d.Heads * d.HeadWidth); err != nil {
				return err
			}
			x.pick(headHalves(d.Heads, d.HeadWidth, rest == "self_attn.gate_proj.weight"))
		} else if g.moved {
			if err := want(d.Heads * d.HeadWidth); err != nil {
				return err
			}
			x.pick(apart(d.Heads, d.HeadWidth))
		}
	case "self_attn.k_proj.weight":
		if g.moved {
			if err := want(d.KVHeads * d.HeadWidth); err != nil {
				return err
			}
			x.pick(apart(d.KVHeads, d.HeadWidth))
		}
	}
	r := d.Recurrent
	if r == nil {
		return nil
	}
	heads, before := grouped(r.KeyHeads, r.Heads), 2*r.KeyHeads*r.KeyWidth
	switch rest {
	case "linear_attn.in_proj_qkv.weight", "linear_attn.conv1d.weight":
		if err := want(before + r.Heads*r.ValueWidth); err != nil {
			return err
		}
		x.pick(blocksOf(heads, r.ValueWidth, before))
	case "linear_attn.in_proj_z.weight":
		if err := want(r.Heads * r.ValueWidth); err != nil {
			return err
		}
		x.pick(blocksOf(heads, r.ValueWidth, 0))
	case "linear_attn.in_proj_b.weight", "linear_attn.in_proj_a.weight":
		if err := want(r.Heads); err != nil {
			return err
		}
		x.pick(heads)
	case "linear_attn.decay", "linear_attn.dt_bias":
		if x.rows, x.cols = x.rows*x.cols, 1; x.rows != r.Heads {
			return fmt.Errorf("%s: got %d numbers, want %d", x.name, x.rows, r.Heads)
		}
		x.pick(heads)
	case "linear_attn.out_proj.weight":
		if g.tiled() {
			return x.pickColumns(heads, r.ValueWidth)
		}
	}
	return nil
}

package public

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"bitgpu/io/atomicfile"
	"bitgpu/io/chat"
	"bitgpu/io/hf"
	"bitgpu/io/regular"
	"bitgpu/io/safetensors"
	"bitgpu/io/tokenizer"
	"bitgpu/nn/arch"
	"bitgpu/nn/op"
)

// hfDir is a directory in Hugging Face's form, as a source of parameters.
type hfDir struct {
	*hf.Checkpoint
	dir     string
	d       *arch.Decoder
	packed  bool // BitNet's packed form, in which embeddings and head are floats
	masters *hf.Rounding
	wanted  bool           // floats are wanted: masters are not rounded
	rounded atomic.Bool    // some masters were rounded
	prefix  string         // before the names of tensors
	blocks  map[string]int // of the Hadamard transform by module, nil without
	gains   bool           // gains are stored as they are; Qwen3.5's are gains minus 1 but in MLX's form
}

func openHF(dir string, m *Model, o Options) (source, error) {
	empty := *m
	return atomicfile.Open(dir, func() (*hfDir, error) {
		*m = empty // of an earlier try
		c, err := hf.Open(dir)
		if err != nil {
			return nil, err
		}
		h := &hfDir{Checkpoint: c, dir: dir, masters: o.Masters, wanted: o.Floats}
		if err := h.open(m); err != nil {
			c.Close()
			return nil, err
		}
		return h, nil
	})
}

func (h *hfDir) open(m *Model) error {
	d, config, err := parseHF(h.Config)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(h.dir, "config.json"), err)
	}
	h.d, h.packed = d, config.Quantization.Method == "bitnet"
	if slices.Contains(config.Architectures, "BitnetForCausalLM") && !h.packed && h.masters == nil {
		even := hf.HalfEven // 1bitLLM's models are masters, quantised in each pass
		h.masters = &even
	}
	if h.masters != nil {
		d.Int8 = true
	}
	if config.rotated {
		if h.blocks, d.Rotation, err = parseRotation(h.Config); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(h.dir, "config.json"), err)
		}
	}
	m.Form, m.Decoder = "Hugging Face", d
	found := false
	for _, prefix := range []string{"model.", "model.language_model.", "language_model.model.", ""} {
		if _, ok := h.Tensor(prefix + "embed_tokens.weight"); ok {
			h.prefix, found = prefix, true
			break
		}
	}
	if !found {
		return fmt.Errorf("%s: no tensor is called model.embed_tokens.weight", h.dir)
	}
	h.gains = h.convertedByMLX()
	file, head := h.tensor("lm_head.weight")
	if head && d.Tied {
		// Before version 5 transformers took the embedding, since then it takes the head.
		output, _ := h.Tensor(file)
		embedding, _ := h.Tensor(h.prefix + "embed_tokens.weight")
		same := false
		err := regular.Guard(func() error {
			same = output.DType == embedding.DType && slices.Equal(output.Shape, embedding.Shape) && bytes.Equal(output.Data, embedding.Data)
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", h.dir, err)
		}
		if !same {
			return fmt.Errorf("%s: %s is not the embedding, and config.json says that they are tied (tie_word_embeddings)", h.dir, file)
		}
	}
	switch {
	case config.Tied == nil:
		d.Tied = !head
	case !d.Tied && !head:
		return fmt.Errorf("%s: lm_head.weight is missing, and config.json does not say that it is tied to the embedding", h.dir)
	}
	for _, name := range h.Names() {
		t, _ := h.Tensor(name)
		m.Tensors = append(m.Tensors, Tensor{name, string(t.DType), t.Shape, int64(len(t.Data))})
	}
	return h.text(m, config)
}

// convertedByMLX reports whether a hybrid was converted by MLX, which moves the axis of a convolution's taps forward, from (channels,
// 1, taps), and adds 1 to the gains of norms at the same time.
func (h *hfDir) convertedByMLX() bool {
	if h.d.Recurrent == nil {
		return false
	}
	for i := range h.d.Layers {
		if file, ok := h.tensor(fmt.Sprintf("layers.%d.linear_attn.conv1d.weight", i)); ok {
			t, _ := h.Tensor(file)
			return len(t.Shape) == 3 && t.Shape[2] == 1 && h.d.Recurrent.Taps > 1
		}
	}
	return h.blocks != nil
}

// text reads the tokenizer, the ending tokens and the template.
func (h *hfDir) text(m *Model, config *hfConfig) error {
	path := filepath.Join(h.dir, "tokenizer.json")
	data, err := regular.ReadFile(path)
	switch {
	case err == nil:
		if m.Tokenizer, err = tokenizer.Parse(path, data); err != nil {
			return err
		}
		m.Ends, m.TokenizerJSON = m.Tokenizer.EndOfText(), data
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	ends, err := tokenIDs(config.EOS)
	if err != nil {
		return fmt.Errorf("%s: eos_token_id: %w", filepath.Join(h.dir, "config.json"), err)
	}
	path = filepath.Join(h.dir, "generation_config.json")
	switch data, err := regular.ReadFile(path); {
	case err == nil:
		var c struct {
			EOS any `json:"eos_token_id"`
		}
		if err := json.Unmarshal(data, &c); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		more, err := tokenIDs(c.EOS)
		if err != nil {
			return fmt.Errorf("%s: eos_token_id: %w", path, err)
		}
		ends = append(ends, more...)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if m.Chat, m.TemplateError = chat.SourceFromDir(h.dir); m.TemplateError == nil {
		if end := m.Chat.Tokens["eos_token"]; end != "" && m.Tokenizer != nil { // which becomes the end in a GGUF file
			if id, ok := m.Tokenizer.ID(end); ok {
				ends = append(ends, id)
			}
		}
		m.template()
	}
	for _, id := range ends {
		if !slices.Contains(m.Ends, id) {
			m.Ends = append(m.Ends, id)
		}
	}
	return nil
}

func (h *hfDir) close() error { return h.Close() }

func (h *hfDir) drop(name string) {
	if file, ok := h.tensor(name); ok {
		t, _ := h.Tensor(file)
		regular.Drop(t.Data)
	}
}

// tensor finds a tensor by the name of its parameter, and returns its name in the file.
func (h *hfDir) tensor(name string) (file string, ok bool) {
	n, rest := inLayer(name)
	file = rest
	if other, ok := hfNames[rest]; ok {
		file = other
	}
	prefix := h.prefix
	if n >= 0 {
		prefix = fmt.Sprintf("%slayers.%d.", prefix, n)
	} else if file == "lm_head.weight" {
		for _, prefix = range []string{"", strings.TrimSuffix(h.prefix, "model."), h.prefix} {
			if _, ok := h.Tensor(prefix + file); ok {
				break
			}
		}
	}
	if old, ok := oldNames[file]; ok {
		if _, there := h.Tensor(prefix + old); there {
			file = old
		}
	}
	_, ok = h.Tensor(prefix + file)
	return prefix + file, ok
}

func (h *hfDir) has(name string) error {
	if strings.HasSuffix(name, ".signs") { // beside each matrix that they belong to
		return nil
	}
	if file, ok := h.tensor(name); !ok {
		return fmt.Errorf("%s: %s is missing", h.dir, file)
	}
	return nil
}

func (h *hfDir) file(name string) string {
	file, _ := h.tensor(name)
	return file
}

func (h *hfDir) strangers(known map[string]bool) error {
	for _, name := range h.Names() {
		if module, ok := strings.CutSuffix(name, ".bias"); ok && known[module+".weight"] {
			return fmt.Errorf("%s: %s: got a bias, want none: not supported", h.dir, name)
		}
		var n int
		if _, err := fmt.Sscanf(name, h.prefix+"layers.%d.", &n); err != nil || n >= h.d.Layers || known[name] {
			continue
		}
		owner := name
		for _, suffix := range []string{"_scale", ".scales", ".biases", ".signs"} { // beside packed matrices: BitNet's, MLX's
			owner = strings.TrimSuffix(owner, suffix)
		}
		if !known[owner] && !known[owner+".weight"] && !strings.HasSuffix(name, ".rotary_emb.inv_freq") {
			return fmt.Errorf("%s: %s: got a tensor that no layer of the family %s has, want none", h.dir, name, h.d.Family)
		}
	}
	return nil
}

func (h *hfDir) rows(name string) (int, error) {
	file, ok := h.tensor(name)
	t, _ := h.Tensor(file)
	if !ok || len(t.Shape) != 2 {
		return 0, fmt.Errorf("%s: %s: got the shape %v, want a matrix", h.dir, file, t.Shape)
	}
	return t.Shape[0], nil
}

func (h *hfDir) part(name string, table bool) (*part, error) {
	_, rest := inLayer(name)
	if strings.HasSuffix(rest, ".signs") {
		return h.signs(name)
	}
	if err := h.has(name); err != nil {
		return nil, err
	}
	file, _ := h.tensor(name)
	t, _ := h.Tensor(file)
	x := &part{name: h.dir + ": " + file}
	_, read := storedAs(h.d, name, h.gains)
	matrix := len(t.Shape) == 2 && strings.HasSuffix(rest, ".weight")
	if matrix {
		if err := h.checkRotation(file, rest, t); err != nil {
			return nil, err
		}
	}
	floats := table && h.packed && t.DType != safetensors.U32 || !matrix
	if !floats && h.isMaster(t, rest, table) {
		if err := x.readHF(t, read); err != nil {
			return nil, err
		}
		x.widen()
		if h.masters != nil {
			h.rounded.Store(true)
		}
		if !h.wanted {
			if x.cols%h.d.Masters.Group != 0 {
				return nil, fmt.Errorf("%s: got %d columns, want groups of %d", x.name, x.cols, h.d.Masters.Group)
			}
			x.byGroups(h.d.Masters.Group)
		}
		return x, h.arrange(x, rest)
	}
	if !floats {
		m, err := h.Ternary(file)
		switch {
		case err == nil:
			x.ternary, x.rows, x.cols = ofTrit(m), m.Rows, m.Cols
		case h.masters != nil && !table:
			if m, err = h.Quantize(file, *h.masters); err != nil {
				return nil, err
			}
			x.ternary, x.rows, x.cols = ofTrit(m), m.Rows, m.Cols
			h.rounded.Store(true)
		case t.DType == safetensors.U8 || t.DType == safetensors.U32 || !table && !mayBeFloat(rest):
			if !h.packed && t.DType != safetensors.U8 && t.DType != safetensors.U32 {
				err = fmt.Errorf("%w; %w", err, ErrUnsaid)
			}
			return nil, err
		}
	}
	if x.ternary == nil {
		if err := x.readHF(t, read); err != nil {
			return nil, err
		}
	}
	return x, h.arrange(x, rest)
}

// isMaster reports whether a float matrix stays in floats, or is to be rounded by groups.
func (h *hfDir) isMaster(t safetensors.Tensor, rest string, table bool) bool {
	if t.DType != safetensors.F32 && t.DType != safetensors.F16 && t.DType != safetensors.BF16 {
		return false
	}
	if m := h.d.Masters; m != nil {
		return (m.Tables || !table) && (m.Gates || !mayBeFloat(rest))
	}
	return h.wanted && !table && (h.masters != nil || h.Online())
}

// mayBeFloat reports whether some models keep this matrix of a layer in floats.
func mayBeFloat(rest string) bool {
	return rest == "linear_attn.in_proj_a.weight" || rest == "linear_attn.in_proj_b.weight"
}

// readHF reads floats, which read turns into the parameter's if it is not nil. Otherwise half precision stays half precision.
func (x *part) readHF(t safetensors.Tensor, read func(float64) float64) (err error) {
	x.rows, x.cols = 1, t.Len()
	if len(t.Shape) > 1 && t.Shape[0] > 0 {
		x.rows, x.cols = t.Shape[0], t.Len()/t.Shape[0] // a convolution (channels, 1, taps) is read as a matrix, too
	}
	switch {
	case t.DType == safetensors.F16:
		err = x.readHalves(t.Data, op.F16)
	case t.DType == safetensors.BF16:
		err = x.readHalves(t.Data, op.BF16)
	case t.DType == safetensors.F64 && read != nil: // see hfWriter.add
		doubles, err := t.Float64s()
		if err != nil {
			return err
		}
		x.floats = make([]float32, len(doubles))
		for i, v := range doubles {
			x.floats[i] = float32(read(v))
		}
		return x.finite()
	case t.DType == safetensors.F32:
		view, ok := t.FloatView()
		if !ok {
			if view, err = t.Float32s(); err != nil {
				return err
			}
		}
		x.floats = slices.Clone(view)
		err = x.finite()
	default:
		return fmt.Errorf("%s: got the type %s, want F32, F16 or BF16", x.name, t.DType)
	}
	if read == nil || err != nil {
		return err
	}
	x.widen()
	for i, v := range x.floats {
		x.floats[i] = float32(read(float64(v)))
	}
	return x.finite()
}

// arrange converts rows to what the layers expect.
func (h *hfDir) arrange(x *part, rest string) error {
	d := h.d
	if gates := rest == "self_attn.gate_proj.weight"; d.Gated && (gates || rest == "self_attn.q_proj.weight") {
		if x.rows != 2*d.Heads*d.HeadWidth {
			return fmt.Errorf("%s: got %d rows, want %d", x.name, x.rows, 2*d.Heads*d.HeadWidth)
		}
		x.pick(headHalves(d.Heads, d.HeadWidth, gates))
	}
	return nil
}

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"bitgpu/internal/units"
	"bitgpu/io/gguf"
	"bitgpu/io/safetensors"
	"bitgpu/nn"
	"bitgpu/nn/arch"
	"bitgpu/nn/storage/public"
)

// publicInfo describes a model of a public family.
type publicInfo struct {
	ByType        map[string]typeInfo `json:"tensors_by_type"`
	CacheF32      int64               `json:"kv_bytes_per_token_f32"`
	CacheF16      int64               `json:"kv_bytes_per_token_f16"`
	StateBytes    int64               `json:"state_bytes"` // of a sequence, whatever its length
	Template      bool                `json:"chat_template"`
	TemplateError string              `json:"chat_template_error,omitempty"`
	Ends          []endInfo           `json:"ends"`
}

// typeInfo sums up the tensors of one type.
type typeInfo struct {
	Tensors  int   `json:"tensors"`
	Elements int64 `json:"elements"` // as stored: a byte may contain four weights
	Bytes    int64 `json:"bytes"`
}

// endInfo is a token that ends a text.
type endInfo struct {
	ID    uint32 `json:"id"`
	Token string `json:"token,omitempty"`
}

// describePublic shows a model of a public family without reading its weights.
func describePublic(path string, o public.Options) (*inspection, error) {
	m, err := public.Describe(path, o)
	if err != nil {
		return nil, err
	}
	return inspectPublic(path, m), nil
}

func inspectPublic(path string, m *public.Model) *inspection {
	d := m.Decoder
	c := nn.OfDecoder(d)
	r := &inspection{Path: path, Form: m.Form + " model, which bitgpu runs", Config: &c, Parameters: c.ParamCount()}
	r.Public = &publicInfo{
		ByType: map[string]typeInfo{}, CacheF32: d.CacheBytes(4), CacheF16: d.CacheBytes(2), StateBytes: d.StateBytes(), Template: m.Template != nil,
		Ends: []endInfo{},
	}
	if m.TemplateError != nil {
		r.Public.TemplateError = sentence(m.TemplateError)
	}
	if m.Tokenizer != nil {
		r.TokenizerSize = m.Tokenizer.Size()
	}
	for _, id := range m.Ends {
		e := endInfo{ID: id}
		if m.Tokenizer != nil {
			e.Token, _ = m.Tokenizer.Token(id)
		}
		r.Public.Ends = append(r.Public.Ends, e)
	}
	for _, t := range m.Tensors {
		all := r.Public.ByType[t.Type]
		r.Public.ByType[t.Type] = typeInfo{all.Tensors + 1, all.Elements + int64(product(t.Shape)), all.Bytes + t.Bytes}
		r.Tensors = append(r.Tensors, tensorInfo{Name: printable(t.Name), DType: t.Type, Shape: t.Shape, Bytes: int(t.Bytes)})
		r.Bytes += t.Bytes
	}
	return r
}

// ofGGUF adds to the inspection of a GGUF file how bitgpu interprets it.
func (r *inspection) ofGGUF(f *gguf.File, o public.Options) {
	d, err := describePublic(r.Path, o)
	if err != nil {
		r.Form = fmt.Sprintf("GGUF file of version %d, no model that bitgpu runs: %s", f.Version(), strings.TrimPrefix(sentence(err), r.Path+": "))
		return
	}
	r.Form = fmt.Sprintf("GGUF file of version %d, a model which bitgpu runs", f.Version())
	r.Config, r.Parameters, r.Public, r.TokenizerSize = d.Config, d.Parameters, d.Public, d.TokenizerSize
}

// print writes the description in lines with a name and a value.
func (p *publicInfo) print(w io.Writer, r *inspection) {
	d := r.Config.Decoder
	line := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	line("family", "%s", d.Family)
	line("parameters", "%d", r.Parameters)
	line("sizes", "%d layers of width %d, MLP of %d with %s", d.Layers, d.Width, d.MLP, d.Activation())
	line("vocabulary", "%d, %s", d.Vocab, headWords(d))
	line("attention", "%d heads of %d, %d for keys and values%s", d.Heads, d.HeadWidth, d.KVHeads, attentionWords(d))
	if g := d.Recurrent; g != nil {
		line("gated delta", "%s: %d key heads of %d, %d value heads of %d, convolution of %d", layoutWords(d), g.KeyHeads, g.KeyWidth, g.Heads, g.ValueWidth, g.Taps)
	}
	line("positions", "%d tokens of context, %s", d.Context, ropeWords(d.Rope))
	line("norms", "epsilon %g%s", d.Eps, normWords(d))
	if d.Int8 {
		line("activations", "rounded to int8 a token before each linear layer")
	}
	if d.Rotation > 0 {
		line("Hadamard", "matrices are stored for an input turned in blocks of %d", d.Rotation)
	}
	memory := fmt.Sprintf("keys and values %d bytes a token in f32, %d in f16", p.CacheF32, p.CacheF16)
	if p.StateBytes > 0 {
		memory += fmt.Sprintf("; states %d bytes", p.StateBytes)
	}
	line("memory", "%s", memory)
	if r.TokenizerSize > 0 {
		line("tokenizer", "%d tokens", r.TokenizerSize)
	} else {
		line("tokenizer", "none")
	}
	switch {
	case p.Template:
		line("chat template", "yes")
	case p.TemplateError != "":
		line("chat template", "cannot be used: %s", oneLine(p.TemplateError))
	default:
		line("chat template", "none")
	}
	var ends []string
	for _, e := range p.Ends {
		ends = append(ends, strings.TrimSpace(fmt.Sprintf("%d %s", e.ID, oneLine(e.Token))))
	}
	if len(ends) == 0 {
		ends = []string{"none"}
	}
	line("ends of a text", "%s", strings.Join(ends, ", "))
	for _, name := range slices.Sorted(maps.Keys(p.ByType)) {
		t := p.ByType[name]
		line("type "+name, "%d tensors, %s", t.Tensors, units.Bytes(t.Bytes))
	}
}

func headWords(d *arch.Decoder) string {
	if d.Tied {
		return "the head is the embedding"
	}
	return "with a head of its own"
}

func attentionWords(d *arch.Decoder) string {
	text := ""
	if d.HeadNorms {
		text += ", queries and keys normed"
	}
	if d.Gated {
		text += ", output gated"
	}
	return text
}

func normWords(d *arch.Decoder) string {
	text := ""
	if d.SubNorms {
		text += ", also before the outputs of attention and MLP"
	}
	if d.LinearNormEps > 0 {
		text += fmt.Sprintf(", also in front of each matrix (epsilon %v)", d.LinearNormEps)
	}
	return text
}

// layoutWords says which layers of a hybrid have which mixer.
func layoutWords(d *arch.Decoder) string {
	attends := 0
	var places []string
	for i := range d.Layers {
		if d.Attends(i) {
			attends++
			places = append(places, fmt.Sprint(i))
		}
	}
	if len(places) > 8 {
		places = append(places[:3], "…", places[len(places)-1])
	}
	return fmt.Sprintf("%d of %d layers, attention in the others (%s)", d.Layers-attends, d.Layers, strings.Join(places, ", "))
}

func ropeWords(r arch.Rope) string {
	text := fmt.Sprintf("RoPE of %d elements a head, base %s", r.Width, strconv.FormatFloat(r.Theta, 'f', -1, 64))
	if r.Linear > 0 {
		text += fmt.Sprintf(", positions divided by %g", r.Linear)
	}
	if r.Factors != nil {
		text += ", frequencies divided by factors as in Llama 3.1"
	}
	if y := r.YaRN; y != nil {
		text += fmt.Sprintf(", YaRN by %g from %d tokens", y.Factor, y.Original)
	}
	return text
}

// printTensors lists tensors, without the columns that only our own models have.
func printTensors(w io.Writer, tensors []tensorInfo) {
	fmt.Fprintln(w, "\ntensor\ttype\tshape\tbytes")
	for _, t := range tensors {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\n", oneLine(t.Name), t.DType, safetensors.FormatShape(t.Shape), t.Bytes)
	}
}

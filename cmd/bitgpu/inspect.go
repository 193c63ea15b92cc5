package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"bitgpu/internal/units"
	"bitgpu/io/corpus"
	"bitgpu/io/dataset"
	"bitgpu/io/memory"
	"bitgpu/io/modeldir"
	"bitgpu/io/safetensors"
	"bitgpu/nn"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
	"bitgpu/nn/storage"
	"bitgpu/nn/storage/peft"
	"bitgpu/nn/storage/public"
	"bitgpu/nn/ternary"

	"github.com/urfave/cli/v2"
)

func inspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "show what is in a file: a model, a memory, tensors, tokens",
		UsageText: "bitgpu inspect [--json] FILE",
		ArgsUsage: "FILE",
		Description: example("Of a model it shows the configuration, the size of the tokenizer and each tensor; of ternary matrices, stored as\n"+
			"floats or packed, also the scale γ and the shares of −1, 0 and +1. Of a memory it shows the model that it belongs to\n"+
			"and how many tokens were read; of an adapter its rank; of any other safetensors file its tensors; of token files (.u32, .u16) and of a directory\n"+
			"that bitgpu data wrote how many tokens there are. Of a GGUF file, or a directory as Hugging Face has them, it shows the\n"+
			"family, the sizes, what a token of context takes, and whether bitgpu runs it, without reading the weights.",
			"bitgpu inspect model.bitt",
			"bitgpu inspect --json model.bitt"),
		Flags: []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "write JSON"}, mastersFlag()},
		Action: func(c *cli.Context) error {
			path, err := oneArgument(c)
			if err != nil {
				return err
			}
			o, err := publicOptions(c)
			if err != nil {
				return err
			}
			r, err := inspectFile(path, public.Options{Masters: o.Rounding})
			if err != nil {
				return err
			}
			if c.Bool("json") {
				e := json.NewEncoder(c.App.Writer)
				e.SetIndent("", "  ")
				return e.Encode(r)
			}
			return r.print(c.App.Writer)
		},
	}
}

// inspection is the output of the command.
type inspection struct {
	Path          string            `json:"path"`
	Form          string            `json:"form"`
	Memory        *memoryInfo       `json:"memory,omitempty"`
	Adapter       *peft.About       `json:"adapter,omitempty"`
	Data          *corpus.Meta      `json:"data,omitempty"`
	Tokens        *tokensInfo       `json:"tokens,omitempty"`
	Config        *nn.Config        `json:"config,omitempty"`
	Public        *publicInfo       `json:"public,omitempty"`
	Parameters    int               `json:"parameters,omitempty"`
	TokenizerSize int               `json:"tokenizer_size,omitempty"`
	Bytes         int64             `json:"bytes"`
	Metadata      map[string]string `json:"metadata,omitempty"`
	Ignored       []string          `json:"ignored,omitempty"`
	Tensors       []tensorInfo      `json:"tensors,omitempty"`
}

// memoryInfo describes the memory in a file.
type memoryInfo struct {
	Model  string `json:"model,omitempty"` // the model that it belongs to, if the file says so
	Tokens int64  `json:"tokens"`          // read since the memory was empty
	Layers int    `json:"layers"`
	States int    `json:"states,omitempty"` // of a public family: number of tensors of keys, values and states
}

// tokensInfo describes a token file.
type tokensInfo struct {
	Count   int      `json:"count"`
	Bits    int      `json:"bits"` // per id
	Largest uint32   `json:"largest"`
	First   []uint32 `json:"first"`          // the first ids
	Text    string   `json:"text,omitempty"` // the text of First, if there is a tokenizer beside the file
}

type tensorInfo struct {
	Name    string       `json:"name"`
	DType   string       `json:"dtype"`
	Shape   []int        `json:"shape"`
	Bytes   int          `json:"bytes"`
	Ternary *ternaryInfo `json:"ternary,omitempty"`
}

// ternaryInfo describes a matrix as the model uses it.
type ternaryInfo struct {
	Gamma float32 `json:"gamma"`
	Minus float64 `json:"minus"` // share of −1
	Zero  float64 `json:"zero"`
	Plus  float64 `json:"plus"`
}

func inspect(path string, o public.Options) (*inspection, error) {
	switch {
	case isHF(path):
		return describePublic(path, o)
	case dataset.IsTokenFile(path):
		return inspectTokens(path)
	case isAdapter(path):
		return inspectAdapter(path)
	case exists(filepath.Join(path, corpus.MetaName)) && !exists(filepath.Join(path, modeldir.ConfigName)):
		return inspectData(path)
	case loneTensors(path):
		return inspectTensors(path)
	}
	l, err := storage.Load(path, storage.Options{})
	if err != nil {
		return nil, err
	}
	defer l.Close()
	if l.Public != nil {
		return inspectPublic(path, l.Public), nil
	}
	r := &inspection{
		Path: path, Form: l.Files.Form.String(), Config: &l.Config, Parameters: l.Config.ParamCount(), Bytes: l.Files.Tensors.Size(),
		Metadata: l.Files.Tensors.Metadata(), Ignored: l.Ignored, Tensors: listTensors(l.Files.Tensors, ternaries(l)),
	}
	if l.Tokenizer != nil {
		r.TokenizerSize = l.Tokenizer.Size()
	}
	return r, nil
}

// inspectTensors shows a safetensors file that is not a model.
func inspectTensors(path string) (*inspection, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := &inspection{Path: path, Form: "safetensors file, no model", Bytes: f.Size(), Metadata: f.Metadata(), Tensors: listTensors(f, nil)}
	m, err := memory.Read(path)
	switch {
	case err == nil:
		r.Form, r.Memory = "memory of a model", &memoryInfo{Model: m.Model, Tokens: m.Tokens, Layers: len(m.Layers), States: len(m.States)}
	case strings.HasPrefix(r.Metadata["format"], "bitgpu-memory"):
		r.Form = "memory that cannot be used: " + sentence(err)
	}
	return r, nil
}

// firstIDs is how many tokens of a file are shown.
const firstIDs = 16

func inspectTokens(path string) (*inspection, error) {
	tokens, _, err := dataset.OpenTokens(path)
	if err != nil {
		return nil, err
	}
	defer tokens.Close()
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	t := &tokensInfo{Count: tokens.Len(), Bits: 8 * int(info.Size()) / tokens.Len(), First: make([]uint32, min(tokens.Len(), firstIDs))}
	if _, err := tokens.CopyTo(t.First, 0); err != nil {
		return nil, err
	}
	for ids, err := range tokens.All() {
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			t.Largest = max(t.Largest, id)
		}
	}
	if tok, err := openTokenizer("", filepath.Join(filepath.Dir(path), modeldir.TokenizerName)); err == nil && int64(t.Largest) < int64(tok.Size()) {
		t.Text = tok.Decode(t.First, false)
	}
	return &inspection{Path: path, Form: "token file", Bytes: info.Size(), Tokens: t}, nil
}

func inspectData(path string) (*inspection, error) {
	dir, err := dataset.Open(path)
	if err != nil {
		return nil, err
	}
	for _, open := range []func() (*corpus.Tokens, error){dir.Train, dir.Val} { // they check the files
		tokens, err := open()
		if err != nil {
			return nil, err
		}
		if tokens != nil {
			tokens.Close()
		}
	}
	r := &inspection{Path: path, Form: "directory of tokens", Data: &dir.Meta, TokenizerSize: dir.Meta.VocabSize}
	for _, name := range []string{corpus.TrainName, corpus.ValName} {
		if info, err := os.Stat(filepath.Join(path, name)); err == nil {
			r.Bytes += info.Size()
		}
	}
	return r, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// loneTensors reports whether path is a safetensors file that is not a model: there is no config.json beside it, or it is a
// memory, which may well be in its model's directory.
func loneTensors(path string) bool {
	m, err := modeldir.Open(path)
	if err == nil {
		defer m.Close()
		_, memory := m.Tensors.Tensor("layer_0")
		return memory && m.Form == modeldir.Safetensors
	}
	f, err := safetensors.Open(path)
	if err != nil {
		return false
	}
	f.Close()
	_, err = os.Stat(siblingConfig(path))
	return errors.Is(err, os.ErrNotExist)
}

func listTensors(f *safetensors.File, known map[string]*ternaryInfo) []tensorInfo {
	var list []tensorInfo
	for _, name := range f.Names() {
		t, _ := f.Tensor(name)
		list = append(list, tensorInfo{Name: name, DType: string(t.DType), Shape: t.Shape, Bytes: len(t.Data), Ternary: known[name]})
	}
	return list
}

// ternaries describes the model's ternary matrices by the names of their tensors.
func ternaries(l *storage.Loaded) map[string]*ternaryInfo {
	list := map[string]*ternaryInfo{}
	nn.Walk(l.Config, l.Weights, func(p nn.Param, h *op.HostTensor) {
		if p.Kind != layer.Linear {
			return
		}
		rows, cols := p.PartShape()[0], p.PartShape()[1]
		size := rows * ternary.RowBytes(cols)
		for i, name := range p.Names {
			counts := ternary.Counts(h.Codes[i*size:(i+1)*size], rows, cols)
			share := func(j int) float64 { return float64(counts[j]) / float64(rows*cols) }
			list[name] = &ternaryInfo{Gamma: h.Scales[i], Minus: share(0), Zero: share(1), Plus: share(2)}
		}
	})
	return list
}

// oneLine makes text from a file safe for a terminal and a table.
func oneLine(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) >= 0 {
		return strconv.Quote(text)
	}
	return text
}

func (r *inspection) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s: %s, %s\n\n", r.Path, r.Form, units.Bytes(r.Bytes))
	if r.Public != nil {
		r.Public.print(w, r)
	} else if r.Config != nil {
		text, err := json.MarshalIndent(r.Config, "", "  ")
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "config %s\nparameters %d\n", text, r.Parameters)
		if r.TokenizerSize > 0 {
			fmt.Fprintf(w, "tokenizer of %d tokens\n", r.TokenizerSize)
		} else {
			fmt.Fprintln(w, "no tokenizer")
		}
	}
	if m := r.Memory; m != nil {
		if m.States > 0 {
			fmt.Fprintf(w, "%d keys, values and states after %d tokens", m.States, m.Tokens)
		} else {
			fmt.Fprintf(w, "%d layers after %d tokens", m.Layers, m.Tokens)
		}
		if m.Model != "" {
			fmt.Fprintf(w, ", of the model %s", m.Model)
		}
		fmt.Fprintln(w)
	}
	if a := r.Adapter; a != nil {
		fmt.Fprintf(w, "rank %d, α %g, of %d matrices, made for %s\n", a.Rank, a.Alpha, a.Matrices, oneLine(cmp.Or(a.Base, "a model that is not named")))
		if len(a.Saved) > 0 {
			fmt.Fprintf(w, "holds as a whole: %s\n", oneLine(strings.Join(a.Saved, ", ")))
		}
	}
	if d := r.Data; d != nil {
		fmt.Fprintf(w, "%s: %s\n%s: %s\n", corpus.TrainName, describePart(d.Train), corpus.ValName, describePart(d.Val))
		fmt.Fprintf(w, "tokenizer of %d tokens, token %d ends each document, a document is a %s\n", d.VocabSize, d.EndOfText, d.Document)
		if d.Copies > 0 {
			fmt.Fprintf(w, "%s has its text in %s, with a share of %v of the merges left out\n", corpus.TrainName, units.Count(int64(d.Copies), "way"), d.Dropout)
		}
	}
	if t := r.Tokens; t != nil {
		fmt.Fprintf(w, "%d tokens of %d bits, the largest is %d\nbegins with %v\n", t.Count, t.Bits, t.Largest, t.First)
		if t.Text != "" {
			fmt.Fprintf(w, "which is %q\n", t.Text)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(r.Metadata)) {
		value := r.Metadata[key]
		if r.Memory != nil && len(value) > 100 { // the logits
			value = fmt.Sprintf("%.60s… (%d characters)", value, len(value))
		}
		fmt.Fprintf(w, "%s: %s\n", oneLine(key), oneLine(value))
	}
	if len(r.Ignored) > 0 {
		fmt.Fprintf(w, "not used by the model: %s\n", strings.Join(r.Ignored, ", "))
	}
	if len(r.Tensors) == 0 {
		return w.Flush()
	}
	if r.Public != nil {
		printTensors(w, r.Tensors)
		return w.Flush()
	}
	fmt.Fprintln(w, "\ntensor\ttype\tshape\tbytes\tγ\t−1\t0\t+1")
	for _, t := range r.Tensors {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d", oneLine(t.Name), t.DType, safetensors.FormatShape(t.Shape), t.Bytes)
		if q := t.Ternary; q != nil {
			fmt.Fprintf(w, "\t%.6g\t%.1f %%\t%.1f %%\t%.1f %%", q.Gamma, 100*q.Minus, 100*q.Zero, 100*q.Plus)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"bitgpu/io/modeldir"
	"bitgpu/io/safetensors"
	"bitgpu/nn"
	"bitgpu/nn/storage"
	"bitgpu/nn/ternary"

	"github.com/urfave/cli/v2"
)

func inspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "show what is in a model or a safetensors file",
		UsageText: "bitgpu inspect [--json] FILE",
		ArgsUsage: "FILE",
		Description: example("Shows configuration, tokenizer size and each tensor; of ternary matrices, stored as floats or packed, the scale γ\n"+
			"and the share of −1, 0 and +1. A safetensors file that is no model, such as a memory, shows its tensors.",
			"bitgpu inspect model.bitt",
			"bitgpu inspect --json model.bitt"),
		Flags: []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "write JSON"}},
		Action: func(c *cli.Context) error {
			path, err := oneArgument(c)
			if err != nil {
				return err
			}
			r, err := inspectFile(path)
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

// inspection is what the command shows.
type inspection struct {
	Path          string            `json:"path"`
	Form          string            `json:"form"`
	Config        *nn.Config        `json:"config,omitempty"`
	Parameters    int               `json:"parameters,omitempty"`
	TokenizerSize int               `json:"tokenizer_size,omitempty"`
	Bytes         int64             `json:"bytes"`
	Metadata      map[string]string `json:"metadata,omitempty"`
	Ignored       []string          `json:"ignored,omitempty"`
	Tensors       []tensorInfo      `json:"tensors"`
}

type tensorInfo struct {
	Name    string       `json:"name"`
	DType   string       `json:"dtype"`
	Shape   []int        `json:"shape"`
	Bytes   int          `json:"bytes"`
	Ternary *ternaryInfo `json:"ternary,omitempty"`
}

// ternaryInfo describes a matrix as the model runs it.
type ternaryInfo struct {
	Gamma float32 `json:"gamma"`
	Minus float64 `json:"minus"` // share of −1
	Zero  float64 `json:"zero"`
	Plus  float64 `json:"plus"`
}

func inspect(path string) (*inspection, error) {
	if loneTensors(path) {
		f, err := safetensors.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return &inspection{Path: path, Form: "safetensors file, no model", Bytes: f.Size(), Metadata: f.Metadata(), Tensors: listTensors(f, nil)}, nil
	}
	l, err := storage.Load(path, storage.Options{})
	if err != nil {
		return nil, err
	}
	defer l.Close()
	r := &inspection{
		Path: path, Form: l.Files.Form.String(), Config: &l.Config, Parameters: l.Config.ParamCount(), Bytes: l.Files.Tensors.Size(),
		Metadata: l.Files.Tensors.Metadata(), Ignored: l.Ignored, Tensors: listTensors(l.Files.Tensors, ternaries(l)),
	}
	if l.Tokenizer != nil {
		r.TokenizerSize = l.Tokenizer.Size()
	}
	return r, nil
}

// loneTensors says whether path is a safetensors file that is no model: for want of a config.json beside it, or
// because it is a memory, which may well lie in the directory of its model.
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
	nn.Walk(l.Config, l.Weights, func(p nn.Param, h *nn.HostTensor) {
		if p.Kind != nn.Linear {
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

func (r *inspection) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s: %s, %s\n\n", r.Path, r.Form, byteCount(r.Bytes))
	if r.Config != nil {
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
	for _, key := range slices.Sorted(maps.Keys(r.Metadata)) {
		fmt.Fprintf(w, "%s: %s\n", key, r.Metadata[key])
	}
	if len(r.Ignored) > 0 {
		fmt.Fprintf(w, "not used by the model: %s\n", strings.Join(r.Ignored, ", "))
	}
	fmt.Fprintln(w, "\ntensor\ttype\tshape\tbytes\tγ\t−1\t0\t+1")
	for _, t := range r.Tensors {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d", t.Name, t.DType, safetensors.FormatShape(t.Shape), t.Bytes)
		if q := t.Ternary; q != nil {
			fmt.Fprintf(w, "\t%.6g\t%.1f %%\t%.1f %%\t%.1f %%", q.Gamma, 100*q.Minus, 100*q.Zero, 100*q.Plus)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// Package public reads models of the public ternary families into weights in host memory, and writes them: GGUF files,
// directories in Hugging Face's form, and .bitt files. Containers and types of weights belong to packages gguf, ggml, hf and
// trit; what the layers compute, to package arch.
//
// # Why
//
// Why are rows moved while a model is read? Files keep the halves of the queries, or the heads of the gated delta rule, in
// whatever order suited the program that wrote them. Moving whole rows changes no weight, and the engines then need to know
// just one order: Hugging Face's, with the halves of a head apart and the value heads of a key head next to each other.
//
// Why are tensors copied and not mapped? Most types mix codes and scales, and a file may be deleted or overwritten while it
// is in use. Each tensor is copied once, and the file's pages are released right afterwards.
//
// Why is a tokenizer read back before a GGUF file is written? GGUF's keys say less than a tokenizer.json, and token ids that
// silently differ are worse than a refusal.
package public

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"bitgpu/io/atomicfile"
	"bitgpu/io/chat"
	"bitgpu/io/gguf"
	"bitgpu/io/hf"
	"bitgpu/io/regular"
	"bitgpu/io/tokenizer"
	"bitgpu/nn"
	"bitgpu/nn/arch"
	"bitgpu/nn/op"
)

// Model is a model of a public family in host memory.
type Model struct {
	Path      string
	Form      string // "GGUF", "Hugging Face", ".bitt"
	Decoder   *arch.Decoder
	Trained   int // the context that the file names; Decoder.Context is limited by Options.Context
	Weights   *nn.Weights[op.HostTensor]
	Tokenizer *tokenizer.Tokenizer // nil when there is none
	Ends      []uint32             // the ids that end a text
	Template  *chat.Template       // of conversations, nil when there is none
	// TemplateError says why the template cannot be used, if there is one that cannot.
	TemplateError error
	// Tensors lists the tensors of the file, for display.
	Tensors []Tensor
	// TokenizerJSON is the text of Tokenizer, as a tokenizer.json; nil when there is none.
	TokenizerJSON json.RawMessage
	// Chat is the text of Template, with the special tokens that the files name.
	Chat chat.Source
}

// Tensor describes a tensor of a file.
type Tensor struct {
	Name, Type string
	Shape      []int
	Bytes      int64
}

// Options says how to read a model.
type Options struct {
	// Masters rounds float matrices that are not ternary to ternary ones, for files whose config.json does not ask for it:
	// Falcon-E's "prequantized" revisions need hf.HalfUp. With nil such matrices are refused.
	Masters *hf.Rounding
	// Floats returns all weights in float32 for further training. The description then says how they become ternary.
	Floats bool
	// Context limits how many tokens a session has room for; 0 means what the model was trained for.
	Context int
}

// Recognize reports whether the path holds a model for this package. It opens no more files than it needs for that.
func Recognize(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	if info.IsDir() {
		return isHFDir(path)
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for a writer
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 8)
	n, _ := f.Read(head)
	return gguf.Recognize(head[:n]) || !bytes.HasPrefix(head, []byte("BITT")) && isWeights(path) && isHFDir(filepath.Dir(path))
}

// isWeights reports whether a file's name is that of a model's weights or of a part of them. Other files, such as memories,
// may lie beside them.
func isWeights(path string) bool {
	return filepath.Ext(path) == ".safetensors" && strings.HasPrefix(filepath.Base(path), "model")
}

func isHFDir(dir string) bool {
	const most = 1 << 24
	for range 2 { // an export that begins between both lines takes the file away for a moment
		if atomicfile.Recover(dir) != nil { // left by an export that was interrupted
			return false
		}
		if _, err := os.Stat(filepath.Join(dir, "config.json")); err == nil {
			break
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "config.json")); err != nil || !info.Mode().IsRegular() || info.Size() > most {
		return false
	}
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	return err == nil && IsHF(data)
}

// Open reads the model at path. The error is [ErrNoMasters] where Options.Floats asks for masters that the files do not have, and
// [gguf.ErrMissing] for a GGUF file without a key that every model needs.
func Open(path string, o Options) (*Model, error) {
	m, src, err := describe(path, o)
	if err != nil {
		return nil, err
	}
	defer src.close()
	if err := m.read(src); err != nil {
		return nil, err
	}
	if err := m.settle(o); err != nil {
		return nil, err
	}
	return m, m.rounded(src, o)
}

// settle converts the weights that were read to what the options ask for.
func (m *Model) settle(o Options) error {
	if o.Floats {
		return m.toMasters()
	}
	m.Decoder.Masters = nil // those of the file have become ternary
	return nil
}

// Describe is Open without the weights. It still reports missing tensors, and reads the weights of the first layer, because
// only these show whether matrices of floats are ternary.
func Describe(path string, o Options) (*Model, error) {
	m, src, err := describe(path, o)
	if err != nil {
		return nil, err
	}
	defer src.close()
	for _, p := range nn.Params(nn.OfDecoder(m.Decoder)) {
		if p.Layer == 0 {
			err := regular.Guard(func() error {
				_, err := param(src, m.Decoder, p)
				return err
			})
			if err != nil {
				return nil, err
			}
		}
	}
	m.Decoder.Masters = nil
	return m, m.rounded(src, o)
}

// rounded refuses Options.Masters where no matrix needed rounding: activations would be rounded for nothing.
func (m *Model) rounded(src source, o Options) error {
	if h, ok := src.(*hfDir); o.Masters == nil || ok && h.rounded.Load() {
		return nil
	}
	return fmt.Errorf("%s: masters: got a rounding, want none: its matrices are ternary as they are", m.Path)
}

func describe(path string, o Options) (*Model, source, error) {
	m := &Model{Path: path}
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	var src source
	switch {
	case info.IsDir():
		src, err = openHF(path, m, o)
	case filepath.Ext(path) == ".safetensors":
		src, err = openHF(filepath.Dir(path), m, o)
	default:
		src, err = openGGUF(path, m)
	}
	if err != nil {
		return nil, nil, err
	}
	if m.Decoder.Vocab, err = src.rows("embed.weight"); err == nil {
		err = m.check(src, o)
	}
	if err != nil {
		src.close()
		return nil, nil, err
	}
	return m, src, nil
}

// fill reads the weights of a model that has been described.
func (m *Model) fill(src source, o Options) error {
	if err := m.check(src, o); err != nil {
		return err
	}
	if err := m.read(src); err != nil {
		return err
	}
	return m.settle(o)
}

// template loads the template, if there is one.
func (m *Model) template() {
	if len(m.Chat.Templates) > 0 {
		m.Template, m.TemplateError = m.Chat.Template()
	}
}

// check completes a model whose keys and vocabulary size are known. It refuses impossible descriptions and missing tensors.
func (m *Model) check(src source, o Options) error {
	d := m.Decoder
	if m.Tokenizer != nil && m.Tokenizer.Size() > d.Vocab {
		return fmt.Errorf("%s: the tokenizer has %d tokens, want at most the %d rows of the embedding", m.Path, m.Tokenizer.Size(), d.Vocab)
	}
	m.Trained = d.Context
	if o.Context > 0 {
		d.Context = min(d.Context, o.Context)
	}
	if err := d.Validate(); err != nil {
		return fmt.Errorf("%s: %w", m.Path, err)
	}
	known := map[string]bool{}
	for _, p := range nn.Params(nn.OfDecoder(d)) {
		for _, name := range p.Names {
			if err := src.has(name); err != nil {
				return err
			}
			known[src.file(name)] = true
		}
	}
	return src.strangers(known)
}

// source reads the parts of parameters from a file.
type source interface {
	// part reads what one name of a parameter stands for; errors name the file and the tensor.
	part(name string, table bool) (*part, error)
	// has returns an error if the file lacks a part.
	has(name string) error
	// file returns the file's name for a part.
	file(name string) string
	// strangers refuses unknown tensors in the model's layers: they would stand for something that is not computed.
	strangers(known map[string]bool) error
	// rows returns how many rows a matrix has, without reading it.
	rows(name string) (int, error)
	// drop releases the memory of the file's bytes for a name, which are not needed again.
	drop(name string)
	close() error
}

// read fills the weights, several parameters at a time. Of several errors it returns the first in the order of the data flow.
func (m *Model) read(src source) error {
	type job struct {
		at int
		p  nn.Param
		to *op.HostTensor
	}
	var jobs []job
	m.Weights = new(nn.Weights[op.HostTensor])
	nn.Walk(nn.OfDecoder(m.Decoder), m.Weights, func(p nn.Param, t *op.HostTensor) { jobs = append(jobs, job{len(jobs), p, t}) })
	next := make(chan job, len(jobs))
	for _, j := range jobs {
		next <- j
	}
	close(next)
	var all sync.WaitGroup
	errs := make([]error, len(jobs))
	for range min(runtime.GOMAXPROCS(0), len(jobs)) {
		all.Go(func() {
			for j := range next {
				errs[j.at] = regular.Guard(func() (err error) {
					*j.to, err = param(src, m.Decoder, j.p)
					for _, name := range j.p.Names {
						src.drop(name)
					}
					return err
				})
				if errs[j.at] != nil {
					return
				}
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// decimal returns the float64 with the fewest digits that rounds to a float32 in a file: 1e-6 rather than 9.9999999747524e-7.
func decimal(x float64) float64 {
	if float64(float32(x)) != x {
		return x
	}
	d, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', -1, 32), 64)
	if err != nil {
		return x
	}
	return d
}

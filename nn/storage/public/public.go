// Package public reads models of the public ternary families, whatever form they come in, into weights in host memory: GGUF
// files, directories as Hugging Face has them, and .bitt files; and writes them in these forms. It is not for containers and
// types of weights, which packages gguf, ggml, hf and trit know, and not for what the layers compute, which package arch says.
//
// # Why
//
// Why are rows moved while a model is read? Files have the queries' halves, or the heads of the gated delta rule, in the order
// that suited the program that wrote them. Moving whole rows changes no weight, and the engines then know one order alone:
// that of Hugging Face, with the halves of a head apart and the value heads of a key head side by side.
//
// Why are tensors not left where they lie? The codes and the scales of most types are mixed, and a file may be gone or written
// over while it is in use. A tensor is copied once, and the pages of the file are let go of behind it.
//
// Why is a tokenizer that was written to GGUF read again before the file is? The keys of GGUF say less than a tokenizer.json,
// and ids that differ in silence are worse than a refusal.
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
	Trained   int // the context that the file names; that of Decoder is bounded by Options.Context
	Weights   *nn.Weights[op.HostTensor]
	Tokenizer *tokenizer.Tokenizer // nil when there is none
	Ends      []uint32             // the ids that end a text
	Template  *chat.Template       // of conversations, nil when there is none
	// TemplateError is why the template that is there cannot be used.
	TemplateError error
	// Tensors are what the file has, for who lists them.
	Tensors []Tensor
	// TokenizerJSON is the text of Tokenizer, as a tokenizer.json; nil when there is none.
	TokenizerJSON json.RawMessage
	// Chat is the text of Template, with the special tokens that the files name.
	Chat chat.Source
}

// Tensor is one of a file's.
type Tensor struct {
	Name, Type string
	Shape      []int
	Bytes      int64
}

// Options say how to read a model.
type Options struct {
	// Masters has matrices of floats quantized that are not ternary as they are, where config.json does not say so: those of
	// Falcon-E's "prequantized" revisions, with hf.HalfUp. nil refuses them.
	Masters *hf.Rounding
	// Floats gives all weights in float32, as a training goes on from them, and says in the description how they become ternary.
	Floats bool
	// Context bounds how many tokens a session has room for; 0 is what the model was made for.
	Context int
}

// Recognize says whether the path is a model of this package, and opens no more than it needs for that.
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

// isWeights says whether a file's name is that of a model's weights or of a part of them. Other files, such as memories, may be beside them.
func isWeights(path string) bool {
	return filepath.Ext(path) == ".safetensors" && strings.HasPrefix(filepath.Base(path), "model")
}

func isHFDir(dir string) bool {
	if atomicfile.Recover(dir) != nil { // of an export that was ended before it was done
		return false
	}
	const most = 1 << 24
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

// settle makes of the weights that were read what is wanted.
func (m *Model) settle(o Options) error {
	if o.Floats {
		return m.toMasters()
	}
	m.Decoder.Masters = nil // such as were there have become ternary
	return nil
}

// Describe is Open without the weights. It says all the same which tensors are missing, and reads those of the first layer, for
// matrices of floats may turn out not to be ternary.
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

// rounded refuses a rounding that had nothing to round: the activations would be rounded for nothing.
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

// fill reads the weights of a model that is described.
func (m *Model) fill(src source, o Options) error {
	if err := m.check(src, o); err != nil {
		return err
	}
	if err := m.read(src); err != nil {
		return err
	}
	return m.settle(o)
}

// template loads the template, where there is one.
func (m *Model) template() {
	if len(m.Chat.Templates) > 0 {
		m.Template, m.TemplateError = m.Chat.Template()
	}
}

// check completes a model of which the keys and the vocabulary's size are known, and refuses what cannot be one, or lacks
// tensors.
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

// source gives the parts of parameters out of a file.
type source interface {
	// part reads what one name of a parameter stands for; errors name the file and the tensor.
	part(name string, table bool) (*part, error)
	// has is the error of a part that the file lacks.
	has(name string) error
	// file is what the file calls a part.
	file(name string) string
	// strangers refuses tensors of the model's layers that are not known: they would mean something that is not computed.
	strangers(known map[string]bool) error
	// rows is how many rows a matrix has, without reading it.
	rows(name string) (int, error)
	// drop lets go of the memory that the file's bytes of a name have taken, which are not needed again.
	drop(name string)
	close() error
}

// read fills the weights, several parameters at a time. Of several errors it gives the first in the order of the data flow.
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

// decimal is the float64 with few digits that a float32 in a file was rounded from: 1e-6 and not
// 9.9999999747524e-7.
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

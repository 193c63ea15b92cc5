package cpu_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"bitgpu/demo"
	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
	"bitgpu/nn/optest"
	"bitgpu/nn/storage"
)

var update = flag.Bool("update", false, "write testdata/greedy.json with the texts of the reference")

const (
	greedyTokens = 500
	demoTokens   = 100 // the reference needs 40 ms for one
	demoShort    = 30  // the same under QEMU takes far longer
	// nearTie is how far apart the best two logits must be, so that rounding cannot decide between them.
	nearTie = 1e-3
)

// text is what a model writes after a prompt. A penalty keeps it from repeating itself.
type text struct {
	Model   string   `json:"model"`
	Penalty float32  `json:"penalty,omitempty"`
	Prompt  []uint32 `json:"prompt"`
	Tokens  []uint32 `json:"tokens"`
	limit   int
}

func (x *text) sampling() op.Sampling { return op.Sampling{RepeatPenalty: x.Penalty} }

// definition writes the text by the reference, and returns the closest decision.
func (x *text) definition(t *testing.T, c nn.Config, w *nn.Weights[op.HostTensor]) (tokens []uint32, margin float32) {
	t.Helper()
	return define(t, x, cpu.NewScalar[float64](), c, w)
}

// define takes the largest of a backend's logits.
func define[T any](t *testing.T, x *text, ops op.Executor[T], c nn.Config, w *nn.Weights[op.HostTensor]) (tokens []uint32, margin float32) {
	t.Helper()
	s := session(t, ops, c, w)
	recent, logits, scratch := make([]uint32, op.RecentSize), make([]float32, c.Vocab), make([]float32, c.Vocab)
	read := func(ids ...uint32) {
		if err := s.Forward(ids); err != nil {
			t.Fatal(err)
		}
	}
	read(x.Prompt...)
	for _, id := range x.Prompt {
		op.Push(recent, id)
	}
	margin = nearTie
	for len(tokens) < x.limit {
		if err := s.Logits(logits); err != nil {
			t.Fatal(err)
		}
		id := x.sampling().Draw(logits, recent, scratch) // leaves the penalty on the logits
		for i, l := range logits {
			if uint32(i) != id {
				margin = min(margin, logits[id]-l)
			}
		}
		tokens = append(tokens, id)
		read(id)
	}
	return tokens, margin
}

// written returns the text as the engine generates it.
func (x *text) written(t *testing.T, c nn.Config, w *nn.Weights[op.HostTensor]) (tokens []uint32) {
	t.Helper()
	s := session(t, cpu.New(), c, w)
	if err := s.Forward(x.Prompt); err != nil {
		t.Fatal(err)
	}
	err := s.Generate(x.limit, x.sampling(), func(ids []uint32) bool {
		tokens = append(tokens, ids[0])
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func (x *text) compare(t *testing.T, tokens []uint32) {
	t.Helper()
	if slices.Equal(tokens, x.Tokens) {
		return
	}
	for i, id := range x.Tokens {
		if i >= len(tokens) || tokens[i] != id {
			t.Errorf("%s, penalty %v: token %d of %d differs: want %d", x.Model, x.Penalty, i, len(x.Tokens), id)
			return
		}
	}
	t.Errorf("%s, penalty %v: got %d tokens, want %d", x.Model, x.Penalty, len(tokens), len(x.Tokens))
}

func session[T any](t *testing.T, ops op.Executor[T], c nn.Config, w *nn.Weights[op.HostTensor]) *nn.Session[T] {
	t.Helper()
	m, err := nn.NewModel(ops, c, w)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Release)
	s, err := m.NewSession(1, c.DefaultScan())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// TestGreedyText compares 500 tokens of the reference models with those in testdata, which the reference wrote in float64: what
// makes the engine faster must not change them.
func TestGreedyText(t *testing.T) {
	path := filepath.Join("testdata", "greedy.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var texts []text
	if err := json.Unmarshal(data, &texts); err != nil {
		t.Fatal(err)
	}
	models := map[string]*optest.Reference{}
	for _, name := range optest.ReferenceNames {
		models[name] = optest.LoadReference(t, name)
	}
	for i := range texts {
		x := &texts[i]
		x.limit = greedyTokens
		r := models[x.Model]
		tokens, margin := x.definition(t, r.Config, r.Weights)
		if margin < nearTie {
			t.Errorf("%s, penalty %v: two logits lie %g apart: another prompt is needed", x.Model, x.Penalty, margin)
		}
		if *update {
			x.Tokens = tokens
		}
		x.compare(t, tokens)
	}
	if *update {
		var out bytes.Buffer
		out.WriteString("[\n")
		for i, x := range texts {
			line, err := json.Marshal(x)
			if err != nil {
				t.Fatal(err)
			}
			out.Write(line)
			out.WriteString(map[bool]string{true: ",\n", false: "\n]\n"}[i < len(texts)-1])
		}
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	eachLevel(t, func(t *testing.T) {
		for _, x := range texts {
			r := models[x.Model]
			x.compare(t, x.written(t, r.Config, r.Weights))
		}
	})
}

// TestGreedyTextOfDemo compares the engine directly with the reference, because the demo may be replaced by a better one. It uses the
// first prompt whose text has no near tie.
func TestGreedyTextOfDemo(t *testing.T) {
	l, err := storage.Parse(demo.Name, demo.Model, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	x := text{Model: demo.Name, limit: demoTokens}
	if testing.Short() {
		x.limit = demoShort
	}
	for first := uint32(0); ; first++ {
		if first == 20 {
			t.Fatal("near ties after every prompt")
		}
		x.Prompt = []uint32{first*uint32(l.Config.Vocab)/20 + 9, 8, 7}
		if _, margin := define(t, &x, cpu.New(), l.Config, l.Weights); margin < nearTie {
			continue
		}
		var margin float32
		if x.Tokens, margin = x.definition(t, l.Config, l.Weights); margin >= nearTie {
			break
		}
	}
	eachLevel(t, func(t *testing.T) { x.compare(t, x.written(t, l.Config, l.Weights)) })
}

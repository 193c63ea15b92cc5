package optest

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"bitgpu/io/safetensors"
	"bitgpu/nn"
	"bitgpu/nn/op"
)

// Reference is one folder of testdata/reference: a small model and what an independent program
// computed for it in float64.
type Reference struct {
	Name    string
	Config  nn.Config
	Weights *nn.Weights[op.HostTensor] // float32
	Tokens  [][]uint32                 // two sequences of T+1
	path    string
	expect  *safetensors.File
}

// ReferenceNames lists the models of testdata/reference.
var ReferenceNames = []string{"d32-none", "d36-absmean", "d32-delta", "d32-tied-head"}

// ReferenceDir returns the folder of a reference model.
func ReferenceDir(name string) string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "testdata", "reference", name)
}

// LoadReference reads a reference model.
func LoadReference(t testing.TB, name string) *Reference {
	t.Helper()
	r := &Reference{Name: name, path: ReferenceDir(name)}
	data, err := os.ReadFile(filepath.Join(r.path, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Config, err = nn.ParseConfig(name, data); err != nil {
		t.Fatal(err)
	}
	file := func(base string) *safetensors.File {
		f, err := safetensors.Open(filepath.Join(r.path, base))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	r.expect = file("expected.safetensors")
	model := file("model.safetensors")
	r.Weights = new(nn.Weights[op.HostTensor])
	nn.Walk(r.Config, r.Weights, func(p nn.Param, h *op.HostTensor) {
		*h = op.HostTensor{Shape: p.Shape, F32: concatenate(t, model, "", p)}
	})
	tokens, _ := r.expect.Tensor("tokens")
	ids, err := tokens.Int32s()
	if err != nil {
		t.Fatal(err)
	}
	each := tokens.Shape[1]
	for b := range tokens.Shape[0] {
		row := make([]uint32, each)
		for i := range row {
			row[i] = uint32(ids[b*each+i])
		}
		r.Tokens = append(r.Tokens, row)
	}
	return r
}

// Expect returns the numbers of an expected tensor.
func (r *Reference) Expect(t testing.TB, name string) []float32 {
	t.Helper()
	return floats(t, r.expect, name)
}

// ExpectParam returns the numbers of a parameter's expected tensor, with its parts stacked; prefix is
// "grad." or "adamw.step3.".
func (r *Reference) ExpectParam(t testing.TB, prefix string, p nn.Param) []float32 {
	t.Helper()
	return concatenate(t, r.expect, prefix, p)
}

func concatenate(t testing.TB, f *safetensors.File, prefix string, p nn.Param) (all []float32) {
	for _, name := range p.Names {
		all = append(all, floats(t, f, prefix+name)...)
	}
	return all
}

func floats(t testing.TB, f *safetensors.File, name string) []float32 {
	t.Helper()
	tensor, ok := f.Tensor(name)
	if !ok {
		t.Fatalf("%s is missing", name)
	}
	v, err := tensor.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// RelativeError returns ‖a−b‖/‖b‖.
func RelativeError(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	var diff, norm float64
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		diff += d * d
		norm += float64(b[i]) * float64(b[i])
	}
	if norm == 0 {
		return math.Sqrt(diff)
	}
	return math.Sqrt(diff / norm)
}

func closeTo(t testing.TB, what string, got, want []float32, tolerance float64) {
	t.Helper()
	if e := RelativeError(got, want); !(e < tolerance) {
		t.Errorf("%s: relative error %.2g, want below %.0g", what, e, tolerance)
	}
}

// Inference compares a backend's logits and states with the reference models: by both rules, with several
// chunks, and prompts read at once, in pieces and a token at a time.
func Inference[T any](t *testing.T, ops op.Executor[T], tolerance float64) {
	for _, name := range ReferenceNames {
		t.Run(name, func(t *testing.T) {
			r := LoadReference(t, name)
			m, err := nn.NewModel(ops, r.Config, r.Weights)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Release()
			for _, chunk := range []int{1, 7, 16, 64} {
				scan := r.Config.DefaultScan()
				scan.Chunk = chunk
				for _, piece := range []int{48, 1, 5} {
					t.Run(fmt.Sprintf("sequential/chunk%d/pieces%d", chunk, piece), func(t *testing.T) {
						r.check(t, func(seq int) ([]float32, []nn.LayerMemory) { return read(t, m, scan, r.Tokens[seq], piece) }, "sequential", tolerance)
					})
				}
			}
			if !slices.Contains(r.Config.Rules(), nn.RuleMinibatch) {
				return
			}
			t.Run("minibatch", func(t *testing.T) {
				scan := r.Config.DefaultScan()
				scan.Chunk, scan.Minibatch = 16, true
				r.check(t, func(seq int) ([]float32, []nn.LayerMemory) { return read(t, m, scan, r.Tokens[seq], 48) }, "minibatch16", tolerance)
			})
		})
	}
}

// read returns the logits after every token but the last, and the memory at the end.
func read[T any](t *testing.T, m *nn.Model[T], scan op.Scan, tokens []uint32, piece int) ([]float32, []nn.LayerMemory) {
	t.Helper()
	s, err := m.NewSession(1, scan)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var logits []float32
	for rest := tokens[:len(tokens)-1]; len(rest) > 0; {
		n := min(piece, len(rest))
		err := s.ForwardAll(rest[:n], func(_ int, l []float32) error {
			logits = append(logits, l...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	memory, err := s.Memory()
	if err != nil {
		t.Fatal(err)
	}
	return logits, memory
}

func (r *Reference) check(t *testing.T, run func(seq int) ([]float32, []nn.LayerMemory), rule string, tolerance float64) {
	t.Helper()
	wantLogits := r.Expect(t, "logits."+rule)
	half := func(v []float32, seq int) []float32 { return v[seq*len(v)/2 : (seq+1)*len(v)/2] }
	for seq := range r.Tokens {
		logits, memory := run(seq)
		closeTo(t, "logits", logits, half(wantLogits, seq), tolerance)
		for i, layer := range memory {
			closeTo(t, fmt.Sprintf("state.%d", i), layer.W, half(r.Expect(t, fmt.Sprintf("state.%s.%d", rule, i)), seq), tolerance)
			if layer.Tail != nil {
				closeTo(t, fmt.Sprintf("conv.%d", i), layer.Tail, half(r.Expect(t, fmt.Sprintf("conv.%s.%d", rule, i)), seq), tolerance)
			}
		}
	}
}

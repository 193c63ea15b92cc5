package memory

import (
	"bytes"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"bitgpu/io/internal/alloctest"
	"bitgpu/io/safetensors"

	"github.com/google/go-cmp/cmp"
)

func sample() *Memory {
	conv := make([]float32, 3*3*4)
	for i := range conv {
		conv[i] = float32(i) / 7
	}
	return &Memory{
		Layers: []Layer{
			{Shape: []int{2, 2}, W: []float32{1, 2, 3, 4}},
			{Shape: []int{2, 2, 2}, W: []float32{1, 2, 3, 4, 5, 6, 7, -8}, ConvShape: []int{3, 3, 4}, Conv: conv},
		},
		Model: "sha256:abc", Tokens: 12345,
	}
}

// encode writes tensors that WriteFile would not.
func encode(t testing.TB, metadata map[string]string, tensors ...safetensors.Tensor) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := safetensors.Write(&out, tensors, metadata); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func floats(name string, shape []int, v ...float32) safetensors.Tensor {
	return safetensors.FromFloat32s(name, shape, v)
}

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.memory")
	predicting := sample()
	predicting.Logits, predicting.Recent = []float32{1, -2.5, 3e38}, []uint32{7, 0, 1<<32 - 1}
	for _, want := range []*Memory{sample(), {Layers: sample().Layers[:1]}, predicting} {
		if err := WriteFile(path, want); err != nil {
			t.Fatal(err)
		}
		got, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

// TestFirstEngine reads a file without metadata, its layers in another order, up to a layer of two digits.
func TestFirstEngine(t *testing.T) {
	var tensors []safetensors.Tensor
	for i := 10; i >= 0; i-- {
		tensors = append(tensors, floats(layerName(i), []int{1, 1}, float32(i)))
	}
	m, err := Parse("a.soul", encode(t, nil, tensors...))
	if err != nil {
		t.Fatal(err)
	}
	if m.Model != "" || m.Tokens != 0 || len(m.Layers) != 11 || m.Layers[10].W[0] != 10 {
		t.Errorf("%+v", m)
	}
	if _, err := Parse("a.soul", encode(t, map[string]string{"format": "pt"}, tensors...)); err != nil {
		t.Errorf("a foreign format entry: %v", err)
	}
}

// A file of another program that has keys and values says by them how many tokens were read.
func TestTokensOfKeys(t *testing.T) {
	states := []safetensors.Tensor{floats("conv.0", []int{3, 2}, 1, 2, 3, 4, 5, 6), floats("key.1", []int{2, 1, 2}, 1, 2, 3, 4), floats("value.1", []int{2, 1, 2}, 1, 2, 3, 4)}
	for _, c := range []struct {
		metadata map[string]string
		want     int64
	}{{nil, 2}, {map[string]string{"tokens": "7"}, 7}} {
		m, err := Parse("a.memory", encode(t, c.metadata, states...))
		if err != nil {
			t.Fatal(err)
		}
		if m.Tokens != c.want || len(m.States) != 3 {
			t.Errorf("with %v: got %d tokens, want %d", c.metadata, m.Tokens, c.want)
		}
	}
}

type refusal struct {
	name string
	data []byte
	want string
}

// refused are files that are no memories, and what is said of them.
func refused(t testing.TB) []refusal {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	good := floats("layer_0", []int{2, 2}, 1, 2, 3, 4)
	own := func(key, value string) []byte {
		return encode(t, map[string]string{"format": Format, key: value}, good)
	}
	return []refusal{
		{"no file", nil, "got 0 bytes"},
		{"empty", encode(t, nil), "no tensor layer_0"},
		{"a model", encode(t, nil, floats("embed.weight", []int{1}, 1)), `tensor "embed.weight" does not belong into a memory file of 0 layers`},
		{"gap", encode(t, nil, good, floats("layer_2", []int{1, 1}, 1)), `tensor "layer_2" does not belong into a memory file of 1 layers`},
		{"other spelling", encode(t, nil, good, floats("layer_01", []int{1, 1}, 1)), `tensor "layer_01" does not belong`},
		{"conv alone", encode(t, nil, good, floats("layer_1.conv", []int{1}, 1)), `tensor "layer_1.conv" does not belong`},
		{"flat", encode(t, nil, floats("layer_0", []int{4}, 1, 2, 3, 4)), "layer_0: got (4), want shape (d, d) or (h, c, c)"},
		{"not square", encode(t, nil, floats("layer_0", []int{1, 4}, 1, 2, 3, 4)), "layer_0: got (1, 4), want shape (d, d) or (h, c, c)"},
		{"heads not square", encode(t, nil, floats("layer_0", []int{2, 2, 1}, 1, 2, 3, 4)), "got (2, 2, 1), want "},
		{"no axes", encode(t, nil, floats("layer_0", []int{}, 1)), "got (), want "},
		{"empty layer", encode(t, nil, floats("layer_0", []int{0, 0})), "got (0, 0), want "},
		{"type", encode(t, nil, safetensors.FromInt32s("layer_0", []int{1, 1}, []int32{1})), "layer_0: got type I32, want F32, F16 or BF16"},
		{"NaN", encode(t, nil, floats("layer_0", []int{2, 2}, 1, 2, nan, 4)), "layer_0: value 2 is NaN, want a finite number"},
		{"Inf in conv", encode(t, nil, floats("layer_0", []int{1, 1}, 1), floats("layer_0.conv", []int{3, 3, 1}, 0, 0, 0, 0, inf, 0, 0, 0, 0)), "layer_0.conv: value 4 is -Inf, want a finite number"},
		{"conv shape", encode(t, nil, good, floats("layer_0.conv", []int{3, 3, 1}, make([]float32, 9)...)), "layer_0.conv: got shape (3, 3, 1), want (3, 3, 2)"},
		{"tokens", encode(t, map[string]string{"tokens": "many"}, good), `metadata tokens: got "many", want a count`},
		{"negative", encode(t, map[string]string{"tokens": "-1"}, good), `metadata tokens: got "-1", want a count`},
		{"logits", own("logits", "AAA"), `metadata logits: got "AAA", want float32 numbers in base64`},
		{"half a logit", own("logits", "AAAAAAA="), `metadata logits: got "AAAAAAA=", want float32`},
		{"logits that are not finite", own("logits", "AACAPwAAwH8="), "metadata logits: value 1 is NaN, want a finite number"},
		{"recent", own("recent", "1,,2"), `metadata recent: got "1,,2", want token ids`},
		{"version", encode(t, map[string]string{"format": "bitgpu-memory-9"}, good), `got format "bitgpu-memory-9", want "bitgpu-memory-1"`},
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range refused(t) {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("a.memory", c.data)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "memory: ") || !strings.Contains(err.Error(), "a.memory: ") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestFailedWriteKeepsTheOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.memory")
	if err := WriteFile(path, sample()); err != nil {
		t.Fatal(err)
	}
	diverged := sample()
	diverged.Layers[1].W[7] = float32(math.Inf(1))
	backwards := sample()
	backwards.Tokens = -1
	short := sample()
	short.Layers[0].W = short.Layers[0].W[:3]
	for want, m := range map[string]*Memory{
		"layer_1: value 7 is +Inf, want a finite number":         diverged,
		"layer_0: got 12 bytes, want 16 for shape (2, 2) of F32": short,
		"-1 tokens and 2 layers are no memory":                   backwards,
		"0 tokens and 0 layers are no memory":                    {},
	} {
		err := WriteFile(path, m)
		if err == nil || !strings.Contains(err.Error(), path+": "+want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if got, err := Read(path); err != nil || !cmp.Equal(got, sample()) {
		t.Errorf("the old file changed: %v (%v)", got, err)
	}
	if _, err := Read(path + ".absent"); err == nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the cause is lost: %v", err)
	}
}

// TestFlippedBits: a state, a logit, the count of tokens and the conversation with another bit are refused, with the name of the file.
func TestFlippedBits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.memory")
	m := sample()
	m.Logits, m.Recent, m.Chat = []float32{1, -2.5}, []uint32{7}, []byte(`{"messages":[]}`)
	if err := WriteFile(path, m); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, at := range map[string]int{
		"state": len(data) - 4, "first state": len(data) - 4*48, "tokens": bytes.Index(data, []byte("12345")), "logits": bytes.Index(data, []byte(`"logits":"`)) + 11,
		"chat": bytes.Index(data, []byte("messages")),
	} {
		damaged := bytes.Clone(data)
		damaged[at] ^= 1
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil || !strings.HasPrefix(err.Error(), "memory: "+path+": got the checksum ") || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: got %v, want a damaged file", what, err)
		}
	}
}

// TestCutWhileRead: a file that is cut after it was opened is an error that names it.
func TestCutWhileRead(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows does not cut a file that is mapped")
	}
	path := filepath.Join(t.TempDir(), "a.memory")
	if err := WriteFile(path, sample()); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := fromFile(path, f); err == nil || !strings.Contains(err.Error(), path+": the file was cut") {
		t.Errorf("got %v, want a file that was cut", err)
	}
}

// FuzzParse: what is read can be written, and is the same once more. The seeds have no checksum, which nothing would be found behind.
func FuzzParse(f *testing.F) {
	add := func(m *Memory) {
		tensors, metadata, err := m.parts()
		if err != nil {
			f.Fatal(err)
		}
		data := encode(f, metadata, tensors...)
		if _, err := Parse("seed", data); err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	own := sample()
	own.Logits, own.Recent = []float32{1, -2.5}, []uint32{7, 0, 1<<32 - 1}
	add(own)
	public := []State{{"key.0", []int{2, 1, 1}, []float32{1, 2}}, {"value.0", []int{2, 1, 1}, []float32{3, 4}}, {"state.1", []int{1}, []float32{5}}, {"conv.1", []int{1, 2}, []float32{6, 7}}}
	add(&Memory{States: public, Mark: []State{{"0", []int{2}, []float32{8, 9}}}, Tokens: 2, Chat: []byte(`{"messages":[]}`)})
	f.Add(encode(f, safetensors.Summed([]safetensors.Tensor{floats("layer_0", []int{1, 1}, 1)}, nil), floats("layer_0", []int{1, 1}, 1)))
	// The states of a reference model, renamed to what a memory file calls them.
	expected, err := safetensors.Open("../../testdata/reference/d32-none/expected.safetensors")
	if err != nil {
		f.Fatal(err)
	}
	defer expected.Close()
	state, ok := expected.Tensor("state.sequential.0")
	if !ok {
		f.Fatal("the reference has no state")
	}
	state.Name = "layer_0"
	f.Add(encode(f, nil, state))
	for _, c := range refused(f) {
		f.Add(c.data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var m *Memory
		var err error
		alloctest.Bounded(t, len(data), 40, func() { m, err = Parse("fuzz", data) })
		if err != nil {
			if !strings.HasPrefix(err.Error(), "memory: ") || !strings.Contains(err.Error(), "fuzz: ") {
				t.Fatalf("the error %q does not name the file", err)
			}
			return
		}
		tensors, metadata, err := m.parts()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := Parse("again", encode(t, safetensors.Summed(tensors, metadata), tensors...))
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if diff := cmp.Diff(m, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

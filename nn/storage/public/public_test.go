package public

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/gpu/gputest"
	"bitgpu/io/hf"
	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
	"bitgpu/nn/webgpu"
)

// folder is the one of small public models that BITGPU_PUBLIC_MODELS names, each with the logits that it must give.
func folder(t *testing.T) string {
	dir := os.Getenv("BITGPU_PUBLIC_MODELS")
	if dir == "" {
		t.Skip("BITGPU_PUBLIC_MODELS does not name a folder of small public models")
	}
	return dir
}

// published are the models of the folder, with the file of what they must give.
func published(t *testing.T) map[string]string {
	dir := folder(t)
	all := map[string]string{}
	for _, name := range []string{
		"a_bitnet_packed", "b_bitnet_bf16_online", "c_llama_bitlinear_packed", "d_trilm_unpacked", "e_falcon_e_packed", "e_falcon_e_prequantized",
		"a_qwen3", "a_qwen3_yarn", "b_qwen35",
	} {
		all[filepath.Join(dir, name)] = filepath.Join(dir, name, "expected.safetensors")
	}
	const normed = "c2_llama_bitlinear_rmsnorm" // not in every copy of the folder
	if _, err := os.Stat(filepath.Join(dir, normed)); err == nil {
		all[filepath.Join(dir, normed)] = filepath.Join(dir, normed, "expected.safetensors")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.gguf"))
	if err != nil || len(files) < 19 {
		t.Fatalf("%d GGUF files (%v), want 19", len(files), err)
	}
	for _, path := range files {
		all[path] = filepath.Join(filepath.Dir(path), "expected.safetensors")
		if filepath.Base(filepath.Dir(path)) == "f_gguf" {
			all[path] = strings.TrimSuffix(path, ".gguf") + ".expected.safetensors"
		}
	}
	return all
}

func open(t *testing.T, path string) *Model {
	t.Helper()
	var o Options
	if strings.HasSuffix(path, "prequantized") {
		up := hf.HalfUp
		o.Masters = &up
	}
	m, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// answer is what a model must give.
type answer struct{ logits, greedy []float64 }

func wanted(t *testing.T, path string) answer {
	return answer{expectedNumbers(t, path, "logits_f64"), expectedNumbers(t, path, "greedy")}
}

func (a answer) check(t *testing.T, name string, got []float32, text []uint32, tolerance float64) {
	t.Helper()
	off, peak := 0.0, 0.0
	if len(got) != len(a.logits) {
		t.Fatalf("%s: got %d logits, want %d", name, len(got), len(a.logits))
	}
	for i, w := range a.logits {
		off, peak = max(off, math.Abs(float64(got[i])-w)), max(peak, math.Abs(w))
	}
	t.Logf("%s: off by %.2g of %.3g", name, off/peak, peak)
	if !(off <= tolerance*peak) {
		t.Errorf("%s: logits are off by %.2g of the largest, want %g", name, off/peak, tolerance)
	}
	for i, id := range a.greedy {
		if text[i] != uint32(id) {
			t.Errorf("%s: token %d of the text is %d, want %v", name, i, text[i], id)
			break
		}
	}
}

// The logits are those that other programs computed in float64, on the reference and on the engine.
func TestPublicLogits(t *testing.T) {
	for path, expected := range published(t) {
		t.Run(filepath.Base(filepath.Dir(path))+"/"+filepath.Base(path), func(t *testing.T) {
			m := open(t, path)
			tokens := expectedNumbers(t, expected, "tokens")
			right := wanted(t, expected)
			greedy := right.greedy
			check := func(name string, got []float32, text []uint32, tolerance float64) {
				right.check(t, name, got, text, tolerance)
			}
			got, text := run(t, cpu.NewScalar[float64](), m, tokens, len(greedy), 0)
			check("the reference in float64", got, text, 1e-6)
			got, text = run(t, cpu.New(), m, tokens, len(greedy), 0)
			check("the engine", got, text, 1e-5)
			got, text = run(t, cpu.New(), m, tokens, len(greedy), 1)
			check("the engine, token by token", got, text, 1e-5)
		})
	}
}

// The same on a GPU.
func TestPublicLogitsGPU(t *testing.T) {
	all := published(t)
	gpu := webgpu.New(gputest.Device(t))
	defer gpu.Close()
	for path, expected := range all {
		t.Run(filepath.Base(filepath.Dir(path))+"/"+filepath.Base(path), func(t *testing.T) {
			m := open(t, path)
			tokens := expectedNumbers(t, expected, "tokens")
			right := wanted(t, expected)
			got, text := run(t, gpu, m, tokens, len(right.greedy), 0)
			right.check(t, "all at once", got, text, 1e-4)
			got, text = run(t, gpu, m, tokens, len(right.greedy), 1)
			right.check(t, "token by token", got, text, 1e-4)
			got, text = run(t, gpu, m, tokens, len(right.greedy), 7)
			right.check(t, "in pieces", got, text, 1e-4)
		})
	}
}

// run reads tokens, so many at a time or all at once, and gives their logits and the greedy text behind them.
func run[T any](t *testing.T, b op.Executor[T], m *Model, tokens []float64, length, each int) (logits []float32, text []uint32) {
	t.Helper()
	c := nn.OfDecoder(m.Decoder)
	model, err := nn.NewModel(b, c, m.Weights)
	if err != nil {
		t.Fatal(err)
	}
	defer model.Release()
	s, err := model.NewSession(1, c.DefaultScan())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ids := make([]uint32, len(tokens))
	for i, x := range tokens {
		ids[i] = uint32(x)
	}
	if each == 0 {
		each = len(ids)
	}
	for from := 0; from < len(ids); from += each {
		if err := s.ForwardAll(ids[from:min(from+each, len(ids))], func(_ int, l []float32) error {
			logits = append(logits, l...)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Generate(length, op.Sampling{}, func(ids []uint32) bool {
		text = append(text, ids[0])
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return logits, text
}

// expectedNumbers reads a tensor of float64, float32 or int32.
func expectedNumbers(t *testing.T, path, name string) []float64 {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	number := func(part []byte) (n uint64) {
		for i, b := range part {
			n |= uint64(b) << (8 * i)
		}
		return n
	}
	n := number(data[:8])
	var header map[string]struct {
		DType   string
		Offsets []int `json:"data_offsets"`
	}
	if err := json.Unmarshal(data[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	h := header[name]
	if h.Offsets == nil {
		t.Fatalf("%s has no %s", path, name)
	}
	part := data[8+int(n)+h.Offsets[0] : 8+int(n)+h.Offsets[1]]
	var out []float64
	for len(part) > 0 {
		switch h.DType {
		case "F64":
			out, part = append(out, math.Float64frombits(number(part[:8]))), part[8:]
		case "F32":
			out, part = append(out, float64(math.Float32frombits(uint32(number(part[:4]))))), part[4:]
		default:
			out, part = append(out, float64(int32(number(part[:4])))), part[4:]
		}
	}
	return out
}

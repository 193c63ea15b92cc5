package train_test

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/gpu/gputest"
	"bitgpu/io/safetensors"
	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
	"bitgpu/nn/storage"
	"bitgpu/nn/storage/peft"
	"bitgpu/nn/train"
	"bitgpu/nn/webgpu"
)

// The loss and the gradients of an adapter over a packed BitNet are those of transformers (BITGPU_PUBLIC_MODELS,
// a_bitnet_packed/lora.safetensors).
func TestAdapterGradientsAreThoseOfTransformers(t *testing.T) {
	dir := os.Getenv("BITGPU_PUBLIC_MODELS")
	if dir == "" {
		t.Skip("BITGPU_PUBLIC_MODELS does not name a folder of small public models")
	}
	path := filepath.Join(dir, "a_bitnet_packed")
	model, err := storage.Load(path, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	reference, err := safetensors.Open(filepath.Join(path, "lora.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer reference.Close()
	numbers := func(name string) []float32 {
		x, ok := reference.Tensor(name)
		if !ok {
			t.Fatalf("no tensor %s", name)
		}
		v, err := x.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	// The same in PEFT's form.
	var tensors []safetensors.Tensor
	for _, name := range reference.Names() {
		if x, _ := reference.Tensor(name); strings.HasSuffix(name, "lora_A") || strings.HasSuffix(name, "lora_B") {
			x.Name = "base_model.model." + name + ".weight"
			tensors = append(tensors, x)
		}
	}
	file := filepath.Join(t.TempDir(), "reference.safetensors")
	if err := safetensors.WriteFile(file, tensors, map[string]string{peft.ConfigName: `{"peft_type":"LORA","r":4,"lora_alpha":8}`}); err != nil {
		t.Fatal(err)
	}
	adapter, err := peft.Load(file, model.Config)
	if err != nil {
		t.Fatal(err)
	}
	c := model.Config
	if c.Adapter, err = peft.Join(c, peft.Weighted{Adapter: adapter, Weight: 1}); err != nil {
		t.Fatal(err)
	}
	ids, _ := reference.Tensor("tokens")
	signed, err := ids.Int32s()
	if err != nil {
		t.Fatal(err)
	}
	tokens := make([]uint32, len(signed))
	for i, id := range signed {
		tokens[i] = uint32(id)
	}
	t.Run("scalar", func(t *testing.T) {
		holdToReference(t, cpu.NewScalar[float32](), c, model.Weights, tokens, numbers, 1e-4)
	})
	t.Run("float64", func(t *testing.T) {
		holdToReference(t, cpu.NewScalar[float64](), c, model.Weights, tokens, numbers, 1e-4)
	})
	t.Run("engine", func(t *testing.T) { holdToReference(t, cpu.New(), c, model.Weights, tokens, numbers, 1e-4) })
	t.Run("WebGPU", func(t *testing.T) {
		gpu := webgpu.New(gputest.Device(t))
		defer gpu.Close()
		holdToReference(t, gpu, c, model.Weights, tokens, numbers, 1e-3)
	})
}

// nudged are the weights with numbers around 1e-6 added to the embedding of the first token, such that the logits are those
// wanted. One number before the rounding to int8 lies so close to the middle of two whole ones that float32 falls to either
// side, depending on the order of sums.
func nudged[T any](t *testing.T, b op.Executor[T], c nn.Config, w *nn.Weights[op.HostTensor], tokens []uint32, want []float32) *nn.Weights[op.HostTensor] {
	t.Helper()
	out := append(nn.Weights[op.HostTensor](nil), *w...)
	embed := op.HostTensor{Format: op.F32, Shape: out[0].Shape, F32: make([]float32, op.Count(out[0].Shape))}
	switch out[0].Format {
	case op.BF16:
		for i, bits := range out[0].F16 {
			embed.F32[i] = math.Float32frombits(uint32(bits) << 16)
		}
	case op.F32:
		copy(embed.F32, out[0].F32)
	default:
		t.Fatalf("the embedding is in %v, want BF16 or F32", out[0].Format)
	}
	row := embed.F32[int(tokens[0])*c.Width:][:c.Width]
	plain := append([]float32(nil), row...)
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 0))
		for i, x := range plain {
			row[i] = x * float32(1+float64(min(seed, 1))*1e-6*rng.NormFloat64())
		}
		out[0] = embed
		m, err := nn.NewModel(b, c, &out)
		if err != nil {
			t.Fatal(err)
		}
		s, err := m.NewSession(1, c.DefaultScan())
		if err != nil {
			t.Fatal(err)
		}
		var got []float32
		err = s.ForwardAll(tokens, func(_ int, logits []float32) error {
			got = append(got, logits...)
			return nil
		})
		s.Close()
		m.Release()
		if err != nil {
			t.Fatal(err)
		}
		off := 0.0
		for i, x := range want {
			off = max(off, math.Abs(float64(got[i]-x)))
		}
		if off < 1e-4 {
			t.Logf("seed %d: the logits are off by %g", seed, off)
			return &out
		}
	}
	t.Fatal("no nudge gives the logits of the reference")
	return nil
}

func holdToReference[T any](t *testing.T, b op.Executor[T], c nn.Config, w *nn.Weights[op.HostTensor], tokens []uint32, numbers func(string) []float32, tolerance float64) {
	n := len(tokens) - 1
	w = nudged(t, b, c, w, tokens, numbers("logits"))
	l, err := train.NewLearner(b, c, train.Shape{Batch: 1, Time: n, Accumulate: 1}, w)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	l.Step(0, tokens[:n], tokens[1:])
	if _, err := l.Results(); err != nil {
		t.Fatal(err)
	}
	got, err := l.Gradients()
	if err != nil {
		t.Fatal(err)
	}
	worst := 0.0
	for i, p := range nn.AdapterParams(c) {
		var want []float32
		letter := "A"
		if p.B {
			letter = "B"
		}
		for _, name := range p.Names {
			want = append(want, numbers("model."+strings.TrimSuffix(name, ".weight")+".lora_"+letter+".grad")...)
		}
		var off, size float64
		for j, x := range want {
			off += math.Pow(float64((*got)[i].F32[j]-x), 2)
			size += math.Pow(float64(x), 2)
		}
		off = math.Sqrt(off / size)
		worst = max(worst, off)
		if !(off < tolerance) {
			t.Errorf("%v.%s: off by %g, want %g", p.Names, letter, off, tolerance)
		}
	}
	t.Logf("the worst is off by %g", worst)
}

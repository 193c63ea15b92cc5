package train_test

import (
	"encoding/binary"
	"math"
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
	"bitgpu/nn/train"
	"bitgpu/nn/webgpu"
)

// The loss and the gradients of all masters of a BitNet are those of transformers (BITGPU_PUBLIC_MODELS,
// b_bitnet_bf16_online/grads.safetensors): those that are there by their numbers, all by their norms.
func TestMasterGradientsAreThoseOfTransformers(t *testing.T) {
	dir := os.Getenv("BITGPU_PUBLIC_MODELS")
	if dir == "" {
		t.Skip("BITGPU_PUBLIC_MODELS does not name a folder of small public models")
	}
	path := filepath.Join(dir, "b_bitnet_bf16_online")
	model, err := storage.Load(path, storage.Options{Masters: true})
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	open := func(name string) *safetensors.File {
		f, err := safetensors.Open(filepath.Join(path, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	expected, gradients := open("expected.safetensors"), open("grads.safetensors")
	ids, _ := expected.Tensor("tokens")
	signed, err := ids.Int32s()
	if err != nil {
		t.Fatal(err)
	}
	tokens := make([]uint32, len(signed))
	for i, id := range signed {
		tokens[i] = uint32(id)
	}
	logits, _ := expected.Tensor("logits")
	want, err := logits.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("scalar", func(t *testing.T) { holdMasters(t, cpu.NewScalar[float32](), model, tokens, want, gradients, 1e-4) })
	t.Run("engine", func(t *testing.T) { holdMasters(t, cpu.New(), model, tokens, want, gradients, 1e-4) })
	t.Run("WebGPU", func(t *testing.T) {
		gpu := webgpu.New(gputest.Device(t))
		defer gpu.Close()
		holdMasters(t, gpu, model, tokens, want, gradients, 1e-3)
	})
}

// theirs are transformers' names of parts.
var theirs = strings.NewReplacer("norm1.weight", "input_layernorm.weight", "norm2.weight", "post_attention_layernorm.weight", "norm_f.weight", "norm.weight",
	"embed.weight", "embed_tokens.weight", "self_attn.sub_norm", "self_attn.attn_sub_norm", "mlp.sub_norm", "mlp.ffn_sub_norm")

func holdMasters[T any](t *testing.T, b op.Executor[T], model *storage.Loaded, tokens []uint32, logits []float32, want *safetensors.File, tolerance float64) {
	c, n := model.Config, len(tokens)-1
	w := nudged(t, b, c, model.Weights, tokens, logits)
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
	rows := map[string]int{}
	for _, m := range nn.Matrices(c) {
		for i, name := range m.Names {
			rows[name] = m.Each[i]
		}
	}
	held, norms, worst := 0, 0, 0.0
	for i, p := range nn.Params(c) {
		at := 0
		for _, name := range p.Names {
			size := op.Count(p.Shape)
			if len(p.Names) > 1 {
				size = rows[name] * p.Shape[1]
			}
			part := (*got)[i].F32[at : at+size]
			at += size
			their := "model." + theirs.Replace(name)
			if x, ok := want.Tensor("norm." + their); ok {
				norm := math.Float64frombits(binary.LittleEndian.Uint64(x.Data))
				square := 0.0
				for _, g := range part {
					square += float64(g) * float64(g)
				}
				norms++
				if off := math.Abs(math.Sqrt(square)-norm) / norm; !(off < tolerance) {
					t.Errorf("%s: the gradient's norm is off by %g, want %g", their, off, tolerance)
				}
			}
			x, ok := want.Tensor(their)
			if !ok {
				continue
			}
			numbers, err := x.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			var off, size2 float64
			for j, y := range numbers {
				off += math.Pow(float64(part[j]-y), 2)
				size2 += math.Pow(float64(y), 2)
			}
			held++
			off = math.Sqrt(off / size2)
			worst = max(worst, off)
			if !(off < tolerance) {
				t.Errorf("%s: off by %g, want %g", their, off, tolerance)
			}
		}
	}
	if held < 9 || norms < 24 {
		t.Errorf("got %d gradients and %d norms to hold against, want 9 and 24", held, norms)
	}
	t.Logf("the worst is off by %g", worst)
}

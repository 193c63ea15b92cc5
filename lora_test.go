package bitgpu

import (
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitgpu/nn/storage/peft"
	"bitgpu/nn/train"
)

// An adapter of zeros leaves what a model writes to the bit; another changes it, by its weight, and the model's name with it.
func TestWithLoRA(t *testing.T) {
	for _, name := range []string{"d32-none", "d32-delta"} {
		plain := open(t, name)
		a := train.NewAdapter(plain.Config(), 2, 4, func(string) bool { return true }, 1)
		save := func() string {
			path := filepath.Join(t.TempDir(), "x.lora.safetensors")
			if err := peft.Save(path, plain.Config(), a, name); err != nil {
				t.Fatal(err)
			}
			return path
		}
		zero := save()
		for i := 1; i < len(a.Weights); i += 2 {
			for j := range a.Weights[i].F32 {
				a.Weights[i].F32[j] = 0.2 * float32(j%5-2)
			}
		}
		stirred := save()
		logits := func(m *Model) []float32 {
			l, err := begin(t, m).Forward([]uint32{1, 2, 3, 4})
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		want := logits(plain)
		if got := logits(open(t, name, WithLoRA(zero, 1))); !slices.Equal(got, want) {
			t.Errorf("%s: an adapter of zeros changes the logits", name)
		}
		if got := logits(open(t, name, WithLoRA(stirred, 0))); !slices.Equal(got, want) {
			t.Errorf("%s: an adapter with the weight 0 changes the logits", name)
		}
		with := open(t, name, WithLoRA(stirred, 1))
		if slices.Equal(logits(with), want) || with.ID() == plain.ID() {
			t.Errorf("%s: the adapter changes neither logits nor name, want both", name)
		}
		if got := logits(open(t, name, WithLoRA(stirred, 1), WithLoRA(stirred, -1))); distance(got, want) > 1e-5 {
			t.Errorf("%s: an adapter and its opposite change the logits by %g", name, distance(got, want))
		}
		if _, err := Load(filepath.Join(reference, "d36-absmean"), WithBackend(CPU), WithLoRA(stirred, 1)); err == nil || !strings.Contains(err.Error(), "want") {
			t.Errorf("%s: an adapter of another model: got %v, want an error", name, err)
		}
		if _, err := Load(filepath.Join(reference, name), WithBackend(CPU), WithLoRA(stirred, math.Inf(1))); !errors.Is(err, ErrOption) {
			t.Errorf("got %v, want %v", err, ErrOption)
		}
	}
}

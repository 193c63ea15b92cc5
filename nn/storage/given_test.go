package storage

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/nn"

	"github.com/google/go-cmp/cmp"
)

// lone copies a reference model's weights to a directory without config.json.
func lone(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(reference, name, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "weights.safetensors")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestGivenConfigReplacesAMissingOne(t *testing.T) {
	for _, name := range names {
		want, err := Load(filepath.Join(reference, name), Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer want.Close()
		path := lone(t, name)
		if _, err := Load(path, Options{}); err == nil || !strings.Contains(err.Error(), "config.json") {
			t.Errorf("%s: without a config: %v", name, err)
		}
		got, err := Load(path, Options{Config: &want.Config})
		if err != nil {
			t.Fatal(err)
		}
		defer got.Close()
		if d := cmp.Diff(want.Weights, got.Weights); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if got.Tokenizer != nil {
			t.Errorf("%s: a tokenizer from nowhere", name)
		}
	}
}

func TestGivenConfigMustAgree(t *testing.T) {
	for _, name := range names {
		dir := filepath.Join(reference, name)
		loaded, err := Load(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		loaded.Close()
		right := loaded.Config
		// Beside a config.json the four fields of the first engine are enough.
		required := nn.Config{Vocab: right.Vocab, Width: right.Width, Layers: right.Layers, InnerLR: right.InnerLR}
		other := map[string]string{
			nn.ScaleNone: nn.ScaleAbsmean, nn.ScaleAbsmean: nn.ScaleNone, nn.MixerTied: nn.MixerDelta, nn.MixerDelta: nn.MixerTied,
		}
		type disagreement struct {
			field  string
			change func(*nn.Config)
			lone   bool // the tensors alone contradict it
		}
		cases := []disagreement{
			{"vocab_size", func(c *nn.Config) { c.Vocab++ }, true},
			{"hidden_dim", func(c *nn.Config) { c.Width *= 2 }, true},
			{"num_layers", func(c *nn.Config) { c.Layers-- }, true},
			{"num_layers", func(c *nn.Config) { c.Layers++ }, true},
			{"weight_scale", func(c *nn.Config) { c.WeightScale = other[right.WeightScale] }, false},
			{"ttt_mixer", func(c *nn.Config) { c.Mixer = other[right.Mixer] }, true},
			{"hidden_dim", func(c *nn.Config) { c.Width = 0 }, true}, // no config at all
		}
		if right.Uses("ttt_heads") {
			cases = append(cases, disagreement{"ttt_heads", func(c *nn.Config) { c.Mixer, c.MemoryWidth, c.Heads = nn.MixerDelta, right.MemoryWidth, 1 }, true})
		} else {
			cases = append(cases, disagreement{"inner_lr", func(c *nn.Config) { c.InnerLR = 0.2 }, false})
		}
		if !right.TiedHead { // of one table a false would say nothing
			cases = append(cases, disagreement{"tie_word_embeddings", func(c *nn.Config) { c.TiedHead = true }, true})
		}
		for _, path := range []string{dir, filepath.Join(dir, "model.bitt"), filepath.Join(dir, "model.safetensors"), lone(t, name)} {
			alone := !strings.HasPrefix(path, dir)
			for _, c := range cases {
				given := required
				if alone {
					given = right
				}
				c.change(&given)
				l, err := Load(path, Options{Config: &given})
				if err == nil {
					l.Close()
				}
				if alone && !c.lone {
					if err != nil {
						t.Errorf("%s: %s: %v", path, c.field, err)
					}
				} else if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), c.field+":") {
					t.Errorf("%s: got %v, want an error that names %s", path, err, c.field)
				}
			}
			if alone {
				continue
			}
			l, err := Load(path, Options{Config: &required})
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			l.Close()
		}
	}
}

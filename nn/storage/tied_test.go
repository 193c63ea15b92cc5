package storage

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/io/safetensors"
	"bitgpu/nn"
)

// A file has a head of its own or none, as its config says.
func TestTiedHeadOrNone(t *testing.T) {
	two, one := takeApart(t, "d32-none"), takeApart(t, "d32-tied-head")
	two.config["tie_word_embeddings"] = true
	delete(one.config, "tie_word_embeddings")
	for want, p := range map[string]*parts{
		"bitt: model.bitt: lm_head.weight: got a head of its own, want none, because tie_word_embeddings is true in model.bitt: config":          two,
		"bitt: model.bitt: lm_head.weight: the file has no such tensor, want shape (300, 32), or tie_word_embeddings true in model.bitt: config": one,
	} {
		for _, masters := range []bool{false, true} {
			if _, err := Parse("model.bitt", p.file(t), Options{Masters: masters}); err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
		}
	}
	one.config["tie_word_embeddings"] = true
	one.tensors = append(one.tensors, safetensors.FromFloat32s("lm_head.weight_scale", []int{1}, []float32{1}))
	if _, err := Parse("model.bitt", one.file(t), Options{}); err == nil || !strings.Contains(err.Error(), "lm_head.weight_scale: found, but the config") {
		t.Errorf("got %v, want the scale of a head refused", err)
	}
}

// A config that says false in so many words contradicts a file with one table; one that says nothing leaves it to the file,
// unless it is all that there is.
func TestGivenFalseIsNoSilence(t *testing.T) {
	for words, refused := range map[string]bool{"": false, `, "tie_word_embeddings": null`: false, `, "tie_word_embeddings": true`: false, `, "tie_word_embeddings": false`: true} {
		for path, alone := range map[string]bool{filepath.Join(reference, "d32-tied-head", "model.bitt"): false, lone(t, "d32-tied-head"): true} {
			c, err := nn.ParsePartialConfig([]byte(`{"vocab_size": 300, "hidden_dim": 32, "num_layers": 2, "inner_lr": 0.1, "mlp_dim": 64` + words + `}`))
			if err != nil {
				t.Fatal(err)
			}
			l, err := Load(path, Options{Config: &c})
			if err == nil {
				l.Close()
			}
			refused := refused || alone && !c.TiedHead
			if got := errors.Is(err, ErrConfig) && strings.HasSuffix(err.Error(), "tie_word_embeddings: got true, want false as given"); got != refused || (err != nil) != refused {
				t.Errorf("%s: %q: got %v, want it refused: %v", path, words, err, refused)
			}
		}
	}
}

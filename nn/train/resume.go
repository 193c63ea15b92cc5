package train

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"bitgpu/io/corpus"
	"bitgpu/io/safetensors"
	"bitgpu/nn"
	"bitgpu/nn/op"
	"bitgpu/nn/storage"
)

// Weights reads the checkpoint's model. Close releases it. Errors are those of [storage.Load].
func (c *Checkpoint) Weights() (*storage.Loaded, error) {
	return storage.Load(c.Path, storage.Options{Masters: true})
}

// ErrTokens means that a training would continue with tokens other than those it began with.
var ErrTokens = errors.New("a training goes on with the same tokens only")

// CheckTokens returns [ErrTokens] for tokens other than those that the checkpoint has read, in which its position would mean
// nothing. name is their file, for the error.
func (c *Checkpoint) CheckTokens(name string, found corpus.Fingerprint) error {
	if want := c.State.Data; want != (corpus.Fingerprint{}) && want != found {
		return fmt.Errorf("train: %s: got %v, want %v, which %s has read; %w", name, found, want, c.Path, ErrTokens)
	}
	return nil
}

// CheckText refuses a text other than the one whose tokens the checkpoint has read.
func (c *Checkpoint) CheckText(path string) error {
	if was := c.State.Options.Data; filepath.Clean(path) != filepath.Clean(was) {
		return fmt.Errorf("got %s, want %s, which %s was trained on", path, was, c.Path)
	}
	return nil
}

// CheckOptions refuses options that would change the meaning of the checkpoint's position in its data: other windows, or
// another order.
func (c *Checkpoint) CheckOptions(o Options) error {
	was := c.State.Options
	for _, f := range []struct {
		name     string
		was, now any
	}{{"context-len", was.Time, o.Time}, {"order", was.Order, o.Order}, {"pack", was.Pack, o.Pack}, {"seed", was.Seed, o.Seed}} {
		if f.was != f.now {
			return fmt.Errorf("%s: got %v, want %v, with which %s has read its data", f.name, f.now, f.was, c.Path)
		}
	}
	return nil
}

// RestoreMoments restores the rest in a trainer that was made from Weights: moments and step number.
func (c *Checkpoint) RestoreMoments(e Trainer) error {
	for _, part := range momentParts {
		if err := c.restore(e, part); err != nil {
			return fmt.Errorf("checkpoint %s: %w", c.Path, err)
		}
	}
	e.SetUpdates(c.State.Step)
	return nil
}

func (c *Checkpoint) restore(e Trainer, part Part) error {
	w, done, err := c.moments(part, e.Config())
	if err != nil {
		return err
	}
	defer done()
	return e.Restore(part, w)
}

// moments reads a part, which may be mapped from its file; done closes that.
func (c *Checkpoint) moments(part Part, config nn.Config) (w *nn.Weights[op.HostTensor], done func() error, err error) {
	file, err := safetensors.Open(filepath.Join(c.Path, momentNames[part]))
	if err != nil {
		return nil, nil, err
	}
	w = new(nn.Weights[op.HostTensor])
	nn.Walk(config, w, func(p nn.Param, h *op.HostTensor) {
		if err != nil {
			return
		}
		t, ok := file.Tensor(strings.Join(p.Names, "+"))
		if !ok || !slices.Equal(t.Shape, p.Shape) {
			err = fmt.Errorf("%s: %s: got shape %s, want %s", momentNames[part], p.Names[0],
				safetensors.FormatShape(t.Shape), safetensors.FormatShape(p.Shape))
			return
		}
		*h = op.HostTensor{Format: op.F32, Shape: p.Shape}
		if h.F32, ok = t.FloatView(); !ok {
			h.F32, err = t.Float32s()
		}
	})
	if err == nil {
		err = sound(config, part, w)
	}
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return w, file.Close, nil
}

package train_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bitgpu/io/corpus"
	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/optest"
	"bitgpu/nn/train"
)

// adaptTogether trains an adapter on n ranks, from its file where there is one, to the end or until after a step, and writes what
// it would go on from.
func adaptTogether(t *testing.T, path string, n, stopAfter int, chat, pack bool) {
	t.Helper()
	c := nn.Config{Vocab: 40, Width: 32, Layers: 2, InnerLR: 0.5}.WithDefaults()
	var tokens []uint32
	var marks []byte
	for i := range uint32(400) {
		tokens = append(tokens, i*i%37)
		if chat {
			mark := byte(0)
			if i%20 > 8 {
				mark = corpus.Counts
			}
			if i%20 == 0 {
				mark |= corpus.Begins
			}
			marks = append(marks, mark)
		}
	}
	err := together(n, func(g train.Group) error {
		o := train.AdaptOptions{Batch: 16, Time: 12, Steps: 8, LR: 5e-3, Seed: 4, Shards: 8, Pack: pack}
		config := c
		config.Adapter = train.NewAdapter(c, 2, 4, func(string) bool { return true }, 1)
		var resume func(train.AdapterTrainer) error
		if _, err := os.Stat(path); err == nil {
			if config.Adapter, o, resume, err = train.OpenAdaptation(path, c, tokens, marks); err != nil {
				return err
			}
		}
		if _, err := train.Any(g, false); err != nil { // nobody writes before all have read
			return err
		}
		shape := o.Shape()
		shape.Group = g
		l, err := train.NewLearner(cpu.New(), config, shape, optest.RandomWeights(c, 3))
		if err != nil {
			return err
		}
		defer l.Release()
		if resume != nil {
			if err := resume(l); err != nil {
				return err
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		a := &train.Adaptation{Trainer: l, Options: o, Tokens: tokens, Marks: marks}
		a.Progress = func(done, _ int, _ float64, _ time.Duration) {
			if done == stopAfter && g.Rank() == n-1 { // whichever rank hears of it
				stop()
			}
		}
		if err := a.Do(ctx); err != nil {
			return err
		}
		want := o.Steps
		if stopAfter > 0 {
			want = stopAfter
		}
		if l.Updates() != want {
			return fmt.Errorf("rank %d: got %d steps, want %d", g.Rank(), l.Updates(), want)
		}
		if g.Rank() > 0 {
			return nil
		}
		return a.SaveAdaptation(path)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestAdaptersOfAnyNumberOfRanks: an adapter and its moments are the same, bit for bit, on 1, 2, 4 and 8 ranks, and where a training
// goes on with another number of ranks; of text and of conversations, which may share rows.
func TestAdaptersOfAnyNumberOfRanks(t *testing.T) {
	for _, data := range []struct {
		name       string
		chat, pack bool
	}{{name: "text"}, {name: "chat", chat: true}, {name: "packed", chat: true, pack: true}} {
		dir := t.TempDir()
		file := func(name string) string { return filepath.Join(dir, name) }
		content := func(name string) string {
			data, err := os.ReadFile(file(name))
			if err != nil {
				t.Fatal(err)
			}
			return string(data)
		}
		adaptTogether(t, file("alone"), 1, 0, data.chat, data.pack)
		for _, n := range []int{2, 4, 8} {
			name := fmt.Sprint(n)
			adaptTogether(t, file(name), n, 0, data.chat, data.pack)
			if content(name) != content("alone") {
				t.Errorf("%s: %d ranks make another adapter", data.name, n)
			}
		}
		for i, n := range []int{4, 1, 8} {
			adaptTogether(t, file("resumed"), n, []int{2, 5, 0}[i], data.chat, data.pack)
		}
		if content("resumed") != content("alone") {
			t.Errorf("%s: going on with other numbers of ranks makes another adapter", data.name)
		}
	}
}

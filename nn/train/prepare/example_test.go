package prepare_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"bitgpu/io/corpus"
	"bitgpu/io/dataset"
	"bitgpu/nn"
	"bitgpu/nn/storage"
	"bitgpu/nn/train"
	"bitgpu/nn/train/device"
	"bitgpu/nn/train/prepare"
)

// A training of 6 steps ends after 3 of them and goes on from its checkpoint, in what could be another process. Its model is to
// the bit that of a training without the break.
func Example() {
	root, err := os.MkdirTemp("", "bitgpu")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(root)
	book := filepath.Join(root, "book.txt")
	if err := os.WriteFile(book, []byte(strings.Repeat("the cat sat on the mat\n", 100)), 0o644); err != nil {
		log.Fatal(err)
	}

	broken, whole := filepath.Join(root, "broken"), filepath.Join(root, "whole")
	for _, run := range []struct {
		dir    string
		steps  int
		resume bool
	}{{broken, 3, false}, {broken, 6, true}, {whole, 6, false}} {
		done, err := trainTo(run.dir, book, run.steps, run.resume)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(filepath.Base(run.dir), "has", done, "steps")
	}
	a, err := os.ReadFile(filepath.Join(broken, "model.bitt"))
	if err != nil {
		log.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(whole, "model.bitt"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the same model:", bytes.Equal(a, b))
	// Output:
	// broken has 3 steps
	// broken has 6 steps
	// whole has 6 steps
	// the same model: true
}

// trainTo trains on a text in a directory until so many steps are done, from the beginning or from the newest checkpoint.
func trainTo(dir, text string, steps int, resume bool) (done int, err error) {
	ctx := context.Background()
	unlock, err := prepare.Lock(dir)
	if err != nil {
		return 0, err
	}
	defer unlock()
	d := device.CPU()
	defer d.Close()

	b := prepare.Beginning{Config: nn.Config{Width: 32, Layers: 1}.WithDefaults(), Options: train.DefaultOptions()}
	o := &b.Options
	o.Data, o.Batch, o.Time, o.Warmup, o.SaveInterval = text, 2, 8, 0, 3
	if resume {
		if b.Resumed, err = train.Newest(dir, func(damaged error) { log.Print(damaged) }); err != nil {
			return 0, err
		}
	}
	if b.Resumed != nil {
		*o = b.Resumed.State.Options
		if b.Model, err = b.Resumed.Weights(); err != nil {
			return 0, err
		}
		defer b.Model.Close()
		b.Config = b.Model.Config
	}
	o.Steps, o.DecaySteps = steps, 1
	o.MinLR = o.LR // as the learning rate depends on the number of steps otherwise

	source := prepare.Source{Path: text, Made: filepath.Join(dir, "data"), Model: b.Model, Resumed: b.Resumed}
	source.Make = func() error {
		docs := corpus.Documents([]string{text}, corpus.Options{Mode: corpus.Line})
		vocabulary, _, err := dataset.Vocabulary(ctx, docs, 270, 2)
		if err == nil {
			_, err = dataset.Write(ctx, source.Made, "tokenizer.json", vocabulary, dataset.Source{Docs: docs, Mode: corpus.Line})
		}
		return err
	}
	if b.Data, err = source.Open(); err != nil {
		return 0, err
	}
	defer b.Data.Close()
	if err := prepare.SetVocab(&b.Config, b.Model, b.Data); err != nil {
		return 0, err
	}
	if b.Shape, err = d.Plan(b.Config, *o); err != nil {
		return 0, err
	}
	trainer, err := b.Trainer(d, nil)
	if err != nil {
		return 0, err
	}
	defer trainer.Release()

	run := train.Run{
		Trainer: trainer, Options: *o, Dir: dir, Like: train.Like{Tokenizer: b.Data.Tokenizer}, Train: b.Data.Train,
		Resumed: b.Resumed, Report: silent{},
	}
	out, err := run.Do(ctx)
	if err != nil {
		return out.Steps, err
	}
	weights, err := trainer.Download(train.Masters)
	if err != nil {
		return out.Steps, err
	}
	return out.Steps, run.Save(filepath.Join(dir, "model.bitt"), b.Config, weights, storage.Layout{Pack: true})
}

// silent tells nobody of how a training goes.
type silent struct{}

func (silent) Progress([]train.Metric)   {}
func (silent) Saved(string, train.State) {}
func (silent) Warned(error)              {}

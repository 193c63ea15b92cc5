package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"bitgpu/io/tensorboard"
	"bitgpu/nn"
	"bitgpu/nn/op"
	"bitgpu/nn/storage"
	"bitgpu/nn/train"

	"github.com/urfave/cli/v2"
)

// lossName is the picture of the losses that a run leaves.
const lossName = "loss.png"

func trainCommand() *cli.Command {
	return &cli.Command{
		Name:      "train",
		Usage:     "train a model from text or tokens",
		UsageText: "bitgpu train --data DATA [flags]\nbitgpu train --resume [flags]",
		Description: example("Writes checkpoints while it runs, and at the end model.safetensors, the packed model.bitt and a picture of the losses. "+
			"The first Ctrl-C finishes the step, saves and ends, and --resume goes on from there; the second ends at once.",
			"bitgpu train --data book.txt --output-dir model --steps 2000",
			"bitgpu train --resume --output-dir model",
			"bitgpu train --data book.txt --mixer delta --dim 128 --layers 2 --output-dir small"),
		Flags:  trainFlags(),
		Action: trainAction,
	}
}

func trainFlags() []cli.Flag {
	d := train.DefaultOptions()
	return saidByText(slices.Concat(
		group("Data", append([]cli.Flag{
			&cli.StringFlag{Name: "data", Usage: "`DATA` to train on: text (.txt or .jsonl, both also .gz, or a glob), a directory that bitgpu data wrote, or a .u32 or .u16 file of tokens"},
			&cli.StringFlag{Name: "tokenizer", Usage: "`FILE` of the tokenizer, tokenizer.json; without one a vocabulary is made of the text"},
			valRatioFlag(),
			&cli.StringFlag{Name: "order", Value: d.Order, Usage: "`shuffle|sequential`: order of the data"},
			&cli.Float64Flag{Name: "reread", Usage: "let the share `R` of the sequences be passages that are read twice, in a row or with another between them, so that the memory learns to keep what it reads"},
			&cli.IntFlag{Name: "context-len", Value: d.Time, Usage: "read sequences of `N` tokens"},
			&cli.IntFlag{Name: "batch-size", Value: d.Batch, Usage: "read `N` sequences at once"},
		}, slices.Concat(vocabFlags(8000), corpusFlags())...)...),
		group("Model", append(modelShapeFlags(),
			&cli.StringFlag{Name: "load", Usage: "begin with the weights of `MODEL`; its configuration and tokenizer are taken over"})...),
		group("Schedule",
			&cli.IntFlag{Name: "steps", Value: d.Steps, Usage: "train for `N` steps in all"},
			&cli.StringFlag{Name: "preset", Value: presetAuto, Usage: "`auto|seed`: what no flag gives is chosen by the size of the text, or is the first engine's table, as with --mixer tied alone"},
			&cli.Float64Flag{Name: "minutes", Usage: "take a model and as many steps as `M` minutes hold, at most those that the text asks for; a few steps are timed first"},
			&cli.IntFlag{Name: "patience", Usage: "end after `N` validations without a better one, 0 = never"},
			&cli.Float64Flag{Name: "lr", Value: d.LR, Usage: "largest learning rate `R`"},
			&cli.IntFlag{Name: "warmup-steps", Value: d.Warmup, Usage: "let the learning rate rise from 0 over the first `N` steps"},
			&cli.IntFlag{Name: "decay-steps", Usage: "let the learning rate stay at --lr and fall over the last `N` steps only, 0 = over all after the warm-up"},
			&cli.Float64Flag{Name: "min-lr", Value: d.MinLR, Usage: "learning rate `R` at the end"},
			&cli.IntFlag{Name: "accumulate", Value: d.Accumulate, Usage: "add up the gradients of `N` batches for one step"},
			&cli.Float64Flag{Name: "weight-decay", Value: d.Decay, Usage: "shrink the weights by `R` times the learning rate at each step"},
			&cli.Float64Flag{Name: "dropout", Usage: "drop the share `R` of embedding, mixer and MLP activations, against learning by heart a text that is read several times"},
			&cli.Float64Flag{Name: "grad-clip", Value: d.Clip, Usage: "scale gradients down to a norm of at most `X`, 0 = never"},
			&cli.Uint64Flag{Name: "seed", Value: d.Seed, Usage: "number `N` that the first weights and the order of the data depend on"},
		),
		group("Output",
			&cli.StringFlag{Name: "output-dir", Value: "model", Usage: "`DIR` for the model, its checkpoints and metrics"},
			&cli.BoolFlag{Name: "resume", Usage: "go on from the newest whole checkpoint in the output directory, with its settings where no flag says otherwise"},
			&cli.IntFlag{Name: "save-interval", Value: d.SaveInterval, Usage: "save a checkpoint every `N` steps"},
			&cli.IntFlag{Name: "val-every", Value: d.ValEvery, DefaultText: "--save-interval where there is validation data",
				Usage: "measure the validation loss every `N` steps; 0 = never, and the best checkpoint is the one of the smallest training loss"},
			&cli.IntFlag{Name: "sample-every", DefaultText: "at each validation", Usage: "have the model write a few words every `N` steps; 0 = never"},
			&cli.StringFlag{Name: "tensorboard", Usage: "also write losses, rates and texts into `DIR` for TensorBoard"},
			&cli.BoolFlag{Name: "benchmark", Usage: "only measure tokens/s, the share of each operation and memory, on random tokens: reads no data, writes no files"},
		),
		computeFlags(),
		group("Compute", &cli.StringFlag{Name: "recompute", Value: d.Recompute,
			Usage: "`auto|on|off`: compute blocks again in the backward pass, which is slower and takes less memory; auto does it if training would not fit otherwise"}),
	))
}

// modelShapeFlags are the flags that set a key of the configuration, with what is usual in training.
func modelShapeFlags() (flags []cli.Flag) {
	usual := nn.Config{Width: 256, Layers: 8, InnerLR: 0.1, WeightScale: nn.ScaleAbsmean, Rule: nn.RuleSequential,
		Chunk: nn.DefaultMinibatch, Mixer: nn.MixerTied}
	for _, k := range nn.Keys {
		switch value := nn.Field(k.Value(&usual)).(type) {
		case int:
			flags = append(flags, &cli.IntFlag{Name: k.Flag, Value: value, Usage: k.Usage})
		case float64:
			flags = append(flags, &cli.Float64Flag{Name: k.Flag, Value: value, Usage: k.Usage})
		case string:
			flags = append(flags, &cli.StringFlag{Name: k.Flag, Value: value, Usage: k.Usage})
		}
	}
	return slices.DeleteFunc(flags, func(f cli.Flag) bool { return f.Names()[0] == "" }) // keys that the data decide
}

func trainAction(c *cli.Context) error {
	ctx, stop := interruptible(c)
	defer stop()
	ignoreLostReaders()
	if c.Bool("benchmark") {
		return benchmarkTraining(c)
	}
	ch, err := newChooser(c)
	if err != nil {
		return err
	}
	if !c.Bool("resume") { // what is wrong with the flags is said before a directory is made
		if _, err := runOptions(c, nil); err != nil {
			return err
		}
		if !c.IsSet("load") {
			if _, err := runConfig(c, nil, ch); err != nil {
				return err
			}
		}
	}
	dir := c.String("output-dir")
	unlock, err := lockDir(dir)
	if err != nil {
		return err
	}
	defer unlock()
	if err := train.CheckWritable(dir); err != nil {
		return err
	}
	training, backend, err := prepareRun(ctx, c, dir, ch)
	if errors.Is(err, errInterrupted) {
		fmt.Fprintln(c.App.ErrWriter, "stopped before the first step; there is nothing to save")
	}
	if err != nil {
		return err
	}
	defer backend.close()
	defer training.Engine.Release()
	done := training.Engine.Updates()
	if done >= training.Options.Steps {
		fmt.Fprintf(c.App.ErrWriter, "nothing left to do: %d steps are done, --steps is %d; a larger --steps goes on\n", done, training.Options.Steps)
	}
	out, err := training.Do(ctx)
	training.Report.(*progress).close()
	if err != nil {
		return err
	}
	if out.Steps < training.Options.Steps && !out.Settled {
		fmt.Fprintf(c.App.ErrWriter, "stopped after %d of %d steps\nto go on: bitgpu train --resume --output-dir %s\n", out.Steps, training.Options.Steps, shellWord(dir))
		if training.Tokenizer != nil {
			fmt.Fprintf(c.App.ErrWriter, "to try the model as it is: bitgpu run -m %s\n", shellWord(out.Newest))
		}
		return errInterrupted // what comes after the training in a script must not begin
	}
	return finish(c, training, out)
}

// prepareRun brings everything together that a run needs, from the flags, the checkpoint and the data.
func prepareRun(ctx context.Context, c *cli.Context, dir string, ch chooser) (*train.Run, *trainer, error) {
	resumed, err := findCheckpoint(c, dir)
	if err != nil {
		return nil, nil, err
	}
	options, err := runOptions(c, resumed)
	if err != nil {
		return nil, nil, err
	}
	start, err := openStart(c, resumed)
	if err != nil {
		return nil, nil, err
	}
	if start != nil {
		defer start.Close()
	}
	config, err := runConfig(c, start, ch)
	if err != nil {
		return nil, nil, err
	}
	data, err := openData(ctx, c, options.Data, dir, start, resumed, ch)
	if err != nil {
		return nil, nil, err
	}
	if err := setVocab(&config, start, data, options.Data); err != nil {
		return nil, nil, err
	}
	if err := interrupted(ctx); err != nil {
		return nil, nil, err
	}
	backend, err := openTrainer(c)
	if err != nil {
		return nil, nil, err
	}
	run, err := newRun(c, backend, dir, config, options, data, start, resumed, ch)
	if err != nil {
		backend.close()
	}
	return run, backend, err
}

// newRun chooses what is still open, and makes the engine as the run begins or was left.
func newRun(c *cli.Context, backend *trainer, dir string, config nn.Config, o train.Options, data *dataset, start *storage.Loaded,
	resumed *train.Checkpoint, ch chooser) (*train.Run, error) {
	var each time.Duration
	var err error
	if resumed == nil {
		if config, o, each, err = ch.fit(c, backend, config, o, int64(data.train.Len()), start); err != nil {
			return nil, err
		}
	}
	if err := setValidation(c, &o, data, resumed); err != nil {
		return nil, err
	}
	if o.Patience > 0 && o.ValEvery == 0 {
		return nil, usagef("train: --patience waits for validations, and there are none")
	}
	if o.Warmup >= o.Steps {
		fmt.Fprintf(c.App.ErrWriter, "warning: --warmup-steps %d is not below --steps %d: the learning rate rises to the end and never falls\n",
			o.Warmup, o.Steps)
	}
	if resumed == nil && !c.IsSet("sample-every") {
		o.SampleEvery = o.ValEvery
	}
	engine, err := startEngine(backend, config, o, start, resumed)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*train.Run, error) {
		engine.Release()
		return nil, err
	}
	announce(c.App.ErrWriter, engine, backend, resumed)
	p := newProgress(c.App.ErrWriter, o)
	run := &train.Run{
		Engine: engine, Options: o, Dir: dir, Tokenizer: data.tokenizer, Train: data.train, Val: data.val, Resumed: resumed, Report: p,
	}
	if c.IsSet("tensorboard") {
		if p.board, err = tensorboard.Create(c.String("tensorboard")); err != nil {
			return fail(flagError("tensorboard", err))
		}
	}
	p.goOn(run)
	if data.tokenizer != nil && o.SampleEvery > 0 {
		if run.Sample, err = newSampler(backend, run, p); err != nil {
			return fail(err)
		}
	}
	if resumed == nil {
		ch.showChoice(c.App.ErrWriter, run, each)
	}
	return run, nil
}

// findCheckpoint finds what --resume goes on from, nil for a new run.
func findCheckpoint(c *cli.Context, dir string) (*train.Checkpoint, error) {
	if !c.Bool("resume") {
		there, err := train.Checkpoints(dir)
		if err == nil && len(there) > 0 {
			err = fmt.Errorf("%s: holds checkpoints of an earlier training; --resume goes on with it, another --output-dir begins anew", dir)
		}
		return nil, err
	}
	if c.IsSet("load") {
		return nil, usagef("train: --resume goes on from a checkpoint and --load begins with other weights: one of the two, please")
	}
	passed := 0
	ck, err := train.Newest(dir, func(err error) {
		passed++
		fmt.Fprintf(c.App.ErrWriter, "warning: %v\n", err)
	})
	switch {
	case err != nil:
		return nil, err
	case ck == nil && c.IsSet("data"):
		fmt.Fprintf(c.App.ErrWriter, "%s: no checkpoint yet, the training begins\n", dir)
	case passed > 0:
		fmt.Fprintf(c.App.ErrWriter, "going on from %s instead\n", ck.Path)
	}
	return ck, nil
}

// setValidation has a new training validate whenever it saves, where it can and no flag says
// otherwise: so the best checkpoint is the best on text that it was not trained on.
func setValidation(c *cli.Context, o *train.Options, data *dataset, resumed *train.Checkpoint) error {
	if resumed == nil && !c.IsSet("val-every") && data.val != nil {
		o.ValEvery = o.SaveInterval
	}
	switch {
	case o.ValEvery == 0 || data.val != nil:
		return nil
	case c.IsSet("val-every"):
		return usagef("train: --val-every: %s has no validation tokens", o.Data)
	}
	return fmt.Errorf("--data: %s has no validation tokens, with which %s was measured; --val-every 0 goes on without", o.Data, resumed.Path)
}

// openStart reads the weights that a run begins with, nil when they are to be drawn.
func openStart(c *cli.Context, resumed *train.Checkpoint) (*storage.Loaded, error) {
	switch {
	case resumed != nil:
		return resumed.Weights()
	case c.IsSet("load"):
		return storage.Load(c.String("load"), storage.Options{Masters: true})
	}
	return nil, nil
}

// startEngine makes an engine as the run left it, or as it begins.
func startEngine(b *trainer, c nn.Config, o train.Options, start *storage.Loaded, resumed *train.Checkpoint) (train.Engine, error) {
	shape, err := b.plan(c, o)
	if err != nil {
		return nil, err
	}
	var weights *nn.Weights[op.HostTensor]
	if start != nil {
		weights = train.FloatWeights(c, start.Weights)
	} else {
		weights = train.InitialWeights(c, o.Seed)
	}
	engine, err := b.newEngine(c, o, shape, weights)
	if err == nil && resumed != nil {
		err = resumed.RestoreMoments(engine)
	}
	return engine, err
}

// finish writes what a complete run leaves beside its checkpoints: the best model where validation says which that is,
// else the last.
func finish(c *cli.Context, run *train.Run, out train.Outcome) error {
	weights, err := run.Engine.Read(train.Masters)
	if err != nil {
		return err
	}
	best := out.Best
	if best != nil && !best.State.Validated {
		best = nil
	}
	if best != nil && best.State.Step != out.Steps {
		loaded, err := best.Weights()
		if err != nil {
			return err
		}
		defer loaded.Close()
		weights = loaded.Weights
	}
	config, dir := run.Engine.Config(), run.Dir
	if err := storage.Save(dir, config, run.Tokenizer, weights, nil, storage.Layout{}); err != nil {
		return err
	}
	packed := storage.Layout{Pack: true}
	if err := storage.Save(filepath.Join(dir, "model.bitt"), config, run.Tokenizer, weights, nil, packed); err != nil {
		return err
	}
	if err := drawRuns(filepath.Join(dir, lossName), []string{dir}); err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "%s: model.safetensors, model.bitt and %s after %d steps\n", dir, lossName, out.Steps)
	if best != nil {
		fmt.Fprintf(c.App.Writer, "best validation loss: %.4f nats a token, %s; the model is that of step %d\n", best.State.Loss, best.Path, best.State.Step)
	}
	if err := verdict(c, run, out, best); err != nil {
		return err
	}
	forgiveReader(c.App.Writer) // the model is there
	return nil
}

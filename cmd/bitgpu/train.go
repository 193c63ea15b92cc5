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
			"The first Ctrl-C finishes the step, saves and ends, and --resume goes on from there; the second ends at once. "+
			"A build with the tag mpi trains on several machines under mpirun: docs/scale.md.",
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
			&cli.IntFlag{Name: "shards", DefaultText: "8 under mpirun, else none", Usage: "cut a step's batch into `N` parts, a power of two, whose gradients are added in one order: " +
				"the same result on up to N ranks"},
			&cli.StringFlag{Name: "gradient", Value: train.GradientF32, Usage: "`f32|bf16`: add and send the gradients of shards in that"},
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
		group("Compute", &cli.BoolFlag{Name: "shard-optimizer", Usage: "let each rank keep a part of the optimizer's state only, which takes less memory and sends as much"},
			&cli.StringFlag{Name: "recompute", Value: d.Recompute,
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
	r, err := joinRanks(c)
	if err != nil {
		return err
	}
	if c.Bool("benchmark") {
		return r.end(c, benchmarkTraining(c, r))
	}
	return r.end(c, trainOn(ctx, c, r))
}

// trainOn is the training on one of the ranks.
func trainOn(ctx context.Context, c *cli.Context, r *ranks) error {
	ch, err := newChooser(c)
	if err := r.agree(err); err != nil {
		return err
	}
	if !c.Bool("resume") { // what is wrong with the flags is said before a directory is made
		_, err := r.options(c, nil)
		if err == nil && !c.IsSet("load") {
			_, err = runConfig(c, nil, ch)
		}
		if err := r.agree(err); err != nil {
			return err
		}
	}
	dir := c.String("output-dir")
	unlock := func() {}
	if r.leads() {
		var err error
		unlock, err = lockDir(dir)
		if err == nil {
			defer unlock()
			err = train.CheckWritable(dir)
		}
		if err := r.agree(err); err != nil {
			return err
		}
	} else if err := r.agree(nil); err != nil {
		return err
	}
	training, backend, err := prepareRun(ctx, c, dir, ch, r)
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
	if r.leads() {
		training.Report.(*progress).close()
	}
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
	if !r.leads() {
		return nil
	}
	if err := finish(c, training, out); err != nil {
		return agreed{err} // the others have ended
	}
	return nil
}

// preparation is what a training begins with.
type preparation struct {
	resumed *train.Checkpoint // nil of a new one
	options train.Options
	start   *storage.Loaded // nil where weights are to be drawn
	config  nn.Config
	data    *dataset
}

// prepareRun brings everything together that a run needs.
func prepareRun(ctx context.Context, c *cli.Context, dir string, ch chooser, r *ranks) (*train.Run, *trainer, error) {
	var p preparation
	err := r.inTurn(func() error { return p.read(ctx, c, dir, ch, r) })
	if p.start != nil {
		defer p.start.Close()
	}
	if err != nil {
		return nil, nil, err
	}
	backend, err := openTrainer(c)
	if err := r.agree(err); err != nil {
		return nil, nil, err
	}
	r.share(c, backend)
	run, err := newRun(c, backend, dir, &p, ch, r)
	if err != nil {
		backend.close()
	}
	return run, backend, err
}

// newRun chooses what is still open, and makes the engine as the run begins or was left.
func newRun(c *cli.Context, backend *trainer, dir string, p *preparation, ch chooser, r *ranks) (*train.Run, error) {
	each, err := p.choose(c, backend, ch, r.Size() == 1)
	if err := r.agree(err); err != nil {
		return nil, err
	}
	engine, err := startEngine(backend, p, r)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*train.Run, error) {
		engine.Release()
		return nil, err
	}
	announce(c.App.ErrWriter, engine, backend, p.resumed, r)
	report := newProgress(c.App.ErrWriter, p.options)
	run := &train.Run{
		Engine: engine, Options: p.options, Dir: dir, Tokenizer: p.data.tokenizer, Train: p.data.train, Val: p.data.val,
		Resumed: p.resumed, Report: report,
	}
	if !r.leads() {
		return run, nil
	}
	if c.IsSet("tensorboard") {
		if report.board, err = tensorboard.Create(c.String("tensorboard")); err != nil {
			return fail(flagError("tensorboard", err))
		}
	}
	report.goOn(run)
	if p.data.tokenizer != nil && p.options.SampleEvery > 0 {
		if run.Sample, err = newSampler(backend, run, report); err != nil {
			return fail(err)
		}
	}
	if p.resumed == nil {
		ch.showChoice(c.App.ErrWriter, run, each)
	}
	return run, nil
}

// read takes all of it from the flags, the checkpoint and the data.
func (p *preparation) read(ctx context.Context, c *cli.Context, dir string, ch chooser, r *ranks) (err error) {
	if p.resumed, err = findCheckpoint(c, dir); err != nil {
		return err
	}
	if p.options, err = r.options(c, p.resumed); err != nil {
		return err
	}
	if p.start, err = openStart(c, p.resumed); err != nil {
		return err
	}
	if p.config, err = runConfig(c, p.start, ch); err != nil {
		return err
	}
	if p.data, err = openData(ctx, c, p.options.Data, dir, p.start, p.resumed, ch, r.leads()); err != nil {
		return err
	}
	if err := setVocab(&p.config, p.start, p.data, p.options.Data); err != nil {
		return err
	}
	return interrupted(ctx)
}

// choose sets what the flags leave open of a new training. Where this process is not alone, nothing is measured for it.
func (p *preparation) choose(c *cli.Context, backend *trainer, ch chooser, alone bool) (each time.Duration, err error) {
	o := &p.options
	if p.resumed == nil {
		if p.config, *o, each, err = ch.fit(c, backend, p.config, *o, int64(p.data.train.Len()), p.start, alone); err != nil {
			return 0, err
		}
	}
	if err := setValidation(c, o, p.data, p.resumed); err != nil {
		return 0, err
	}
	if o.Patience > 0 && o.ValEvery == 0 {
		return 0, usagef("train: --patience waits for validations, and there are none")
	}
	if o.Warmup >= o.Steps {
		fmt.Fprintf(c.App.ErrWriter, "warning: --warmup-steps %d is not below --steps %d: the learning rate rises to the end and never falls\n",
			o.Warmup, o.Steps)
	}
	if p.resumed == nil && !c.IsSet("sample-every") {
		o.SampleEvery = o.ValEvery
	}
	return each, nil
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

// startEngine makes an engine as the run left it, or as it begins, on all ranks or on none.
func startEngine(b *trainer, p *preparation, r *ranks) (train.Engine, error) {
	c, o := p.config, p.options
	shape, err := b.plan(c, o)
	if err := r.agree(err); err != nil {
		return nil, err
	}
	var weights *nn.Weights[op.HostTensor]
	if p.start != nil {
		weights = train.FloatWeights(c, p.start.Weights)
	} else {
		weights = train.InitialWeights(c, o.Seed)
	}
	if r.Size() > 1 {
		facts, err := factsOf(c, p, b.kind, weights)
		if err := r.agree(err); err != nil {
			return nil, err
		}
		if err := r.sameEverywhere(facts); err != nil {
			return nil, err
		}
	}
	if o.Shards > 0 {
		b.asUsual() // on another day, or on another machine, another kernel may be the fastest
	}
	engine, err := b.newEngine(c, o, shape, weights)
	if err == nil && p.resumed != nil {
		err = p.resumed.RestoreMoments(engine)
	}
	return engine, r.agree(err)
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

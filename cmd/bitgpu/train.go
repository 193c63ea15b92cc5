package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"bitgpu/io/corpus"
	"bitgpu/nn"
	"bitgpu/nn/storage"
	"bitgpu/nn/train"

	"github.com/gofrs/flock"
	"github.com/urfave/cli/v2"
)

// lossName is the picture of the losses that a run leaves.
const lossName = "loss.png"

func trainCommand() *cli.Command {
	return &cli.Command{
		Name:  "train",
		Usage: "train a model from text or tokens",
		Description: example("The first Ctrl-C finishes the step, saves and ends; the second ends at once.",
			"bitgpu train --data book.txt --output-dir model --steps 2000", "bitgpu train --resume --output-dir model"),
		Flags:  trainFlags(),
		Action: trainAction,
	}
}

func trainFlags() []cli.Flag {
	d := train.DefaultOptions()
	flags := []cli.Flag{
		&cli.StringFlag{Name: "data", Usage: "a directory of `bitgpu data`, a .u32 or .u16 file of tokens, or text"},
		&cli.StringFlag{Name: "output-dir", Value: "model", Usage: "directory of the model, its checkpoints and metrics"},
		&cli.StringFlag{Name: "load", Usage: "begin with the weights of this model; its config and tokenizer rule"},
		&cli.BoolFlag{Name: "resume", Usage: "go on from the newest whole checkpoint in the output directory, with its settings where no flag says otherwise"},
		&cli.StringFlag{Name: "tokenizer", Usage: "tokenizer.json for text, or of a token file"},
		&cli.IntFlag{Name: "dim", Value: 256, Usage: "width D of the model"},
		&cli.IntFlag{Name: "layers", Value: 8, Usage: "number of layers"},
		&cli.Float64Flag{Name: "inner-lr", Value: 0.1, Usage: "rate η at which the tied memory learns"},
		&cli.StringFlag{Name: "weight-scale", Value: nn.ScaleAbsmean, Usage: "scale of ternary products: absmean or none"},
		&cli.StringFlag{Name: "ttt-rule", Value: nn.RuleSequential, Usage: "rule of the memory in training: sequential or minibatch"},
		&cli.IntFlag{Name: "ttt-chunk", Value: nn.DefaultMinibatch, Usage: "tokens of a summed step of the minibatch rule"},
		&cli.StringFlag{Name: "mixer", Value: nn.MixerTied, Usage: "tied (one projection) or delta (keys, values and queries of their own)"},
		&cli.IntFlag{Name: "ttt-dim", Usage: "width of the delta mixer's memory, 0 = a quarter of --dim"},
		&cli.IntFlag{Name: "ttt-heads", Usage: "heads of the delta mixer's memory, 0 = one for each 64 of --ttt-dim"},
		&cli.IntFlag{Name: "context-len", Value: d.Time, Usage: "tokens of a sequence"},
		&cli.IntFlag{Name: "batch-size", Value: d.Batch, Usage: "sequences of a batch"},
		&cli.IntFlag{Name: "accumulate", Value: d.Accumulate, Usage: "batches whose gradients make one step"},
		&cli.IntFlag{Name: "steps", Value: d.Steps, Usage: "steps in all"},
		&cli.Float64Flag{Name: "lr", Value: d.LR, Usage: "largest learning rate"},
		&cli.IntFlag{Name: "warmup-steps", Value: d.Warmup, Usage: "steps over which the learning rate rises from 0"},
		&cli.Float64Flag{Name: "min-lr", Value: d.MinLR, Usage: "learning rate at the end"},
		&cli.Float64Flag{Name: "weight-decay", Value: d.Decay, Usage: "decoupled weight decay"},
		&cli.Float64Flag{Name: "grad-clip", Value: d.Clip, Usage: "largest norm of the gradient, 0 = any"},
		&cli.StringFlag{Name: "order", Value: d.Order, Usage: "order of the data: shuffle or sequential"},
		&cli.Uint64Flag{Name: "seed", Value: d.Seed, Usage: "seed of the first weights and of the order"},
		&cli.IntFlag{Name: "save-interval", Value: d.SaveInterval, Usage: "steps between checkpoints"},
		&cli.IntFlag{Name: "val-every", Value: d.ValEvery, Usage: "steps between validations, 0 = none"},
		&cli.StringFlag{Name: "recompute", Value: d.Recompute, Usage: "compute blocks again in backward to save memory: auto (if it would not fit), on or off"},
		&cli.BoolFlag{Name: "benchmark", Usage: "measure tokens/s, the share of each operation and memory, on random tokens: reads no data, writes no files"},
		valRatioFlag(),
	}
	return slices.Concat(flags, vocabFlags(8000), corpusFlags(string(corpus.Block)), computeFlags())
}

func trainAction(c *cli.Context) error {
	ctx, stop := signal.NotifyContext(c.Context, os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The second signal is the system's again and ends the program at once.
	defer context.AfterFunc(ctx, func() { signal.Reset(os.Interrupt, syscall.SIGTERM) })()
	if c.Bool("benchmark") {
		return benchmarkTraining(c)
	}
	if !c.Bool("resume") { // what is wrong with the flags is said before a directory is made
		if _, err := runOptions(c, nil); err != nil {
			return err
		}
	}
	dir := c.String("output-dir")
	unlock, err := lockDir(dir)
	if err != nil {
		return err
	}
	defer unlock()
	training, backend, err := prepareRun(c, dir)
	if err != nil {
		return err
	}
	defer backend.close()
	defer training.Engine.Release()
	out, err := training.Do(ctx)
	training.Report.(*progress).close()
	if err != nil {
		return err
	}
	if out.Steps < training.Options.Steps {
		fmt.Fprintf(c.App.ErrWriter, "stopped after %d of %d steps; --resume goes on from here\n", out.Steps, training.Options.Steps)
		return nil
	}
	return finish(c, training, out)
}

// lockDir makes the directory and keeps other trainings out of it until unlock.
func lockDir(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("--output-dir: %w", err)
	}
	lock := flock.New(filepath.Join(dir, ".lock"))
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("--output-dir: %w", err)
	}
	if !ok {
		return nil, fmt.Errorf("%s: another training is writing to this directory", dir)
	}
	return func() { lock.Unlock() }, nil
}

// prepareRun brings everything together that a run needs, from the flags, the checkpoint and the data.
func prepareRun(c *cli.Context, dir string) (*train.Run, *trainer, error) {
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
	data, err := openData(c, options.Data, dir, start)
	if err != nil {
		return nil, nil, err
	}
	config, err := runConfig(c, start, data.vocab)
	if err != nil {
		return nil, nil, err
	}
	if options.ValEvery > 0 && data.val == nil {
		return nil, nil, fmt.Errorf("--val-every: %s has no validation tokens", options.Data)
	}
	backend, err := openTrainer(c)
	if err != nil {
		return nil, nil, err
	}
	engine, err := startEngine(backend, config, options, start, resumed)
	if err != nil {
		backend.close()
		return nil, nil, err
	}
	announce(c.App.ErrWriter, engine, backend, resumed)
	return &train.Run{
		Engine: engine, Options: options, Dir: dir, Tokenizer: data.tokenizer, Train: data.train, Val: data.val,
		Resumed: resumed, Report: newProgress(c.App.ErrWriter, options, engine.Updates()),
	}, backend, nil
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
	ck, err := train.Newest(dir, func(err error) { fmt.Fprintf(c.App.ErrWriter, "warning: %v\n", err) })
	if err == nil && ck == nil {
		fmt.Fprintf(c.App.ErrWriter, "%s: no checkpoint yet, the training begins\n", dir)
	}
	return ck, err
}

// runOptions are the flags, and where a flag is not given, what the checkpoint was made with.
func runOptions(c *cli.Context, resumed *train.Checkpoint) (train.Options, error) {
	o := train.Options{}
	given := func(string) bool { return true }
	if resumed != nil {
		o, given = resumed.State.Options, c.IsSet
	}
	take(c, given, "data", &o.Data, c.String)
	take(c, given, "batch-size", &o.Batch, c.Int)
	take(c, given, "context-len", &o.Time, c.Int)
	take(c, given, "accumulate", &o.Accumulate, c.Int)
	take(c, given, "steps", &o.Steps, c.Int)
	take(c, given, "lr", &o.LR, c.Float64)
	take(c, given, "min-lr", &o.MinLR, c.Float64)
	take(c, given, "warmup-steps", &o.Warmup, c.Int)
	take(c, given, "weight-decay", &o.Decay, c.Float64)
	take(c, given, "grad-clip", &o.Clip, c.Float64)
	take(c, given, "order", &o.Order, c.String)
	take(c, given, "seed", &o.Seed, c.Uint64)
	take(c, given, "save-interval", &o.SaveInterval, c.Int)
	take(c, given, "val-every", &o.ValEvery, c.Int)
	take(c, given, "recompute", &o.Recompute, c.String)
	if o.Data == "" && !c.Bool("benchmark") {
		return o, usagef("train: --data is missing: a directory of `bitgpu data`, a .u32 or .u16 file, or text")
	}
	if !c.IsSet("min-lr") && resumed == nil {
		o.MinLR = min(o.MinLR, o.LR)
	}
	if err := o.Validate(); err != nil {
		return o, usagef("train: --%w", err)
	}
	return o, nil
}

// take sets *to from a flag that was given.
func take[V any](_ *cli.Context, given func(string) bool, name string, to *V, value func(string) V) {
	if given(name) {
		*to = value(name)
	}
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

// configFlags are the flags that shape the model, with their place in a configuration.
func configFlags(c *nn.Config) map[string]any {
	return map[string]any{
		"dim": &c.Width, "layers": &c.Layers, "inner-lr": &c.InnerLR, "weight-scale": &c.WeightScale,
		"ttt-rule": &c.Rule, "ttt-chunk": &c.Chunk, "mixer": &c.Mixer, "ttt-dim": &c.MemoryWidth, "ttt-heads": &c.Heads,
	}
}

// flagConfig is what the flags say of the model.
func flagConfig(c *cli.Context, vocab int) nn.Config {
	config := nn.Config{Vocab: vocab}
	for name, field := range configFlags(&config) {
		switch field := field.(type) {
		case *int:
			*field = c.Int(name)
		case *float64:
			*field = c.Float64(name)
		case *string:
			*field = c.String(name)
		}
	}
	return config
}

// runConfig is the model's configuration: that of the weights that are there, which the flags may
// repeat and not contradict, or else the flags'.
func runConfig(c *cli.Context, start *storage.Loaded, vocab int) (nn.Config, error) {
	flags := flagConfig(c, vocab)
	if start == nil {
		if flags.Mixer == nn.MixerTied && (c.Int("ttt-dim") != 0 || c.Int("ttt-heads") != 0) {
			return flags, usagef("train: --ttt-dim and --ttt-heads shape the delta mixer's memory; --mixer delta wanted")
		}
		flags = flags.WithDefaults()
		if err := flags.Validate(); err != nil {
			return flags, usagef("train: %w", err)
		}
		return flags, nil
	}
	have := start.Config
	if have.Vocab != vocab {
		return have, fmt.Errorf("%s: vocab_size %d found, the data have %d", start.Files.Path, have.Vocab, vocab)
	}
	theirs, ours := configFlags(&have), configFlags(&flags)
	for name := range ours {
		if c.IsSet(name) && !sameValue(theirs[name], ours[name]) {
			return have, fmt.Errorf("--%s: %s was made with %v, %v found", name, start.Files.Path, value(theirs[name]), value(ours[name]))
		}
	}
	return have, nil
}

func value(field any) any {
	switch field := field.(type) {
	case *int:
		return *field
	case *float64:
		return *field
	}
	return *field.(*string)
}

func sameValue(a, b any) bool { return value(a) == value(b) }

// startEngine makes an engine as the run left it, or as it begins.
func startEngine(b *trainer, c nn.Config, o train.Options, start *storage.Loaded, resumed *train.Checkpoint) (train.Engine, error) {
	shape, err := b.plan(c, o)
	if err != nil {
		return nil, err
	}
	var weights *nn.Weights[nn.HostTensor]
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

// finish writes what a complete run leaves beside its checkpoints.
func finish(c *cli.Context, run *train.Run, out train.Outcome) error {
	weights, err := run.Engine.Read(train.Masters)
	if err != nil {
		return err
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
	if b := out.Best; b != nil && b.State.Validated {
		fmt.Fprintf(c.App.Writer, "best validation loss: %.4f nats a token, %s\n", b.State.Loss, b.Path)
	}
	return nil
}

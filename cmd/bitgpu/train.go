package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"bitgpu/io/atomicfile"
	"bitgpu/io/tensorboard"
	"bitgpu/nn"
	"bitgpu/nn/storage"
	"bitgpu/nn/train"
	"bitgpu/nn/train/prepare"
	"bitgpu/nn/train/ranks"

	"github.com/urfave/cli/v2"
)

// lossName is the plot of the losses that a run leaves.
const lossName = "loss.png"

// dataName is the data directory made from text, inside that of the training.
const dataName = "data"

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
			"bitgpu train --data book.txt --mixer delta --dim 128 --layers 2 --output-dir small",
			"bitgpu train --load bitnet-b1.58-2B-4T-bf16 --data notes.txt --output-dir mine"),
		Flags:  flagsOfTrain(),
		Action: trainAction,
	}
}

func flagsOfTrain() []cli.Flag {
	d := train.DefaultOptions()
	return saidByText(slices.Concat(
		group("Data", append([]cli.Flag{
			&cli.StringFlag{Name: "data", Usage: "`DATA` to train on: text (.txt or .jsonl, both also .gz, or a glob), a directory that bitgpu data wrote, or a .u32 or .u16 file of tokens"},
			&cli.StringFlag{Name: "tokenizer", Usage: "`FILE` of the tokenizer, tokenizer.json; without one a vocabulary is made of the text"},
			valRatioFlag(),
			&cli.StringFlag{Name: "order", Value: d.Order, Usage: "`shuffle|sequential`: order of the data"},
			&cli.Float64Flag{Name: "reread", Usage: "let the share `R` of the sequences be passages that are read twice, in a row or with another between them, so that the memory learns to keep what it reads"},
			&cli.BoolFlag{Name: "pack", Usage: "of data that data --chat made, put several conversations into a sequence where there is room; nothing leaks from one into another"},
			&cli.IntFlag{Name: "context-len", Value: d.Time, Usage: "read sequences of `N` tokens"},
			&cli.IntFlag{Name: "batch-size", Value: d.Batch, Usage: "read `N` sequences at once"},
		}, slices.Concat(vocabFlags(8000), corpusFlags())...)...),
		group("Model", append(modelShapeFlags(),
			&cli.StringFlag{Name: "load", Usage: "begin with the weights of `MODEL`; its configuration and tokenizer are taken over. Of a public family: with its float masters, or with ternary weights that have scales of groups"},
			mastersFlag())...),
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
			&cli.Float64Flag{Name: "weight-decay", Value: d.WeightDecay, Usage: "shrink the weights by `R` times the learning rate at each step"},
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

// seedModel returns the shape that the flags have where the size of the text does not choose it: that of --preset seed.
func seedModel() nn.Config {
	return nn.Config{Width: 256, Layers: 8, InnerLR: 0.1, WeightScale: nn.ScaleAbsmean, Rule: nn.RuleSequential,
		Chunk: nn.DefaultMinibatch, Mixer: nn.MixerTied}
}

// modelShapeFlags are the flags that set keys of the configuration, with the defaults of training.
func modelShapeFlags() (flags []cli.Flag) {
	usual := seedModel()
	full := usual.WithDefaults()
	usual.Activation, usual.NormEps = full.Activation, full.NormEps
	for _, k := range nn.Keys {
		switch value := nn.Field(k.Value(&usual)).(type) {
		case int:
			flags = append(flags, &cli.IntFlag{Name: k.Flag, Value: value, Usage: k.Usage})
		case float64:
			flags = append(flags, &cli.Float64Flag{Name: k.Flag, Value: value, Usage: k.Usage})
		case string:
			flags = append(flags, &cli.StringFlag{Name: k.Flag, Value: value, Usage: k.Usage})
		case bool:
			flags = append(flags, &cli.BoolFlag{Name: k.Flag, Value: value, Usage: k.Usage})
		}
	}
	return slices.DeleteFunc(flags, func(f cli.Flag) bool { return f.Names()[0] == "" }) // keys determined by the data
}

// trainFlags are the flags of train, as read.
type trainFlags struct {
	*call
	computing
	options        train.Options // of all flags, given or not
	config         nn.Config     // likewise
	reading        textReading
	vocabulary     vocabulary
	ratio          float64
	tokenizer      string
	load           string          // "" for new weights
	loading        storage.Options // of load
	dir            string
	resume         bool
	benchmark      bool
	preset         string
	minutes        float64
	tensorboard    string // "" for none
	shardOptimizer bool
}

func trainFlagsOf(c *cli.Context, called *call, by computing) (*trainFlags, error) {
	f := &trainFlags{
		call: called, computing: by, reading: readingOf(c), vocabulary: vocabularyOf(c), ratio: c.Float64("val-ratio"), tokenizer: c.String("tokenizer"),
		load: c.String("load"), dir: c.String("output-dir"), resume: c.Bool("resume"), benchmark: c.Bool("benchmark"),
		preset: c.String("preset"), minutes: c.Float64("minutes"), tensorboard: c.String("tensorboard"), shardOptimizer: c.Bool("shard-optimizer"),
	}
	for _, flag := range optionFlags {
		take(c, flag.name, flag.field(&f.options))
	}
	for _, k := range nn.Keys {
		if k.Flag != "" {
			take(c, k.Flag, k.Value(&f.config))
		}
	}
	var err error
	if f.load != "" {
		f.loading, err = publicOptions(c)
		f.loading.Masters = true
	}
	return f, err
}

// take reads the value of a flag.
func take(c *cli.Context, name string, to any) {
	switch to := to.(type) {
	case *int:
		*to = c.Int(name)
	case *uint64:
		*to = c.Uint64(name)
	case *float64:
		*to = c.Float64(name)
	case *string:
		*to = c.String(name)
	case *bool:
		*to = c.Bool(name)
	}
}

func trainAction(c *cli.Context) error {
	ctx, stop := interruptible(c.Context)
	defer stop()
	ignoreLostReaders()
	by, err := computingOf(c)
	if err != nil {
		return err
	}
	called, dir := callOf(c), c.String("output-dir")
	r, err := joinRanks(called, &by, func() string { return goOn(dir) })
	if err != nil {
		return err
	}
	f, err := trainFlagsOf(c, called, by)
	switch {
	case err != nil:
	case f.benchmark:
		err = f.benchmarkTraining(r)
	default:
		err = f.train(ctx, r)
	}
	return r.End(err)
}

// train runs the training on one rank.
func (f *trainFlags) train(ctx context.Context, r *ranks.Ranks) (failed error) {
	ch, err := f.newChooser()
	if err := r.Agree(err); err != nil {
		return err
	}
	if !f.resume { // report wrong flags before making a directory
		_, err := f.rankOptions(nil, r)
		if err == nil && f.load == "" {
			_, err = f.runConfig(nil, ch)
		}
		if err := r.Agree(err); err != nil {
			return err
		}
	}
	if r.Leads() {
		unlock, err := prepare.Lock(f.dir)
		if err == nil {
			defer unlock()
			clear := f.clearing()
			defer func() { clear(failed) }()
			err = train.CheckWritable(f.dir)
		} else if !errors.Is(err, prepare.ErrLocked) {
			err = flagError("output-dir", err)
		}
		if err := r.Agree(err); err != nil {
			return err
		}
	} else if err := r.Agree(nil); err != nil {
		return err
	}
	training, backend, err := f.prepareRun(ctx, ch, r)
	if errors.Is(err, errInterrupted) {
		fmt.Fprintln(f.log, "stopped before the first step; there is nothing to save")
	}
	if err != nil {
		return err
	}
	defer backend.Close()
	defer training.Trainer.Release()
	done, steps := training.Trainer.Updates(), training.Options.Steps
	due := training.Resumed != nil && training.Resumed.State.ValidationDue
	if done >= steps && !due {
		fmt.Fprintf(f.log, "nothing left to do: %d steps are done, --steps is %d; a larger --steps goes on\n", done, steps)
	}
	out, err := training.Do(ctx)
	if r.Leads() {
		training.Report.(*progress).close()
	}
	if err != nil {
		return err
	}
	if out.Settled && out.Steps == done && !due {
		fmt.Fprintf(f.log, "nothing left to do: --patience %d has ended it after %d steps; a larger one, or 0, goes on\n", training.Options.Patience, done)
	}
	if out.Steps < steps && !out.Settled || out.ValidationDue {
		before := ""
		if out.Steps == steps {
			before = ", before the last validation"
		}
		fmt.Fprintf(f.log, "stopped after %d of %d steps%s\nto go on: bitgpu train --resume --output-dir %s\n", out.Steps, steps, before, shellWord(f.dir))
		if training.Tokenizer != nil {
			fmt.Fprintf(f.log, "to try the model as it is: bitgpu run -m %s\n", shellWord(out.Newest))
		}
		return errInterrupted // a script must not continue after the training
	}
	if !r.Leads() {
		return nil
	}
	if err := finish(f.out, training, out); err != nil {
		return ranks.Known(err) // the others have ended
	}
	return nil
}

// clearing removes what a training has newly made if it ended with an error before there was a checkpoint. The losses stay if
// they show what went wrong.
func (f *trainFlags) clearing() func(error) {
	var fresh []string
	logs := []string{filepath.Join(f.dir, train.MetricsName)}
	if f.tensorboard != "" {
		logs = append(logs, filepath.Join(f.tensorboard, tensorboard.FileName), f.tensorboard)
	}
	for _, path := range append(logs, filepath.Join(f.dir, dataName)) {
		if !exists(path) {
			fresh = append(fresh, path)
		}
	}
	return func(err error) {
		if found, failed := train.Checkpoints(f.dir); err == nil || failed != nil || len(found) > 0 {
			return
		}
		for _, path := range fresh {
			switch {
			case filepath.Base(path) == dataName && !slices.Contains(logs, path):
				atomicfile.RemoveAll(path)
			case !train.Diverged(err):
				os.Remove(path) // fails for a directory that contains something else
			}
		}
	}
}

// goOn says how to continue a training that wrote to dir, if possible.
func goOn(dir string) string {
	found, err := train.Checkpoints(dir)
	if err != nil || len(found) == 0 {
		return ""
	}
	return fmt.Sprintf("to go on from %s: the same line with --resume --output-dir %s\n", found[0], shellWord(dir))
}

// finish writes what a complete run leaves besides its checkpoints: the best model if validation determines it, otherwise the
// last one.
func finish(w io.Writer, run *train.Run, out train.Outcome) error {
	weights, err := run.Trainer.Download(train.Masters)
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
	config, dir := run.Trainer.Config(), run.Dir
	if err := run.Save(dir, config, weights, storage.Layout{}); err != nil {
		return err
	}
	packed := storage.Layout{Pack: true}
	if err := run.Save(filepath.Join(dir, "model.bitt"), config, weights, packed); err != nil {
		return err
	}
	if err := drawRuns(filepath.Join(dir, lossName), []string{dir}); err != nil {
		return err
	}
	fmt.Fprintf(w, "%s: model.safetensors, model.bitt and %s after %d steps\n", dir, lossName, out.Steps)
	if best != nil {
		fmt.Fprintf(w, "best validation loss: %.4f nats a token, %s; the model is that of step %d\n", best.State.Loss, best.Path, best.State.Step)
	}
	if err := verdict(w, run, out, best); err != nil {
		return err
	}
	forgiveReader(w) // the model has been written
	return nil
}

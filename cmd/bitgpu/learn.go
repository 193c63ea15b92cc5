package main

import (
	"fmt"
	"slices"
	"strings"

	"bitgpu/nn/storage"
	"bitgpu/nn/train"

	"github.com/urfave/cli/v2"
)

// Defaults of learn, chosen by experiments with the demo: docs/learn.md has the runs.
const (
	learnRank    = 8
	learnPasses  = 4
	learnContext = 512
	learnBatch   = 1
	learnRate    = 2e-3
	learnSaves   = 100 // steps between saves of a training that may be killed
)

func learnCommand() *cli.Command {
	return &cli.Command{
		Name:      "learn",
		UsageText: "bitgpu learn [-m MODEL] --text FILE -o NOTES.lora.safetensors [flags]",
		Usage:     "train a small adapter on a text, beside a model whose weights stay as they are",
		Description: example("Writes a low-rank adapter (LoRA) in PEFT's form: a lone file where the name ends in .safetensors, else a directory.\n"+
			"Ctrl-C saves and says the line, with --resume, that goes on to the bit. run, eval and logits apply it with --lora.",
			"bitgpu learn --text book.txt -o book.lora.safetensors",
			"bitgpu learn -m model --text notes.txt --text mail.txt --minutes 10 -o notes.lora.safetensors",
			"bitgpu run --lora book.lora.safetensors -p 'ROMEO:'"),
		Flags: slices.Concat(
			group("Model",
				modelFlag(), mastersFlag(),
				&cli.StringFlag{Name: "lora", Usage: "go on from the adapter in `FILE|DIR` with its rank, on another text"},
				&cli.IntFlag{Name: "rank", Value: learnRank, Usage: "rank `R` of the adapter: what it can hold"},
				&cli.Float64Flag{Name: "alpha", Usage: "add the adapter times `A`/R", DefaultText: "2R"},
				&cli.StringFlag{Name: "layers", Value: "all", Usage: "adapt the matrices whose names end in one of `all|NAME,…`, such as q_proj,v_proj"},
				&cli.StringFlag{Name: "modules-to-save", Usage: "train the norms and tables whose names end in one of `norms|NAME,…` as a whole, such as " +
					"embed_tokens,lm_head, and put them into the adapter"},
			),
			group("Data", append([]cli.Flag{
				&cli.StringSliceFlag{Name: "text", Required: true, Usage: "text `FILE|GLOB` to learn, .txt or .jsonl, both also .gz; may be given several times"},
				&cli.BoolFlag{Name: "chat", Usage: "the text is conversations, lines of JSON in OpenAI's or ShareGPT's shape; only the answers are learned"},
				&cli.StringFlag{Name: "template", Usage: "with --chat, render by the Jinja template in `FILE` in place of the model's own"},
				&cli.BoolFlag{Name: "pack", Usage: "with --chat, put several conversations into a row where there is room; nothing leaks from one into another"},
				&cli.IntFlag{Name: "context", Value: learnContext, Usage: "read rows of `N` tokens, each from an empty memory"},
				&cli.IntFlag{Name: "batch-size", Value: learnBatch, Usage: "read `N` rows a step"},
				&cli.IntFlag{Name: "shards", DefaultText: "8 under mpirun, else none", Usage: "cut a step's rows into `N` parts, a power of two, whose gradients are added in one order: " +
					"the same adapter on up to N ranks"},
			}, corpusFlags()...)...),
			group("Schedule",
				&cli.IntFlag{Name: "steps", Usage: "take `N` steps", DefaultText: fmt.Sprint("what reads the text ", learnPasses, " times")},
				&cli.Float64Flag{Name: "minutes", Usage: "take as many steps as `M` minutes hold"},
				&cli.Float64Flag{Name: "lr", Value: learnRate, Usage: "highest learning rate `X`"},
				&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "number `N` that first values and the order of rows depend on"},
			),
			group("Output",
				&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Required: true, Usage: "`FILE` or directory of the adapter to write"},
				&cli.BoolFlag{Name: "merge", Usage: "learn inside the rounding to ternary, and write a model of which that is a part, into the directory of -o; for models with float masters, or with scales of groups"},
				&cli.BoolFlag{Name: "resume", Usage: "go on with the training that was stopped while it wrote to -o"},
			),
			group("Compute", append(computeFlags(), &cli.StringFlag{Name: "recompute", Value: train.RecomputeAuto,
				Usage: "`auto|on|off`: compute blocks again in the backward pass, which is slower and takes less memory; auto does it if training would not fit otherwise"})...),
		),
		Action: learnAction,
	}
}

// stateSuffix is added to the adapter's name for the state of an unfinished training.
const stateSuffix = ".training"

// learnFlags are the flags of learn, as read.
type learnFlags struct {
	*call
	computing
	options   train.AdaptOptions // of all flags, given or not
	model     string
	loading   storage.Options
	badModel  error // error of the flags for loading, reported last
	lora      string
	rank      int
	alpha     float64
	layers    string
	whole     string // norms and tables to train as a whole
	texts     []string
	reading   textReading
	template  string
	out       string // where to write the adapter
	merge     bool
	resume    bool
	recompute string
	again     string // the command line that continues it
}

func learnFlagsOf(c *cli.Context, called *call, by computing) *learnFlags {
	f := &learnFlags{
		call: called, computing: by,
		options: train.AdaptOptions{
			Batch: c.Int("batch-size"), Time: c.Int("context"), Steps: c.Int("steps"), Minutes: c.Float64("minutes"), LR: c.Float64("lr"),
			Seed: c.Uint64("seed"), Shards: c.Int("shards"), Pack: c.Bool("pack"),
		},
		model: c.String("model"), lora: c.String("lora"), rank: c.Int("rank"), alpha: c.Float64("alpha"), layers: c.String("layers"), whole: c.String("modules-to-save"),
		texts: c.StringSlice("text"), reading: readingOf(c), template: c.String("template"), out: adapterPath(c), merge: c.Bool("merge"),
		resume: c.Bool("resume"), recompute: c.String("recompute"), again: resumeLine(c),
	}
	if !c.IsSet("alpha") {
		f.alpha = 2 * float64(f.rank)
	}
	f.loading, f.badModel = publicOptions(c)
	f.loading.Masters = f.merge
	return f
}

func learnAction(c *cli.Context) error {
	ctx, stop := interruptible(c.Context)
	defer stop()
	ignoreLostReaders()
	by, err := computingOf(c)
	if err != nil {
		return err
	}
	called, out := callOf(c), adapterPath(c)
	r, err := joinRanks(called, &by, func() string { return goOnLearning(out) })
	if err != nil {
		return err
	}
	return r.End(learnFlagsOf(c, called, by).learn(ctx, r))
}

// adapterPath returns where to write the adapter.
func adapterPath(c *cli.Context) string { return strings.TrimRight(c.String("output"), "/") }

// begunWith are the flags that cannot change when a training continues.
var begunWith = []string{"lora", "rank", "alpha", "layers", "modules-to-save", "steps", "minutes", "lr", "context", "batch-size", "shards", "pack", "seed"}

// resumeLine returns the command line that continues a stopped training, for a shell.
func resumeLine(c *cli.Context) string {
	line := "bitgpu learn"
	for _, f := range c.Command.Flags {
		name := f.Names()[0]
		if !c.IsSet(name) || name == "resume" || slices.Contains(begunWith, name) {
			continue
		}
		switch value := c.Value(name).(type) {
		case bool:
			if value {
				line += " " + dashes(name)
			}
		case cli.StringSlice:
			for _, each := range value.Value() {
				line += " " + dashes(name) + " " + shellWord(each)
			}
		default:
			line += " " + dashes(name) + " " + shellWord(fmt.Sprint(value))
		}
	}
	return line + " --resume"
}

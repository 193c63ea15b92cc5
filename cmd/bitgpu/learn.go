package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bitgpu"
	"bitgpu/internal/units"
	"bitgpu/internal/version"
	"bitgpu/io/atomicfile"
	"bitgpu/io/dataset"
	"bitgpu/nn"
	"bitgpu/nn/op"
	"bitgpu/nn/storage"
	"bitgpu/nn/storage/peft"
	"bitgpu/nn/train"
	"bitgpu/nn/train/device"
	"bitgpu/nn/train/ranks"

	"github.com/urfave/cli/v2"
)

// Defaults of learn, found on the demo: docs/learn.md has the runs.
const (
	learnRank    = 8
	learnPasses  = 4
	learnContext = 512
	learnBatch   = 1
	learnRate    = 2e-3
	learnSaves   = 100 // steps between savings of a training that may be killed
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

// stateSuffix is behind the name of the adapter in that of the file that an unfinished training goes on from.
const stateSuffix = ".training"

func learnAction(c *cli.Context) error {
	ctx, stop := interruptible(c)
	defer stop()
	ignoreLostReaders()
	r, err := joinRanks(c, func() string { return goOnLearning(adapterPath(c)) })
	if err != nil {
		return err
	}
	return r.End(learnOn(ctx, c, r))
}

// adaptation is what an adapter is trained on, and how.
type adaptation struct {
	model   *storage.Loaded
	config  nn.Config // with the adapter as it begins
	options train.AdaptOptions
	tokens  []uint32
	marks   []byte
	filled  string // how conversations fill rows
	out     string
	resume  func(train.AdapterTrainer) error // nil of a new training
	unmake  func()                           // takes away the directory of out where nothing was written into it; may be nil
}

// learnOn is the training on one of the ranks.
func learnOn(ctx context.Context, c *cli.Context, r *ranks.Ranks) error {
	var l adaptation
	err := l.read(ctx, c, r)
	if l.unmake != nil {
		defer l.unmake()
	}
	if l.model != nil {
		defer l.model.Close()
	}
	if err := r.Agree(err); err != nil {
		return err
	}
	return l.learn(ctx, c, r)
}

// adapterPath is where the adapter is written.
func adapterPath(c *cli.Context) string { return strings.TrimRight(c.String("output"), "/") }

// read takes all of it from the flags, the model and the texts.
func (l *adaptation) read(ctx context.Context, c *cli.Context, r *ranks.Ranks) error {
	o := train.AdaptOptions{
		Batch: c.Int("batch-size"), Time: c.Int("context"), Steps: c.Int("steps"), Minutes: c.Float64("minutes"), LR: c.Float64("lr"), Seed: c.Uint64("seed"),
		Shards: c.Int("shards"), Pack: c.Bool("pack"),
	}
	if r.Launched() && !c.IsSet("shards") {
		o.Shards = train.DefaultShards
	}
	if !c.IsSet("batch-size") {
		o.Batch = max(o.Batch, o.Shards)
	}
	if err := checkLearn(c, o); err != nil {
		return err
	}
	l.out = adapterPath(c)
	if r.Leads() {
		var err error
		if l.unmake, err = checkAdapterPath(l.out); err != nil {
			return err
		}
	}
	public, err := publicOptions(c)
	if err != nil {
		return err
	}
	public.Masters = c.Bool("merge")
	if l.model, err = loadModel(c.String("model"), public); err != nil {
		return err
	}
	if c.Bool("chat") {
		l.tokens, l.marks, err = chatTokens(ctx, c, l.model)
	} else if err = refuseIdle(c, "it is for --chat", "template", "pack"); err == nil {
		l.tokens, err = learnTokens(ctx, c, l.model)
	}
	if err != nil {
		return err
	}
	l.config = l.model.Config
	if capacity := l.config.Capacity(); capacity > 0 {
		o.Time = min(o.Time, capacity)
	}
	if l.marks == nil {
		o = o.Fit(len(l.tokens))
		if o.Steps == 0 && o.Minutes == 0 {
			o.Steps = o.StepsOf(len(l.tokens), learnPasses)
		}
	} else if o, l.filled, err = fitChats(o, l.tokens, l.marks); err != nil {
		return err
	}
	switch {
	case c.Bool("resume"):
		l.config.Adapter, o, l.resume, err = train.OpenAdaptation(l.out+stateSuffix, l.config, l.tokens, l.marks)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("--resume: there is no %s, the training that was stopped; without --resume one begins", l.out+stateSuffix)
		}
		if err != nil {
			return flagError("resume", err)
		}
	case c.IsSet("lora"):
		old, err := peft.Load(c.String("lora"), l.config)
		if err != nil {
			return flagError("lora", err)
		}
		l.config.Adapter = peft.Join(l.config, peft.Weighted{Adapter: old, Weight: 1})
	default:
		if l.config.Adapter, err = newAdapter(c, l.config, o.Seed); err != nil {
			return err
		}
	}
	if l.config.Adapter.Inside != c.Bool("merge") && l.resume != nil {
		return usagef("learn: --resume: the training was begun with --merge or without, want the same")
	}
	l.config.Adapter.Inside = c.Bool("merge")
	l.options = o
	if err := train.CheckGroup(r.Size(), o.Shards); err != nil {
		return usagef("learn: %w", err)
	}
	return nil
}

// facts are what must be the same on all ranks.
func (l *adaptation) facts(device string) (ranks.Facts, error) {
	program, err := ranks.Program(version.Line())
	if err != nil {
		return nil, err
	}
	adapter := nn.Weights[op.HostTensor](l.config.Adapter.Weights)
	f := ranks.Facts{
		"program": program, "device": device, "tokens": train.TokensSum(l.tokens, l.marks),
		"weights": ranks.Weights(l.model.Weights), "adapter": ranks.Weights(&adapter), "resumed": fmt.Sprint(l.resume != nil),
	}
	return f, errors.Join(f.Add("model: ", l.model.Config), f.Add("option ", l.options))
}

// checkLearn refuses what is wrong whatever the files hold.
func checkLearn(c *cli.Context, o train.AdaptOptions) error {
	if c.Bool("resume") {
		if err := refuseIdle(c, "--resume goes on as the training began", begunWith...); err != nil {
			return err
		}
	}
	if c.IsSet("lora") {
		if err := refuseIdle(c, "the adapter of --lora has its own", "rank", "alpha", "layers"); err != nil {
			return err
		}
	}
	if c.Bool("merge") {
		if err := refuseIdle(c, "--merge learns from the masters on", "lora"); err != nil {
			return err
		}
		if peft.Lone(c.String("output")) {
			return usagef("learn: --merge: got the file %s, want a directory: what is written is a model", c.String("output"))
		}
	}
	if c.IsSet("steps") && c.IsSet("minutes") {
		return usagef("learn: got both --steps and --minutes, want one")
	}
	if c.IsSet("steps") && o.Steps < 1 {
		return usagef("learn: --steps: got %d, want 1 or more", o.Steps)
	}
	if c.IsSet("minutes") && !(o.Minutes > 0 && o.Minutes < 1e6) {
		return usagef("learn: --minutes: got %v, want a time above 0 and below 1000000", o.Minutes)
	}
	if o.LR == 0 {
		return usagef("learn: --lr: got 0, want a number above 0: with 0 nothing is learned")
	}
	if r := c.Int("rank"); r < 1 || r > 1024 {
		return usagef("learn: --rank: got %d, want 1 to 1024", r)
	}
	if r := c.String("recompute"); !slices.Contains([]string{train.RecomputeAuto, train.RecomputeOn, train.RecomputeOff}, r) {
		return usagef("learn: --recompute: got %q, want %s, %s or %s", r, train.RecomputeAuto, train.RecomputeOn, train.RecomputeOff)
	}
	if a := c.Float64("alpha"); c.IsSet("alpha") && !(a >= 1e-6 && a <= 1e6) {
		return usagef("learn: --alpha: got %v, want a number from 1e-06 to 1000000", a)
	}
	o.Steps = max(o.Steps, 1)
	if err := o.Validate(); err != nil {
		return usagef("learn: --%w", err)
	}
	return nil
}

// checkAdapterPath refuses at once what could not be saved at the end. A directory that it makes is taken away by unmake, unless
// something was written into it.
func checkAdapterPath(out string) (unmake func(), err error) {
	file, unmake := out, func() {}
	if !peft.Lone(out) {
		if unmake, err = atomicfile.MakeDir(out); err != nil {
			return nil, flagError("output", err)
		}
		file = filepath.Join(out, peft.ModelName)
	}
	for _, path := range []string{file, out + stateSuffix} {
		if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
			return unmake, fmt.Errorf("--output %s: there is no directory %s to save it in", out, filepath.Dir(path))
		}
		if err := atomicfile.Check(path); err != nil {
			return unmake, flagError("output", err)
		}
	}
	return unmake, nil
}

// learnTokens are those of all texts, with a token that ends a text before each document where the model has one.
func learnTokens(ctx context.Context, c *cli.Context, model *storage.Loaded) ([]uint32, error) {
	tok := model.Tokenizer
	if tok == nil {
		return nil, fmt.Errorf("%s: %w", model.Path, bitgpu.ErrNoTokenizer)
	}
	docs, err := openDocuments(ctx, c, "text", c.StringSlice("text"))
	if err != nil {
		return nil, err
	}
	ids, _, err := dataset.Tokens(ctx, tok, docs, device.FreeMemory())
	if err != nil {
		return nil, tooMuchText("text", err)
	}
	if len(ids) < 2 {
		return nil, fmt.Errorf("--text: got %d tokens, want at least 2", len(ids))
	}
	for _, id := range ids {
		if int(id) >= model.Config.Vocab {
			return nil, fmt.Errorf("%s: the tokenizer gives token %d, want ids below %d", model.Path, id, model.Config.Vocab)
		}
	}
	return ids, nil
}

// tooMuchText says what helps where the tokens of a flag's text have no room in memory.
func tooMuchText(flag string, err error) error {
	if !errors.Is(err, dataset.ErrRoom) {
		return err
	}
	return flagError(flag, fmt.Errorf("%w, %s; want a part of the text, or the tokens that bitgpu data makes of it, for train and eval",
		err, units.Bytes(device.FreeMemory())))
}

// newAdapter makes the adapter that the flags ask for.
func newAdapter(c *cli.Context, config nn.Config, seed uint64) (*nn.Adapter, error) {
	rank := c.Int("rank")
	alpha := 2 * float64(rank)
	if c.IsSet("alpha") {
		alpha = c.Float64("alpha")
	}
	wanted := strings.Split(c.String("layers"), ",")
	used := map[string]bool{}
	choose := func(name string) bool {
		module := peft.Module(name)
		for _, w := range wanted {
			if w == "all" || module == w || strings.HasSuffix(module, "."+w) {
				used[w] = true
				return true
			}
		}
		return false
	}
	a := train.NewAdapter(config, rank, alpha, choose, seed)
	for _, w := range wanted {
		if !used[w] {
			return nil, fmt.Errorf("--layers: got %q, want names of this model's matrices: %s", w, peft.Modules(config))
		}
	}
	return a, nil
}

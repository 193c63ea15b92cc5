package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bitgpu"
	"bitgpu/demo"
	"bitgpu/io/atomicfile"
	"bitgpu/nn"
	"bitgpu/nn/storage"
	"bitgpu/nn/storage/peft"
	"bitgpu/nn/train"
	"bitgpu/nn/train/mpi"

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
				&cli.IntFlag{Name: "context", Value: learnContext, Usage: "read rows of `N` tokens, each from an empty memory"},
				&cli.IntFlag{Name: "batch-size", Value: learnBatch, Usage: "read `N` rows a step"},
			}, corpusFlags()...)...),
			group("Schedule",
				&cli.IntFlag{Name: "steps", Usage: "take `N` steps", DefaultText: fmt.Sprint("what reads the text ", learnPasses, " times")},
				&cli.Float64Flag{Name: "minutes", Usage: "take as many steps as `M` minutes hold"},
				&cli.Float64Flag{Name: "lr", Value: learnRate, Usage: "highest learning rate `X`"},
				&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "number `N` that first values and the order of rows depend on"},
			),
			group("Output",
				&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Required: true, Usage: "`FILE` or directory of the adapter to write"},
				&cli.BoolFlag{Name: "resume", Usage: "go on with the training that was stopped while it wrote to -o"},
			),
			computeFlags(),
		),
		Action: learnAction,
	}
}

// stateSuffix is behind the name of the adapter in that of the file that an unfinished training goes on from.
const stateSuffix = ".training"

func learnAction(c *cli.Context) error {
	o := train.AdaptOptions{
		Batch: c.Int("batch-size"), Time: c.Int("context"), Steps: c.Int("steps"), Minutes: c.Float64("minutes"), LR: c.Float64("lr"), Seed: c.Uint64("seed"),
	}
	if n, by := mpi.Launched(); n > 1 {
		return usagef("learn: got started as one of %d ranks (%s), want one process; only train runs on several", n, by)
	}
	if err := checkLearn(c, o); err != nil {
		return err
	}
	out := strings.TrimRight(c.String("output"), "/")
	if err := checkAdapterPath(out); err != nil {
		return err
	}
	public, err := publicOptions(c)
	if err != nil {
		return err
	}
	model, err := loadModel(c.String("model"), public)
	if err != nil {
		return err
	}
	defer model.Close()
	ctx, stop := interruptible(c)
	defer stop()
	ignoreLostReaders()
	var tokens []uint32
	var marks []byte
	if c.Bool("chat") {
		tokens, marks, err = chatTokens(ctx, c, model)
	} else if err = refuseIdle(c, "it is for --chat", "template"); err == nil {
		tokens, err = learnTokens(ctx, c, model)
	}
	if err != nil {
		return err
	}
	config := model.Config
	if capacity := config.Capacity(); capacity > 0 {
		o.Time = min(o.Time, capacity)
	}
	if marks == nil {
		o = o.Fit(len(tokens))
		if o.Steps == 0 && o.Minutes == 0 {
			o.Steps = o.StepsOf(len(tokens), learnPasses)
		}
	} else if o, err = fitChats(o, tokens, marks); err != nil {
		return err
	}
	var resume func(train.AdapterEngine) error
	switch {
	case c.Bool("resume"):
		if config.Adapter, o, resume, err = train.OpenAdaptation(out+stateSuffix, config, tokens, marks); err != nil {
			return flagError("resume", err)
		}
	case c.IsSet("lora"):
		old, err := peft.Load(c.String("lora"), config)
		if err != nil {
			return flagError("lora", err)
		}
		config.Adapter = peft.Join(config, peft.Weighted{Adapter: old, Weight: 1})
	default:
		if config.Adapter, err = newAdapter(c, config, o.Seed); err != nil {
			return err
		}
	}
	return learn(ctx, c, model, config, o, tokens, marks, out, resume)
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
	if a := c.Float64("alpha"); c.IsSet("alpha") && !(a >= 1e-6 && a <= 1e6) {
		return usagef("learn: --alpha: got %v, want a number from 1e-06 to 1000000", a)
	}
	o.Steps = max(o.Steps, 1)
	if err := o.Validate(); err != nil {
		return usagef("learn: --%w", err)
	}
	return nil
}

// checkAdapterPath refuses at once what could not be saved at the end.
func checkAdapterPath(out string) error {
	file := out
	if !peft.Lone(out) {
		if err := os.MkdirAll(out, 0o777); err != nil {
			return flagError("output", err)
		}
		file = filepath.Join(out, peft.ModelName)
	}
	for _, path := range []string{file, out + stateSuffix} {
		if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
			return fmt.Errorf("--output %s: there is no directory %s to save it in", out, filepath.Dir(path))
		}
		if err := atomicfile.Check(path); err != nil {
			return flagError("output", err)
		}
	}
	return nil
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
	ends := tok.EndOfText()
	ends = ends[:min(len(ends), 1)]
	var ids []uint32
	if err := encodeDocuments(ctx, tok, docs, func(_ string, tokens []uint32) error {
		ids = append(append(ids, ends...), tokens...)
		return nil
	}); err != nil {
		return nil, err
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

// learn trains, and saves what was learned, also when it is stopped.
func learn(ctx context.Context, c *cli.Context, model *storage.Loaded, config nn.Config, o train.AdaptOptions, tokens []uint32, marks []byte, out string,
	resume func(train.AdapterEngine) error) error {
	backend, err := openLearner(c)
	if err != nil {
		return err
	}
	defer backend.close()
	shape := o.Shape()
	shape.Recompute = train.Memory(config, shape) > backend.room
	if need := train.Memory(config, shape); need > backend.room {
		return fmt.Errorf("this training takes %s of memory, and %s are free; a smaller --batch-size or --context takes less", byteCount(need), byteCount(backend.room))
	}
	made, err := backend.learner(config, shape, nn.Spend(model.Weights))
	if err != nil {
		return err
	}
	defer made.Release()
	engine := made.(train.AdapterEngine)
	if resume != nil {
		if err := resume(engine); err != nil {
			return err
		}
	}
	w := c.App.ErrWriter
	fmt.Fprintf(w, "%d tokens; %d numbers to learn beside %d weights; %s; %s of memory\n", len(tokens), adapterCount(config), config.ParamCount(),
		withNote(backend.device, backend.note), byteCount(train.Memory(config, shape)))
	p := &learnProgress{out: w, line: newStatusLine(w)}
	a := &train.Adaptation{Engine: engine, Options: o, Tokens: tokens, Marks: marks, Progress: p.step, Saves: learnSaves}
	a.Save = func() error { return a.SaveAdaptation(out + stateSuffix) }
	err = a.Do(ctx)
	p.close()
	if err != nil {
		return err
	}
	adapter, err := engine.Adapter()
	if err != nil {
		return err
	}
	finished := a.Options.Steps > 0 && engine.Updates() >= a.Options.Steps
	if !finished {
		if err := a.Save(); err != nil {
			return err
		}
	}
	base := model.Path
	if base == "" {
		base = demo.Name
	}
	if err := peft.Save(out, config, adapter, base); err != nil {
		return err
	}
	fmt.Fprintf(w, "saved %s\n", out)
	if !finished {
		fmt.Fprintf(w, "stopped after %d steps\nto go on: %s\n", engine.Updates(), resumeLine(c))
		return errInterrupted
	}
	if err := os.Remove(out + stateSuffix); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// openLearner is openTrainer for adapters, which the CPU trains where nobody asks for a GPU.
func openLearner(c *cli.Context) (*trainer, error) {
	backend, adapter, err := backendOf(c)
	if err != nil {
		return nil, err
	}
	if backend == bitgpu.Auto && adapter == "" {
		t := openCPU()
		t.note = "an adapter is trained there unless --backend gpu asks for a GPU"
		return t, nil
	}
	return openTrainer(c)
}

// adapterCount is how many numbers an adapter has.
func adapterCount(c nn.Config) (n int) {
	for _, w := range c.Adapter.Weights {
		n += len(w.F32)
	}
	return n
}

// learnProgress shows how a learning goes.
type learnProgress struct {
	out   io.Writer
	line  *statusLine
	next  time.Time
	last  string
	loss  float64 // mean of the last steps, for the eye
	count int
}

func (p *learnProgress) step(done, steps int, loss float64, left time.Duration) {
	p.count++
	p.loss += (loss - p.loss) / float64(min(p.count, 20))
	text := fmt.Sprintf("step %d  loss %.4f", done, p.loss)
	if steps > 0 {
		text = fmt.Sprintf("step %d/%d  loss %.4f  %v left", done, steps, p.loss, left.Round(time.Second))
	}
	if p.line != nil {
		p.last = bar(done, max(steps, done)) + text
		p.line.show(p.last)
		return
	}
	if now := time.Now(); !now.Before(p.next) || done == steps {
		p.next = now.Add(betweenLines)
		fmt.Fprintln(p.out, text)
	}
}

func (p *learnProgress) close() {
	if p.line != nil && p.last != "" {
		p.line.draw(p.last)
		fmt.Fprintln(p.out)
	}
}

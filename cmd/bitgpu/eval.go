package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"time"

	"bitgpu"
	"bitgpu/io/corpus"
	"bitgpu/io/dataset"
	"bitgpu/nn"
	"bitgpu/nn/storage"
	"bitgpu/nn/train"
	"bitgpu/nn/train/device"
	"bitgpu/nn/train/prepare"

	"github.com/urfave/cli/v2"
)

func evalCommand() *cli.Command {
	d := train.DefaultOptions()
	return &cli.Command{
		Name:      "eval",
		UsageText: "bitgpu eval [-m MODEL] --data DATA [flags]",
		Usage:     "measure a model on text or tokens: perplexity, bits per byte, accuracy",
		Description: example("", "bitgpu eval -m model --data model/data", "bitgpu eval -m model.bitt --data book.txt --json",
			"bitgpu eval -m model.bitt --data book.txt --reread"),
		Flags: slices.Concat(
			group("Model", modelFlags()...),
			group("Data", append([]cli.Flag{
				&cli.StringFlag{Name: "data", Required: true,
					Usage: "`DATA` to measure on: a directory that bitgpu data wrote (its validation part), a .u32 or .u16 file of tokens, or text: .txt or .jsonl, both also .gz, or a glob"},
				&cli.IntFlag{Name: "context-len", Value: d.Time, DefaultText: fmt.Sprintf("%d; of a GGUF or Hugging Face model its context, up to %d", d.Time, publicWindow),
					Usage: "read sequences of `N` tokens, each with an empty memory at its beginning"},
				&cli.IntFlag{Name: "batch-size", Value: d.Batch, Usage: "read `N` sequences at once; of a GGUF or Hugging Face model it is one"},
			}, corpusFlags()...)...),
			group("Memory and learning", append(rereadFlags(),
				&cli.BoolFlag{Name: "dynamic", Usage: "let the model learn while it reads: one step of a small adapter (or of that of --lora) on each sequence, after it was measured; nothing is kept"},
				&cli.Float64Flag{Name: "lr", Value: dynamicRate, Usage: "with --dynamic, the learning rate `R`"})...),
			group("Output", &cli.BoolFlag{Name: "json", Usage: "write JSON"}),
			computeFlags(),
		),
		Action: evalAction,
	}
}

// evalReport is the output of eval --json.
type evalReport struct {
	Tokens          int64    `json:"tokens"` // predicted
	Bytes           int64    `json:"bytes,omitempty"`
	Loss            float64  `json:"loss"` // nats per token
	Perplexity      float64  `json:"perplexity"`
	BitsPerByte     *float64 `json:"bits_per_byte,omitempty"` // if the bytes are known
	Accuracy        float64  `json:"accuracy"`                // share of tokens that were the most probable ones
	Divergence      *float64 `json:"divergence,omitempty"`    // nats per token, from the model as it was trained, if --kv or --activations differ
	TokensPerSecond float64  `json:"tokens_per_second"`
}

func evalAction(c *cli.Context) error {
	by, err := computingOf(c)
	if err != nil {
		return err
	}
	o := train.DefaultOptions()
	o.Time, o.Batch = c.Int("context-len"), c.Int("batch-size")
	if err := o.Validate(); err != nil {
		return usagef("eval: --%w", err)
	}
	if err := refuseMixed(c); err != nil {
		return err
	}
	if c.Bool("reread") {
		return rereadAction(c, by)
	}
	if c.Bool("dynamic") {
		o.Batch = 1
	}
	numbers := storage.Numbers{Cache: c.String("kv"), Activations: c.String("activations")}
	if err := numbers.Check(); err != nil {
		return usagef("eval: %v", err)
	}
	model, err := evaluatedModel(c)
	if err != nil {
		return err
	}
	defer model.Close()
	if err := adapt(c, model); err != nil {
		return err
	}
	made, err := withNumbers(model, numbers)
	if err != nil {
		return err
	}
	if model.Public != nil {
		o.Batch, o.Time = 1, model.Config.Capacity()
	}
	ctx, stop := interruptible(c.Context)
	defer stop()
	tokens, bytes, err := openEvaluation(ctx, c.String("data"), readingOf(c), model)
	if err != nil {
		return err
	}
	stop()
	if tokens.Len() < 2 {
		return fmt.Errorf("--data: %s: got %d tokens, want at least 2", c.String("data"), tokens.Len())
	}
	open := openDevice
	if c.Bool("dynamic") {
		open = openAdapterDevice
	}
	backend, err := open(by)
	if err != nil {
		return err
	}
	defer backend.Close()
	// Rows longer than the text, or more of them than it fills, would waste memory.
	predicted := tokens.Len() - 1
	o.Time = min(o.Time, predicted)
	o.Batch = min(o.Batch, predicted/o.Time)
	measured := tokens
	if marked, ok := tokens.(*corpus.Tokens); ok && marked.Marks() != nil { // conversations
		if c.Bool("dynamic") {
			return usagef("eval: --dynamic reads text, and %s holds conversations", c.String("data"))
		}
		if measured, err = corpus.NewRows(marked, marked.Marks(), o.Time); err != nil {
			return flagError("data", err)
		}
		bytes = 0 // the bytes of the answers are unknown
	}
	if err := backend.CheckEvaluation(model.Config, o.Batch, o.Time); err != nil {
		if model.Public != nil {
			return withAdvice(err, "--context-len")
		}
		return withAdvice(err, "--batch-size or --context-len")
	}
	announceDevice(c.App.ErrWriter, backend.Name, backend.Note)
	start := time.Now()
	var e train.Evaluation
	if c.Bool("dynamic") {
		e, err = evaluateDynamic(backend, model, o.Time, tokens, c.Float64("lr"))
	} else {
		e, err = backend.Evaluate(model.Config, made, nn.Spend(model.Weights), o.Batch, o.Time, measured)
	}
	if err != nil {
		return err
	}
	r := evalReport{
		Tokens: e.Tokens, Bytes: bytes, Loss: e.Loss(), Perplexity: e.Perplexity(), Accuracy: e.Accuracy(),
		TokensPerSecond: float64(e.Tokens) / max(time.Since(start).Seconds(), 1e-9), // the clock may not have moved
	}
	if bytes > 0 {
		bits := e.BitsPerByte(bytes)
		r.BitsPerByte = &bits
	}
	if made != nil {
		each := e.Divergence / float64(e.Tokens)
		r.Divergence = &each
	}
	if c.Bool("json") {
		return json.NewEncoder(c.App.Writer).Encode(r)
	}
	r.show(c.App.Writer, backend.Name)
	return nil
}

// show writes the report for people.
func (r evalReport) show(out io.Writer, on string) {
	perplexity := fmt.Sprintf("%.4f", r.Perplexity)
	if r.Perplexity >= 1e15 {
		perplexity = fmt.Sprintf("%.4g", r.Perplexity)
	}
	if r.Perplexity == math.MaxFloat64 {
		perplexity = "above " + perplexity
	}
	fmt.Fprintf(out, "perplexity     %s (%.4f nats a token)\n", perplexity, r.Loss)
	if r.BitsPerByte != nil {
		fmt.Fprintf(out, "bits per byte  %.4f (%d tokens, %d bytes)\n", *r.BitsPerByte, r.Tokens, r.Bytes)
	}
	fmt.Fprintf(out, "accuracy       %.2f %%\n", 100*r.Accuracy)
	if r.Divergence != nil {
		fmt.Fprintf(out, "divergence     %.6f nats a token (KL) from the model as it was made, which was read too\n", *r.Divergence)
	}
	fmt.Fprintf(out, "speed          %.0f tokens/s on %s\n", r.TokensPerSecond, on)
}

// refuseMixed refuses flags that belong to other ways of measuring than the one asked for.
func refuseMixed(c *cli.Context) error {
	called := callOf(c)
	if data := c.String("data"); dataset.IsTokens(data) {
		if err := refuseForTokens(called, data, corpusFlagNames...); err != nil {
			return err
		}
	}
	if c.Bool("dynamic") {
		if err := refuseIdle(called, "--dynamic reads one sequence after another", append([]string{"reread", "batch-size"}, rereadOnly...)...); err != nil {
			return err
		}
		if lr := c.Float64("lr"); !(lr >= 0 && lr < 1e3) {
			return usagef("eval: --lr: got %v, want a number from 0 to below 1000", lr)
		}
	} else if err := refuseIdle(called, "it is for --dynamic", "lr"); err != nil {
		return err
	}
	if c.Bool("dynamic") || c.Bool("reread") {
		if err := refuseIdle(called, "--dynamic and --reread measure the model as it was made", "kv", "activations"); err != nil {
			return err
		}
	}
	if c.Bool("reread") {
		return nil
	}
	return refuseIdle(called, "it is for --reread", rereadOnly...)
}

// dynamicRate is the default rate of eval --dynamic: docs/learn.md has the runs.
const dynamicRate = 5e-3

// evaluateDynamic measures a model that learns while it reads.
func evaluateDynamic(b *device.Device, model *storage.Loaded, time int, tokens train.Tokens, rate float64) (train.Evaluation, error) {
	config := model.Config
	if config.Adapter == nil {
		config.Adapter = train.NewAdapter(config, learnRank, 2*learnRank, func(string) bool { return true }, 1)
	}
	shape := train.Shape{Batch: 1, Time: time, Accumulate: 1, Clip: 1}
	shape.Recompute = train.DeviceBytes(config, shape) > b.Room
	if need := train.DeviceBytes(config, shape); need > b.Room {
		return train.Evaluation{}, withAdvice(&device.RoomError{What: "learning while reading", Need: need, Free: b.Room, Batch: true}, "--context-len")
	}
	engine, err := b.Learner(config, shape, model.Weights)
	if err != nil {
		return train.Evaluation{}, err
	}
	defer engine.Release()
	return train.EvaluateDynamic(engine, tokens, rate, nil)
}

// withNumbers makes the model compute with the given types. It returns its previous configuration, nil if nothing changed.
func withNumbers(model *storage.Loaded, n storage.Numbers) (made *nn.Config, err error) {
	before := model.Config
	if before.Decoder != nil {
		d := *before.Decoder
		before.Decoder = &d
	}
	if err := n.Apply(model); err != nil {
		return nil, err
	}
	d := model.Config.Decoder
	if d == nil || d.Int8 == before.Decoder.Int8 && d.HalfCache == before.Decoder.HalfCache {
		return nil, nil
	}
	return &before, nil
}

// publicWindow is the default context in tokens for measuring a public family's model.
const publicWindow = 2048

// evaluatedModel loads the model; one of a public family gets a context of the length of a sequence.
func evaluatedModel(c *cli.Context) (*storage.Loaded, error) {
	o, err := publicOptions(c)
	if err != nil {
		return nil, err
	}
	asked := o.Context
	if o.Context == 0 {
		o.Context = publicWindow
	}
	if c.IsSet("context-len") {
		o.Context = c.Int("context-len")
	}
	model, err := loadModel(c.String("model"), o)
	if err != nil || model.Public == nil {
		return model, err
	}
	switch {
	case c.IsSet("batch-size") && c.Int("batch-size") != 1:
		err = usagef("eval: --batch-size: got %d, want 1: a model of the family %s reads one sequence at a time", c.Int("batch-size"), model.Config.Decoder.Family)
	case c.IsSet("context-len") && o.Context > model.Public.Trained:
		err = usagef("eval: --context-len: got %d, want %d at most, the context of %s", o.Context, model.Public.Trained, model.Path)
	case asked > 0 && o.Context > asked:
		err = usagef("eval: --context-len: got %d, want %d at most, as --context says", o.Context, asked)
	}
	if err != nil {
		model.Close()
		return nil, err
	}
	return model, nil
}

// openEvaluation returns the tokens, and how many bytes of text all but the first stand for, 0 if unknown.
func openEvaluation(ctx context.Context, path string, text textReading, model *storage.Loaded) (train.Tokens, int64, error) {
	if !dataset.IsTokens(path) {
		return readEvaluation(ctx, path, text, model)
	}
	if !dataset.IsTokenFile(path) {
		dir, err := dataset.Open(path)
		if err == nil {
			err = prepare.CheckTokenizer(dir.TokenizerPath(), dir.Tokenizer, model)
		}
		if err != nil {
			return nil, 0, dataError(path, err)
		}
		path = filepath.Join(path, corpus.ValName)
		if dir.Meta.Val.Tokens == 0 {
			return nil, 0, fmt.Errorf("--data: %s: no validation tokens; %s beside it can be measured instead", path, corpus.TrainName)
		}
	}
	tokens, err := prepare.OpenTokens(path, model)
	if err != nil {
		return nil, 0, dataError(path, err)
	}
	if err := tokens.Check(model.Config.Vocab); err != nil {
		return nil, 0, flagError("data", err)
	}
	if model.Tokenizer == nil {
		return tokens, 0, nil
	}
	bytes, err := dataset.TextBytes(model.Tokenizer, tokens.All())
	if err != nil {
		return nil, 0, flagError("data", err)
	}
	return tokens, bytes, nil
}

// readEvaluation reads text as a training does. An end-of-text token precedes every document, so that its first token is
// predicted too.
func readEvaluation(ctx context.Context, path string, text textReading, model *storage.Loaded) (train.Tokens, int64, error) {
	tok := model.Tokenizer
	if tok == nil {
		return nil, 0, fmt.Errorf("%s: %w", model.Path, bitgpu.ErrNoTokenizer)
	}
	docs, err := text.documents(ctx, "data", []string{path})
	if err != nil {
		return nil, 0, err
	}
	ids, bytes, err := dataset.Tokens(ctx, tok, docs, device.FreeMemory())
	if err != nil {
		return nil, 0, tooMuchText("data", err)
	}
	if len(tok.EndOfText()) == 0 {
		bytes, err = dataset.TextBytes(tok, func(yield func([]uint32, error) bool) { yield(ids, nil) })
	}
	return corpus.IDs(ids), bytes, err
}

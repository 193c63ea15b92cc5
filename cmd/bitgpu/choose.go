package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bitgpu/io/corpus"
	"bitgpu/nn"
	"bitgpu/nn/op"
	"bitgpu/nn/storage"
	"bitgpu/nn/train"

	"github.com/urfave/cli/v2"
)

// Words of --preset.
const (
	presetAuto = "auto"
	presetSeed = "seed" // the first engine's table
)

// byText names the flags whose values a new training takes from the text where they are not given.
var byText = map[string]bool{
	"mixer": true, "dim": true, "layers": true, "ttt-dim": true, "ttt-heads": true, "vocab-size": true, "val-ratio": true, "context-len": true,
	"batch-size": true, "steps": true, "lr": true, "min-lr": true, "warmup-steps": true, "decay-steps": true, "weight-decay": true,
	"grad-clip": true, "dropout": true, "save-interval": true,
}

// saidByText puts into the help what the flags of byText are without being given.
func saidByText(flags []cli.Flag) []cli.Flag {
	said := func(value any) string { return fmt.Sprintf("by the text; %v of --preset seed", value) }
	for _, f := range flags {
		switch f := f.(type) {
		case *cli.IntFlag:
			if byText[f.Name] {
				f.DefaultText = said(f.Value)
			}
		case *cli.Float64Flag:
			if byText[f.Name] {
				f.DefaultText = said(f.Value)
			}
		case *cli.StringFlag:
			if byText[f.Name] {
				f.DefaultText = "delta; tied of --preset seed"
			}
		}
	}
	return flags
}

// chooser is what a new training is chosen by.
type chooser struct {
	auto  bool
	bytes int64 // of text, about
	given func(flag string) bool
}

// newChooser reads --preset, and sees how large --data is. The mixer tied alone means the table that it was made with.
func newChooser(c *cli.Context) (chooser, error) {
	ch := chooser{given: c.IsSet}
	switch preset := c.String("preset"); {
	case preset == presetAuto:
		ch.auto = c.IsSet("preset") || !c.IsSet("mixer") || c.String("mixer") != nn.MixerTied
	case preset != presetSeed:
		return ch, usagef("train: --preset: got %q, want %s or %s", preset, presetAuto, presetSeed)
	}
	if m := c.Float64("minutes"); c.IsSet("minutes") && !(m > 0 && m < 1e6) {
		return ch, usagef("train: --minutes: got %v, want a time above 0", m)
	}
	if c.IsSet("minutes") && c.IsSet("steps") {
		return ch, usagef("train: got both --steps and --minutes, want one")
	}
	ch.bytes = dataBytes(c.String("data"))
	return ch, nil
}

// dataBytes is about how many bytes of text --data has: of tokens three for each, of packed text three times its size. What
// cannot be read counts 0; opening it says why.
func dataBytes(path string) (total int64) {
	if isTokens(path) && !isTokenFile(path) {
		meta, err := corpus.ReadMeta(filepath.Join(path, corpus.MetaName))
		if err != nil {
			return 0
		}
		return meta.Train.Bytes + meta.Val.Bytes
	}
	files, err := corpus.Files([]string{path})
	if err != nil {
		return 0
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			continue
		}
		size := info.Size()
		switch strings.ToLower(filepath.Ext(file)) {
		case ".gz":
			size *= 3
		case ".u32":
			size = size / 4 * 3
		case ".u16":
			size = size / 2 * 3
		}
		total += size
	}
	return total
}

// vocab is the size of a vocabulary that is made of the text.
func (ch chooser) vocab(c *cli.Context) int {
	if !ch.auto || c.IsSet("vocab-size") {
		return c.Int("vocab-size")
	}
	return train.ChooseVocab(ch.bytes)
}

// validation is the share of the text that measures.
func (ch chooser) validation(c *cli.Context) float64 {
	if !ch.auto || c.IsSet("val-ratio") {
		return c.Float64("val-ratio")
	}
	return train.ChooseValidation(ch.bytes)
}

// model sets what the flags leave open of a configuration, of a model as large as a rung or, below 0, as the text asks for.
func (ch chooser) model(config *nn.Config, rung int) {
	if !ch.auto {
		return
	}
	if rung < 0 {
		rung = train.Rung(ch.bytes)
	}
	train.ChooseModel(config, rung, ch.given)
}

// fit chooses what the flags leave open of a new training, and measures how long a step of it takes, 0 for unknown. --minutes
// takes the largest model that such a time is at least half enough for, and as many steps as the time holds. Ranks that are not
// alone measure nothing, for each would choose something else.
func (ch chooser) fit(c *cli.Context, b *trainer, config nn.Config, o train.Options, tokens int64, start *storage.Loaded, alone bool) (nn.Config, train.Options, time.Duration, error) {
	minutes := time.Duration(c.Float64("minutes") * float64(time.Minute))
	if minutes > 0 && !alone {
		return config, o, 0, usagef("train: --minutes: got several ranks, want --steps for them")
	}
	plain := o
	choose := func(rung int) error {
		if start == nil && ch.auto {
			vocab := config.Vocab
			config = nn.Config{InnerLR: config.InnerLR, WeightScale: config.WeightScale, Rule: config.Rule, Chunk: config.Chunk}
			overlay(c, &config, ch.given)
			ch.model(&config, rung)
			config = config.WithDefaults()
			config.Vocab = vocab
			if err := checkConfig(config, vocab); err != nil {
				return err
			}
		}
		if ch.auto {
			o = plain.Choose(config, tokens, start != nil, ch.given)
		} else if minutes > 0 {
			o.Steps = math.MaxInt32
		}
		return nil
	}
	if err := choose(-1); err != nil {
		return config, o, 0, err
	}
	if !ch.auto && minutes == 0 || !alone {
		return config, o, 0, nil
	}
	each, err := stepTime(b, config, o, start)
	if err != nil || minutes == 0 {
		return config, o, each, err
	}
	work := func() float64 {
		sum := 0.0
		for _, x := range matrixWork(config, o.Shape()) {
			sum += x
		}
		return sum
	}
	speed := work() / each.Seconds()
	for rung := train.Rung(ch.bytes); ch.auto && start == nil && rung > 0 && float64(o.Steps)*work()/speed > 2*minutes.Seconds(); {
		rung--
		if err := choose(rung); err != nil {
			return config, o, 0, err
		}
		if rung == 0 || float64(o.Steps)*work()/speed <= 2*minutes.Seconds() {
			if each, err = stepTime(b, config, o, nil); err != nil {
				return config, o, 0, err
			}
		}
	}
	given := ch.given
	if !ch.auto {
		given = func(string) bool { return true }
	}
	return config, o.Within(minutes.Seconds(), each.Seconds(), given), each, nil
}

// stepTime measures a few steps of a learner that is given up then: they are no part of the training.
func stepTime(b *trainer, config nn.Config, o train.Options, start *storage.Loaded) (time.Duration, error) {
	shape, err := b.plan(config, o)
	if err != nil {
		return 0, err
	}
	var weights *nn.Weights[op.HostTensor]
	if config.Decoder != nil { // whose weights nobody draws
		weights = start.Weights
	} else {
		weights = train.InitialWeights(config, o.Seed)
	}
	engine, err := b.newEngine(config, o, shape, weights)
	if err != nil {
		return 0, err
	}
	defer engine.Release()
	tokens := newRandomSteps(engine.Shape(), config.Vocab)
	tokens.limit = 2
	each, _, err := tokens.measure(engine)
	return each, err
}

// showChoice says in one screen what a new training will be.
func (ch chooser) showChoice(out io.Writer, run *train.Run, each time.Duration) {
	c, o := run.Engine.Config(), run.Options
	tokens := run.Train.Len()
	line := func(name, format string, args ...any) {
		fmt.Fprintf(out, "%-8s "+format+"\n", append([]any{name}, args...)...)
	}
	val := "no validation"
	if run.Val != nil {
		val = fmt.Sprintf("%d for validation every %d steps", run.Val.Len(), max(o.ValEvery, 0))
	}
	line("text", "%d tokens for training, %s", tokens, val)
	memory := ""
	if c.Delta() {
		memory = fmt.Sprintf(", memory %d wide, heads %d", c.MemoryWidth, c.Heads)
	}
	kind := c.Mixer + " mixer" + memory
	if c.Decoder != nil {
		kind = c.Decoder.Family
	}
	line("model", "%d layers of %d, %s, a vocabulary of %d", c.Layers, c.Width, kind, c.Vocab)
	perStep := o.Shape().TokensPerStep()
	line("reading", "%d steps of %d × %d tokens: the text %.3g times; dropout %g", o.Steps, o.Batch*o.Accumulate, o.Time,
		float64(o.Steps)*float64(perStep)/float64(tokens), o.Dropout)
	fall := o.Steps - o.Warmup
	if o.Fall > 0 {
		fall = o.Fall
	}
	line("rate", "up to %g in %d steps, down to %g in the last %d; weight decay %g", o.LR, o.Warmup, o.MinLR, fall, o.Decay)
	if each > 0 {
		line("time", "about %v at %.0f tokens/s; a checkpoint every %d steps", (time.Duration(o.Steps) * each).Round(time.Second),
			float64(perStep)/each.Seconds(), o.SaveInterval)
	}
	if ch.auto {
		fmt.Fprintln(out, "chosen by the size of the text; each has a flag (bitgpu train --help), and --minutes M bounds the time")
	}
}

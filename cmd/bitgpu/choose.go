package main

import (
	"fmt"
	"io"
	"time"

	"bitgpu/io/dataset"
	"bitgpu/nn"
	"bitgpu/nn/storage"
	"bitgpu/nn/train"
	"bitgpu/nn/train/device"

	"github.com/urfave/cli/v2"
)

// Values of --preset.
const (
	presetAuto = "auto"
	presetSeed = "seed" // the fixed settings of the tied mixer's first models
)

// byText names the flags whose defaults a new training chooses by the text.
var byText = map[string]bool{
	"mixer": true, "dim": true, "layers": true, "ttt-dim": true, "ttt-heads": true, "vocab-size": true, "val-ratio": true, "context-len": true,
	"batch-size": true, "steps": true, "lr": true, "min-lr": true, "warmup-steps": true, "decay-steps": true, "weight-decay": true,
	"grad-clip": true, "dropout": true, "save-interval": true,
}

// saidByText puts these defaults into the help.
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
	bytes int64 // size of the text, roughly
	given func(flag string) bool
}

// newChooser reads --preset and determines the size of --data. --mixer tied alone means the settings that this mixer was made
// with.
func (f *trainFlags) newChooser() (chooser, error) {
	ch := chooser{given: f.given, auto: f.auto()}
	if f.preset != presetAuto && f.preset != presetSeed {
		return ch, usagef("train: --preset: got %q, want %s or %s", f.preset, presetAuto, presetSeed)
	}
	if f.given("minutes") && !(f.minutes > 0 && f.minutes < 1e6) {
		return ch, usagef("train: --minutes: got %v, want a time above 0", f.minutes)
	}
	if f.given("minutes") && f.given("steps") {
		return ch, usagef("train: got both --steps and --minutes, want one")
	}
	ch.bytes = dataset.EstimateBytes(f.options.Data)
	return ch, nil
}

// auto reports whether a new training is chosen by the text.
func (f *trainFlags) auto() bool {
	return f.preset == presetAuto && (f.given("preset") || !f.given("mixer") || f.config.Mixer != seedModel().Mixer)
}

// vocab returns the size for a vocabulary made from the text; flag is the flag's value.
func (ch chooser) vocab(flag int) int {
	if !ch.auto || ch.given("vocab-size") {
		return flag
	}
	return train.ChooseVocab(ch.bytes)
}

// validation returns the share of the text for validation; flag is the flag's value.
func (ch chooser) validation(flag float64) float64 {
	if !ch.auto || ch.given("val-ratio") {
		return flag
	}
	return train.ChooseValidation(ch.bytes)
}

// model sets the fields of a configuration that the flags leave open, for a rung or, if negative, for the size of the text.
func (ch chooser) model(config *nn.Config, rung int) {
	if !ch.auto {
		return
	}
	if rung < 0 {
		rung = train.Rung(ch.bytes)
	}
	train.ChooseModel(config, rung, ch.given)
}

// fit chooses what the flags leave open for a new training, and measures the time of a step, 0 for unknown. If there are
// several ranks nothing is measured, because each would choose differently.
func (f *trainFlags) fit(ch chooser, b *device.Device, config nn.Config, o train.Options, tokens int64, start *storage.Loaded, alone bool) (nn.Config, train.Options, time.Duration, error) {
	minutes := time.Duration(f.minutes * float64(time.Minute))
	if minutes > 0 && !alone {
		return config, o, 0, usagef("train: --minutes: got several ranks, want --steps for them")
	}
	if !alone {
		b = nil
	}
	recipe := device.Recipe{Auto: ch.auto, Bytes: ch.bytes, Tokens: tokens, Within: minutes, Given: ch.given}
	if start != nil {
		recipe.Start = start.Weights
	}
	recipe.Model = func(rung int) (nn.Config, error) {
		chosen := nn.Config{InnerLR: config.InnerLR, WeightScale: config.WeightScale, Rule: config.Rule, Chunk: config.Chunk}
		f.overlay(&chosen, false)
		ch.model(&chosen, rung)
		chosen = chosen.WithDefaults()
		chosen.Vocab = config.Vocab
		return chosen, checkConfig(chosen, chosen.Vocab)
	}
	config, o, each, err := recipe.Fit(b, config, o)
	return config, o, each, withAdvice(err, trainingFlags)
}

// showChoice describes a new training in less than a screen.
func (ch chooser) showChoice(out io.Writer, run *train.Run, each time.Duration) {
	c, o := run.Trainer.Config(), run.Options
	tokens := run.Train.Len()
	line := func(name, format string, args ...any) {
		fmt.Fprintf(out, "%-8s "+format+"\n", append([]any{name}, args...)...)
	}
	val := "no validation"
	if run.Val != nil {
		val = fmt.Sprintf("%d for validation every %d steps", run.Val.Len(), max(o.ValEvery, 0))
	}
	line("text", "%d tokens for training, %s", tokens, val)
	kind := c.Kind()
	if c.Decoder == nil && c.Uses("ttt_dim") {
		kind += fmt.Sprintf(", memory %d wide, heads %d", c.MemoryWidth, c.Heads)
	}
	line("model", "%d layers of %d, %s, a vocabulary of %d", c.Layers, c.Width, kind, c.Vocab)
	perStep := o.Shape().TokensPerStep()
	line("reading", "%d steps of %d × %d tokens: the text %.3g times; dropout %g", o.Steps, o.Batch*o.Accumulate, o.Time,
		float64(o.Steps)*float64(perStep)/float64(tokens), o.Dropout)
	fall := o.Steps - o.Warmup
	if o.DecaySteps > 0 {
		fall = min(fall, o.DecaySteps)
	}
	pace := fmt.Sprintf("from %g on", o.LR)
	if o.Warmup > 0 {
		pace = fmt.Sprintf("up to %g in %d steps", o.LR, o.Warmup)
	}
	if fall > 0 {
		pace += fmt.Sprintf(", down to %g in the last %d", o.MinLR, fall)
	}
	line("rate", "%s; weight decay %g", pace, o.WeightDecay)
	if each > 0 {
		line("time", "about %v at %.0f tokens/s; a checkpoint every %d steps", (time.Duration(o.Steps) * each).Round(time.Second),
			float64(perStep)/each.Seconds(), o.SaveInterval)
	}
	if ch.auto {
		fmt.Fprintln(out, "chosen by the size of the text; each has a flag (bitgpu train --help), and --minutes M bounds the time")
	}
}

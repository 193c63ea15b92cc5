package main

import (
	"fmt"
	"strings"

	"bitgpu/nn"
	"bitgpu/nn/storage"
	"bitgpu/nn/train"
	"bitgpu/nn/train/ranks"

	"github.com/urfave/cli/v2"
)

// runOptions are the flags, and where a flag is not given, what the checkpoint was made with. shards are those where neither
// has any.
func runOptions(c *cli.Context, resumed *train.Checkpoint, shards int) (train.Options, error) {
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
	take(c, given, "decay-steps", &o.DecaySteps, c.Int)
	take(c, given, "weight-decay", &o.WeightDecay, c.Float64)
	take(c, given, "grad-clip", &o.Clip, c.Float64)
	take(c, given, "dropout", &o.Dropout, c.Float64)
	take(c, given, "order", &o.Order, c.String)
	take(c, given, "reread", &o.Reread, c.Float64)
	take(c, given, "pack", &o.Pack, c.Bool)
	take(c, given, "seed", &o.Seed, c.Uint64)
	take(c, given, "save-interval", &o.SaveInterval, c.Int)
	take(c, given, "val-every", &o.ValEvery, c.Int)
	take(c, given, "sample-every", &o.SampleEvery, c.Int)
	take(c, given, "patience", &o.Patience, c.Int)
	take(c, given, "recompute", &o.Recompute, c.String)
	take(c, given, "shards", &o.Shards, c.Int)
	if o.Shards == 0 && !c.IsSet("shards") {
		o.Shards = shards
	}
	take(c, given, "gradient", &o.Gradient, c.String)
	if o.Gradient == train.GradientF32 {
		o.Gradient = "" // as checkpoints have it
	}
	if o.Data == "" && c.Bool("resume") {
		return o, fmt.Errorf("%s: got no checkpoint to go on from; --output-dir names the directory of a training, or --data begins one",
			c.String("output-dir"))
	}
	if o.Data == "" && !c.Bool("benchmark") {
		return o, usagef("train: --data is missing: a directory of `bitgpu data`, a .u32 or .u16 file, or text")
	}
	if !c.IsSet("min-lr") && resumed == nil {
		o.MinLR = min(o.MinLR, o.LR)
	}
	if err := o.Validate(); err != nil {
		return o, usagef("train: --%w", err)
	}
	if o.LR == 0 {
		return o, usagef("train: --lr: got 0, want a number above 0: with 0 nothing is learned")
	}
	if o.DecaySteps > o.Steps {
		return o, usagef("train: --decay-steps: got %d, want at most --steps, %d", o.DecaySteps, o.Steps)
	}
	if resumed != nil {
		return o, sameWindows(resumed, o)
	}
	return o, nil
}

// rankOptions are runOptions with shards where there are several ranks.
func rankOptions(c *cli.Context, resumed *train.Checkpoint, r *ranks.Ranks) (train.Options, error) {
	shards := 0
	if r.Launched() {
		shards = train.DefaultShards
	}
	o, err := runOptions(c, resumed, shards)
	if err != nil {
		return o, err
	}
	if err := train.CheckGroup(r.Size(), o.Shards); err != nil {
		return o, usagef("train: %w", err)
	}
	if o.Shards == 0 && c.Bool("shard-optimizer") {
		return o, usagef("train: --shard-optimizer: got no shards, want --shards N")
	}
	return o, nil
}

// sameWindows refuses what would give the position of a checkpoint another meaning.
func sameWindows(resumed *train.Checkpoint, o train.Options) error {
	was := resumed.State.Options
	for _, f := range []struct {
		name     string
		was, now any
	}{{"context-len", was.Time, o.Time}, {"order", was.Order, o.Order}, {"pack", was.Pack, o.Pack}, {"seed", was.Seed, o.Seed}} {
		if f.was != f.now {
			return usagef("train: --%s: got %v, want %v, with which %s has read its data; --load MODEL begins anew with its weights",
				f.name, f.now, f.was, resumed.Path)
		}
	}
	return nil
}

// take sets *to from a flag that was given.
func take[V any](_ *cli.Context, given func(string) bool, name string, to *V, value func(string) V) {
	if given(name) {
		*to = value(name)
	}
}

// flagNames puts flags in the place of a configuration's keys, where a flag is the cause.
var flagNames = func() *strings.Replacer {
	pairs := []string{"vocab_size", "--vocab-size"}
	for _, k := range nn.Keys {
		if k.Flag != "" {
			pairs = append(pairs, k.Name, "--"+k.Flag)
		}
	}
	return strings.NewReplacer(pairs...)
}()

// overlay sets what the flags say in a configuration.
func overlay(c *cli.Context, config *nn.Config, given func(string) bool) {
	for _, k := range nn.Keys {
		if k.Flag == "" {
			continue
		}
		switch field := k.Value(config).(type) {
		case *int:
			take(c, given, k.Flag, field, c.Int)
		case *float64:
			take(c, given, k.Flag, field, c.Float64)
		case *string:
			take(c, given, k.Flag, field, c.String)
		}
	}
}

// runConfig is the model's configuration: that of the weights that are there, which the flags may
// repeat and not contradict, or else the flags', still without a vocabulary.
func runConfig(c *cli.Context, start *storage.Loaded, ch chooser) (nn.Config, error) {
	if n := c.Int("ttt-chunk"); n < 1 { // a configuration takes 0 for its default
		return nn.Config{}, usagef("train: --ttt-chunk: got %d, want 1 or more", n)
	}
	if start != nil && start.Config.Decoder != nil {
		return start.Config, refuseIdle(c, fmt.Sprintf("%s has a shape of its own", start.Path), shapeFlagNames()...)
	}
	config, given := nn.Config{}, func(string) bool { return true }
	if start != nil {
		config, given = start.Config, c.IsSet
	}
	overlay(c, &config, given)
	if start == nil {
		ch.model(&config, -1)
	}
	if config.Mixer == nn.MixerTied && (c.Int("ttt-dim") != 0 || c.Int("ttt-heads") != 0) {
		return config, usagef("train: --ttt-dim and --ttt-heads shape the delta mixer's memory: add --mixer delta")
	}
	config = config.WithDefaults()
	if start != nil {
		if err := sameShape(c, start, config); err != nil {
			return start.Config, err
		}
		return start.Config, stable(start.Config)
	}
	if err := checkConfig(config, 1); err != nil { // any vocabulary is as good as another here
		return config, err
	}
	return config, stable(config)
}

// shapeFlagNames are the flags that set a key of a configuration.
func shapeFlagNames() (names []string) {
	for _, k := range nn.Keys {
		if k.Flag != "" {
			names = append(names, k.Flag)
		}
	}
	return names
}

// stable refuses a rate at which the sequential rule of the tied memory does not learn or grows without end: a step
// multiplies what it has of a key by 1 − η.
func stable(config nn.Config) error {
	if eta := config.InnerLR; !config.Delta() && config.Rule == nn.RuleSequential && !(eta > 0 && eta < 2) {
		return usagef("train: --inner-lr: got %v, want a rate above 0 and below 2, where the sequential rule is stable", eta)
	}
	return nil
}

// checkConfig refuses flags that make no model of that vocabulary.
func checkConfig(config nn.Config, vocab int) error {
	config.Vocab = vocab
	if err := config.Validate(); err != nil {
		return usagef("train: %s", flagNames.Replace(err.Error()))
	}
	return nil
}

// sameShape refuses flags that contradict the weights, which the configuration holds with them.
func sameShape(c *cli.Context, start *storage.Loaded, config nn.Config) error {
	have := start.Config
	if have.Rule == config.Rule && have.Rule == nn.RuleSequential {
		config.Chunk = have.Chunk // plays no part, and is not kept
	}
	for _, k := range nn.Keys {
		if theirs, ours := nn.Field(k.Value(&have)), nn.Field(k.Value(&config)); k.Flag != "" && c.IsSet(k.Flag) && theirs != ours {
			return usagef("train: --%s: got %v, want %v, with which %s was made", k.Flag, ours, theirs, start.Path)
		}
	}
	return nil
}

// setVocab gives the configuration the vocabulary of the data.
func setVocab(config *nn.Config, start *storage.Loaded, data *trainingData, path string) error {
	if config.Decoder != nil && data.vocab <= config.Vocab {
		return nil // there may be rows that no token has
	}
	if start != nil && config.Vocab != data.vocab {
		return fmt.Errorf("%s: got vocab_size %d, the data have %d", start.Path, config.Vocab, data.vocab)
	}
	config.Vocab = data.vocab
	if err := config.Validate(); err != nil {
		return fmt.Errorf("--data: %s: %w", path, err)
	}
	return nil
}

package main

import (
	"errors"
	"fmt"
	"strings"

	"bitgpu/nn"
	"bitgpu/nn/storage"
	"bitgpu/nn/train"
	"bitgpu/nn/train/prepare"
	"bitgpu/nn/train/ranks"
)

// optionFlags are the flags for the numbers that a checkpoint stores.
var optionFlags = []struct {
	name  string
	field func(o *train.Options) any
}{
	{"data", func(o *train.Options) any { return &o.Data }},
	{"batch-size", func(o *train.Options) any { return &o.Batch }},
	{"context-len", func(o *train.Options) any { return &o.Time }},
	{"accumulate", func(o *train.Options) any { return &o.Accumulate }},
	{"steps", func(o *train.Options) any { return &o.Steps }},
	{"lr", func(o *train.Options) any { return &o.LR }},
	{"min-lr", func(o *train.Options) any { return &o.MinLR }},
	{"warmup-steps", func(o *train.Options) any { return &o.Warmup }},
	{"decay-steps", func(o *train.Options) any { return &o.DecaySteps }},
	{"weight-decay", func(o *train.Options) any { return &o.WeightDecay }},
	{"grad-clip", func(o *train.Options) any { return &o.Clip }},
	{"dropout", func(o *train.Options) any { return &o.Dropout }},
	{"order", func(o *train.Options) any { return &o.Order }},
	{"reread", func(o *train.Options) any { return &o.Reread }},
	{"pack", func(o *train.Options) any { return &o.Pack }},
	{"seed", func(o *train.Options) any { return &o.Seed }},
	{"save-interval", func(o *train.Options) any { return &o.SaveInterval }},
	{"val-every", func(o *train.Options) any { return &o.ValEvery }},
	{"sample-every", func(o *train.Options) any { return &o.SampleEvery }},
	{"patience", func(o *train.Options) any { return &o.Patience }},
	{"recompute", func(o *train.Options) any { return &o.Recompute }},
	{"shards", func(o *train.Options) any { return &o.Shards }},
	{"gradient", func(o *train.Options) any { return &o.Gradient }},
}

// copyField copies a field of any of the types.
func copyField(to, from any) {
	switch to := to.(type) {
	case *int:
		*to = *from.(*int)
	case *uint64:
		*to = *from.(*uint64)
	case *float64:
		*to = *from.(*float64)
	case *string:
		*to = *from.(*string)
	case *bool:
		*to = *from.(*bool)
	}
}

// runOptions returns the values of the flags or, for flags not given, of the checkpoint. shards is the default if neither has
// any.
func (f *trainFlags) runOptions(resumed *train.Checkpoint, shards int) (train.Options, error) {
	o := f.options
	if resumed != nil {
		o = resumed.State.Options
		for _, flag := range optionFlags {
			if f.given(flag.name) {
				copyField(flag.field(&o), flag.field(&f.options))
			}
		}
	}
	if o.Shards == 0 && !f.given("shards") {
		o.Shards = shards
	}
	if o.Gradient == train.GradientF32 {
		o.Gradient = "" // the form in checkpoints
	}
	if o.Data == "" && f.resume {
		return o, fmt.Errorf("%s: got no checkpoint to go on from; --output-dir names the directory of a training, or --data begins one", f.dir)
	}
	if o.Data == "" && !f.benchmark {
		return o, usagef("train: --data is missing: a directory of `bitgpu data`, a .u32 or .u16 file, or text")
	}
	if !f.given("min-lr") && resumed == nil {
		o.MinLR = min(o.MinLR, o.LR)
	}
	known := o // what is chosen later is checked then
	if open := resumed == nil && f.auto(); open && !f.given("lr") {
		known.MinLR = min(known.MinLR, known.LR)
	}
	if open := resumed == nil && (f.auto() || f.minutes > 0); open && !f.given("steps") {
		known.DecaySteps = min(known.DecaySteps, known.Steps)
	}
	if err := checkOptions(known); err != nil {
		return o, err
	}
	if o.Patience > 0 && f.given("val-every") && o.ValEvery == 0 {
		return o, usagef("train: --patience waits for validations, and --val-every 0 makes none")
	}
	if resumed != nil {
		if err := resumed.CheckOptions(o); err != nil {
			return o, usagef("train: --%w; --load MODEL begins anew with its weights", err)
		}
	}
	return o, nil
}

// checkOptions refuses settings that make no training.
func checkOptions(o train.Options) error {
	if o.LR == 0 {
		return usagef("train: --lr: got 0, want a number above 0: with 0 nothing is learned")
	}
	if err := o.Validate(); err != nil {
		return usagef("train: --%w", err)
	}
	if o.DecaySteps > o.Steps {
		return usagef("train: --decay-steps: got %d, want at most --steps, %d", o.DecaySteps, o.Steps)
	}
	return nil
}

// rankOptions is runOptions, with shards if there are several ranks.
func (f *trainFlags) rankOptions(resumed *train.Checkpoint, r *ranks.Ranks) (train.Options, error) {
	shards := 0
	if r.Launched() {
		shards = train.DefaultShards
	}
	o, err := f.runOptions(resumed, shards)
	if err != nil {
		return o, err
	}
	if err := train.CheckGroup(r.Size(), o.Shards); err != nil {
		return o, usagef("train: %w", err)
	}
	if o.Shards == 0 && f.shardOptimizer {
		return o, usagef("train: --shard-optimizer: got no shards, want --shards N")
	}
	return o, nil
}

// flagNames replaces keys of a configuration by the flags that set them.
var flagNames = func() *strings.Replacer {
	pairs := []string{"vocab_size", "--vocab-size"}
	for _, k := range nn.Keys {
		if k.Flag != "" {
			pairs = append(pairs, k.Name, "--"+k.Flag)
		}
	}
	return strings.NewReplacer(pairs...)
}()

// overlay sets the fields of a configuration that flags set: those given, or all of them.
func (f *trainFlags) overlay(config *nn.Config, all bool) {
	for _, k := range nn.Keys {
		if k.Flag != "" && (all || f.given(k.Flag)) {
			copyField(k.Value(config), k.Value(&f.config))
		}
	}
}

// runConfig returns the model's configuration: that of the existing weights, which the flags may repeat but not contradict,
// or else that of the flags, still without a vocabulary.
func (f *trainFlags) runConfig(start *storage.Loaded, ch chooser) (nn.Config, error) {
	if f.config.Chunk < 1 { // in a configuration 0 means the default
		return nn.Config{}, usagef("train: --ttt-chunk: got %d, want 1 or more", f.config.Chunk)
	}
	if start != nil && start.Config.Decoder != nil {
		return start.Config, refuseIdle(f.call, fmt.Sprintf("%s has a shape of its own", start.Path), shapeFlagNames()...)
	}
	config := nn.Config{}
	if start != nil {
		config = start.Config
	}
	f.overlay(&config, start == nil)
	if start == nil {
		ch.model(&config, -1)
	}
	for _, k := range nn.Keys {
		if size, ok := nn.Field(k.Value(&f.config)).(int); ok && size != 0 && !config.Uses(k.Name) {
			return config, usagef("train: --%s shapes the memory of another mixer: add --mixer %s", k.Flag, strings.Join(nn.MixersWith(k.Name), " or "))
		}
	}
	config = config.WithDefaults()
	if start != nil {
		if err := f.sameShape(start, config); err != nil {
			return start.Config, err
		}
		return start.Config, stable(start.Config)
	}
	if err := checkConfig(config, 1); err != nil { // any vocabulary will do here
		return config, err
	}
	return config, stable(config)
}

// shapeFlagNames returns the flags that set a key of a configuration.
func shapeFlagNames() (names []string) {
	for _, k := range nn.Keys {
		if k.Flag != "" {
			names = append(names, k.Flag)
		}
	}
	return names
}

// stable refuses a rate at which the tied memory with the sequential rule does not learn, or grows without limit: a step
// multiplies what it holds for a key by 1 − η.
func stable(config nn.Config) error {
	if eta, limit := config.InnerLR, config.RateLimit(); limit > 0 && config.Rule == nn.RuleSequential && !(eta > 0 && eta < limit) {
		return usagef("train: --inner-lr: got %v, want a rate above 0 and below %v, where the sequential rule is stable", eta, limit)
	}
	return nil
}

// checkConfig refuses flags that do not make a valid model with that vocabulary.
func checkConfig(config nn.Config, vocab int) error {
	config.Vocab = vocab
	if err := config.Validate(); err != nil {
		return usagef("train: %s", flagNames.Replace(err.Error()))
	}
	return nil
}

// sameShape refuses flags that contradict the weights or their configuration.
func (f *trainFlags) sameShape(start *storage.Loaded, config nn.Config) error {
	have := start.Config
	if have.Rule == config.Rule && have.Rule == nn.RuleSequential {
		config.Chunk = have.Chunk // it has no effect here and is not stored
	}
	for _, k := range nn.Keys {
		if theirs, ours := nn.Field(k.Value(&have)), nn.Field(k.Value(&config)); k.Flag != "" && f.given(k.Flag) && theirs != ours {
			return usagef("train: --%s: got %v, want %v, with which %s was made", k.Flag, ours, theirs, start.Path)
		}
	}
	return nil
}

// vocabError explains an error about the vocabulary of the data at path.
func vocabError(path string, err error) error {
	if errors.Is(err, prepare.ErrModelTokenizer) {
		return err
	}
	return fmt.Errorf("--data: %s: %w", path, err)
}

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
	"bitgpu/io/corpus"
	"bitgpu/io/dataset"
	"bitgpu/nn"
	"bitgpu/nn/op"
	"bitgpu/nn/storage"
	"bitgpu/nn/storage/peft"
	"bitgpu/nn/train"
	"bitgpu/nn/train/device"
	"bitgpu/nn/train/ranks"
)

// adaptation is what an adapter is trained on, and how.
type adaptation struct {
	*learnFlags
	model   *storage.Loaded
	config  nn.Config // with the initial adapter
	options train.AdaptOptions
	tokens  []uint32
	marks   []byte
	filled  string                           // how conversations fill rows
	restore func(train.AdapterTrainer) error // of a training that continues, else nil
	unmake  func()                           // removes the directory of out if nothing was written to it; may be nil
}

// learn runs the training on one rank.
func (f *learnFlags) learn(ctx context.Context, r *ranks.Ranks) error {
	l := adaptation{learnFlags: f}
	err := l.read(ctx, r)
	if l.unmake != nil {
		defer l.unmake()
	}
	if l.model != nil {
		defer l.model.Close()
	}
	if err := r.Agree(err); err != nil {
		return err
	}
	return l.train(ctx, r)
}

// read gets everything from the flags, the model and the texts.
func (l *adaptation) read(ctx context.Context, r *ranks.Ranks) error {
	o := l.learnFlags.options
	if r.Launched() && !l.given("shards") {
		o.Shards = train.DefaultShards
	}
	if !l.given("batch-size") {
		o.Batch = max(o.Batch, o.Shards)
	}
	if err := l.check(o); err != nil {
		return err
	}
	var err error
	if r.Leads() {
		if state := l.out + stateSuffix; !l.resume && exists(state) {
			return fmt.Errorf("--output: %s holds a training that was stopped; --resume goes on with it, without it or with another --output one begins", state)
		}
		if l.unmake, err = checkAdapterPath(l.out); err != nil {
			return err
		}
	}
	if l.badModel != nil {
		return l.badModel
	}
	if l.model, err = loadModel(l.learnFlags.model, l.loading); err != nil {
		return err
	}
	if l.reading.chat {
		l.tokens, l.marks, err = l.chatTokens(ctx, l.model)
	} else if err = refuseIdle(l.call, "it is for --chat", "template", "pack"); err == nil {
		l.tokens, err = l.textTokens(ctx, l.model)
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
	} else {
		var rows *corpus.Rows
		if o, rows, err = o.FitChats(l.tokens, l.marks, learnPasses); err != nil {
			return err
		}
		l.filled = describeRows(rows, o.Time, o.Pack)
	}
	switch {
	case l.resume:
		l.config.Adapter, o, l.restore, err = train.OpenAdaptation(l.out+stateSuffix, l.config, l.tokens, l.marks)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("--resume: there is no %s, the training that was stopped; without --resume one begins", l.out+stateSuffix)
		}
		if id := l.modelID(); err == nil && o.Model != "" && o.Model != id {
			err = fmt.Errorf("%s: got the training beside the weights %s, want those of the model, %s", l.out+stateSuffix, o.Model, id)
		}
		if err != nil {
			return flagError("resume", err)
		}
	case l.lora != "":
		old, err := peft.Load(l.lora, l.config)
		if err != nil {
			return flagError("lora", err)
		}
		if l.config.Adapter, err = peft.Join(l.config, peft.Weighted{Adapter: old, Weight: 1}); err != nil {
			return flagError("lora", err)
		}
	default:
		if l.config.Adapter, err = l.newAdapter(l.config, o.Seed); err != nil {
			return err
		}
		if err := l.addWhole(); err != nil {
			return err
		}
	}
	if l.config.Adapter.Inside != l.merge && l.restore != nil {
		return usagef("learn: --resume: the training was begun with --merge or without, want the same")
	}
	l.config.Adapter.Inside = l.merge
	o.Model = l.modelID()
	l.options = o
	if err := train.CheckGroup(r.Size(), o.Shards); err != nil {
		return usagef("learn: %w", err)
	}
	return nil
}

// modelID names the weights that are learned beside or, with --merge, from.
func (l *adaptation) modelID() string {
	if l.merge {
		return l.model.MastersID()
	}
	return l.model.ID()
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
		"weights": ranks.Weights(l.model.Weights), "adapter": ranks.Weights(&adapter), "resumed": fmt.Sprint(l.restore != nil),
	}
	return f, errors.Join(f.Add("model: ", l.model.Config), f.Add("option ", l.options))
}

// check refuses what is wrong whatever the files contain.
func (f *learnFlags) check(o train.AdaptOptions) error {
	if f.resume {
		if err := refuseIdle(f.call, "--resume goes on as the training began", begunWith...); err != nil {
			return err
		}
	}
	if f.lora != "" {
		if err := refuseIdle(f.call, "the adapter of --lora has its own", "rank", "alpha", "layers", "modules-to-save"); err != nil {
			return err
		}
	}
	if f.merge {
		if err := refuseIdle(f.call, "--merge learns from the masters on, and train --load trains them all", "lora", "modules-to-save"); err != nil {
			return err
		}
		if peft.Lone(f.out) {
			return usagef("learn: --merge: got the file %s, want a directory: what is written is a model", f.out)
		}
	}
	if f.given("steps") && f.given("minutes") {
		return usagef("learn: got both --steps and --minutes, want one")
	}
	if f.given("steps") && o.Steps < 1 {
		return usagef("learn: --steps: got %d, want 1 or more", o.Steps)
	}
	if f.given("minutes") && !(o.Minutes > 0 && o.Minutes < 1e6) {
		return usagef("learn: --minutes: got %v, want a time above 0 and below 1000000", o.Minutes)
	}
	if o.LR == 0 {
		return usagef("learn: --lr: got 0, want a number above 0: with 0 nothing is learned")
	}
	if r := f.rank; r < 1 || r > 1024 {
		return usagef("learn: --rank: got %d, want 1 to 1024", r)
	}
	if r := f.recompute; !slices.Contains([]string{train.RecomputeAuto, train.RecomputeOn, train.RecomputeOff}, r) {
		return usagef("learn: --recompute: got %q, want %s, %s or %s", r, train.RecomputeAuto, train.RecomputeOn, train.RecomputeOff)
	}
	if a := f.alpha; f.given("alpha") && !(a >= 1e-6 && a <= 1e6) {
		return usagef("learn: --alpha: got %v, want a number from 1e-06 to 1000000", a)
	}
	o.Steps = max(o.Steps, 1)
	if err := o.Validate(); err != nil {
		return usagef("learn: --%w", err)
	}
	return nil
}

// checkAdapterPath refuses at once what could not be saved at the end. unmake removes a directory that it made, unless
// something was written to it.
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

// textTokens returns the tokens of all texts, with an end-of-text token before each document if the model has one.
func (f *learnFlags) textTokens(ctx context.Context, model *storage.Loaded) ([]uint32, error) {
	tok := model.Tokenizer
	if tok == nil {
		return nil, fmt.Errorf("%s: %w", model.Path, bitgpu.ErrNoTokenizer)
	}
	docs, err := f.reading.documents(ctx, "text", f.texts)
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

// tooMuchText says what helps if the tokens of a flag's text do not fit into memory.
func tooMuchText(flag string, err error) error {
	if !errors.Is(err, dataset.ErrRoom) {
		return err
	}
	return flagError(flag, fmt.Errorf("%w, %s; want a part of the text, or the tokens that bitgpu data makes of it, for train and eval",
		err, units.Bytes(device.FreeMemory())))
}

// newAdapter makes the adapter that the flags ask for.
func (f *learnFlags) newAdapter(config nn.Config, seed uint64) (*nn.Adapter, error) {
	wanted := strings.Split(f.layers, ",")
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
	a := train.NewAdapter(config, f.rank, f.alpha, choose, seed)
	for _, w := range wanted {
		if !used[w] {
			return nil, fmt.Errorf("--layers: got %q, want names of this model's matrices: %s", w, peft.Modules(config))
		}
	}
	return a, nil
}

// addWhole adds the norms and tables of --modules-to-save to the adapter.
func (l *adaptation) addWhole() error {
	if !l.given("modules-to-save") {
		return nil
	}
	c := l.config
	wanted, used := strings.Split(l.whole, ","), map[string]bool{}
	choose := func(param string) (chosen bool) {
		for _, w := range wanted {
			if peft.IsModule(c, param, w) || w == allNorms && strings.Contains(param, "norm") {
				used[w], chosen = true, true
			}
		}
		return chosen
	}
	train.AddWhole(c.Adapter, c, l.model.Weights, choose)
	for _, w := range wanted {
		if !used[w] {
			return fmt.Errorf("--modules-to-save: got %q, want %s or names of this model's norms and tables: %s", w, allNorms, strings.Join(peft.Trainable(c), ", "))
		}
	}
	return nil
}

// allNorms chooses all norms that training can change.
const allNorms = "norms"

package main

import (
	"context"
	"fmt"
	"time"

	"bitgpu/internal/version"
	"bitgpu/io/tensorboard"
	"bitgpu/nn"
	"bitgpu/nn/storage"
	"bitgpu/nn/train"
	"bitgpu/nn/train/device"
	"bitgpu/nn/train/prepare"
	"bitgpu/nn/train/ranks"
)

// preparation is what a training starts with.
type preparation struct {
	*trainFlags
	chooser
	ranks   *ranks.Ranks
	resumed *train.Checkpoint // nil for a new training
	options train.Options
	start   *storage.Loaded // nil if weights are to be drawn
	config  nn.Config
	data    *prepare.Data
}

// prepareRun assembles everything that a run needs.
func (f *trainFlags) prepareRun(ctx context.Context, ch chooser, r *ranks.Ranks) (*train.Run, *device.Device, error) {
	p := preparation{trainFlags: f, chooser: ch, ranks: r}
	err := r.InTurn(func() error { return p.read(ctx) })
	if p.start != nil {
		defer p.start.Close()
	}
	if err != nil {
		return nil, nil, err
	}
	backend, err := openDevice(f.computing)
	if err := r.Agree(err); err != nil {
		return nil, nil, err
	}
	r.Share(backend)
	backend.ShardOptimizer = f.shardOptimizer
	run, err := p.newRun(backend)
	if err != nil {
		backend.Close()
	}
	return run, backend, err
}

// newRun chooses what is still open, and makes the trainer in its initial or saved state.
func (p *preparation) newRun(backend *device.Device) (*train.Run, error) {
	r := p.ranks
	each, err := p.choose(backend)
	if err := r.Agree(err); err != nil {
		return nil, err
	}
	shape, err := backend.Plan(p.config, p.options)
	if err := r.Agree(withAdvice(err, trainingFlags)); err != nil {
		return nil, err
	}
	trainer, err := prepare.Beginning{
		Config: p.config, Options: p.options, Shape: shape, Data: p.data, Model: p.start, Resumed: p.resumed, Version: version.Line(),
	}.Trainer(backend, r)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*train.Run, error) {
		trainer.Release()
		return nil, err
	}
	filled, err := describeData(p.data.Train, p.options)
	if err != nil {
		return fail(flagError("data", err))
	}
	announce(p.log, trainer, backend, p.resumed, r)
	if r.Leads() && p.resumed == nil {
		fmt.Fprint(p.log, filled)
	}
	report := newProgress(p.log, p.options)
	run := &train.Run{
		Trainer: trainer, Options: p.options, Dir: p.dir, Like: train.Like{Tokenizer: p.data.Tokenizer}, Train: p.data.Train, Val: p.data.Val,
		Resumed: p.resumed, Report: report,
	}
	if p.start != nil {
		run.Public = p.start.Public
	}
	if !r.Leads() {
		return run, nil
	}
	if p.tensorboard != "" {
		if report.board, err = tensorboard.Create(p.tensorboard); err != nil {
			return fail(flagError("tensorboard", err))
		}
	}
	report.goOn(run)
	if p.data.Tokenizer != nil && p.options.SampleEvery > 0 {
		if run.Sample, err = newSampler(backend, run, report); err != nil {
			return fail(err)
		}
	}
	if p.resumed == nil {
		p.showChoice(p.log, run, each)
	}
	return run, nil
}

// read gets everything from the flags, the checkpoint and the data.
func (p *preparation) read(ctx context.Context) (err error) {
	if p.resumed, err = p.findCheckpoint(); err != nil {
		return err
	}
	if p.options, err = p.rankOptions(p.resumed, p.ranks); err != nil {
		return err
	}
	if p.start, err = p.openStart(p.resumed); err != nil {
		return err
	}
	if p.config, err = p.runConfig(p.start, p.chooser); err != nil {
		return err
	}
	if p.data, err = p.openData(ctx, p.options.Data, p.start, p.resumed, p.chooser, p.ranks.Leads()); err != nil {
		return err
	}
	if err := prepare.SetVocab(&p.config, p.start, p.data); err != nil {
		return vocabError(p.options.Data, err)
	}
	return interrupted(ctx)
}

// choose sets what the flags leave open for a new training. If there are several processes, it does not measure.
func (p *preparation) choose(backend *device.Device) (each time.Duration, err error) {
	o, c := &p.options, p.call
	if p.resumed == nil {
		if p.config, *o, each, err = p.fit(p.chooser, backend, p.config, *o, int64(p.data.Train.Len()/max(p.data.Copies, 1)), p.start, p.ranks.Size() == 1); err != nil {
			return 0, err
		}
		if err := checkOptions(*o); err != nil {
			return 0, err
		}
	}
	if err := setValidation(c, o, p.data, p.resumed); err != nil {
		return 0, err
	}
	if o.Patience > 0 && o.ValEvery == 0 {
		return 0, usagef("train: --patience waits for validations, and there are none")
	}
	if o.Warmup >= o.Steps {
		fmt.Fprintf(c.log, "warning: --warmup-steps %d is not below --steps %d: the learning rate rises to the end and never falls\n",
			o.Warmup, o.Steps)
	}
	if p.resumed == nil && !c.given("sample-every") {
		o.SampleEvery = o.ValEvery
	}
	return each, nil
}

// findCheckpoint returns what --resume continues from, nil for a new run.
func (f *trainFlags) findCheckpoint() (*train.Checkpoint, error) {
	if !f.resume {
		there, err := train.Checkpoints(f.dir)
		if err == nil && len(there) > 0 {
			err = fmt.Errorf("%s: holds checkpoints of an earlier training; --resume goes on with it, another --output-dir begins anew", f.dir)
		}
		return nil, err
	}
	if f.given("load") {
		return nil, usagef("train: --resume goes on from a checkpoint and --load begins with other weights: one of the two, please")
	}
	passed := 0
	ck, err := train.Newest(f.dir, func(err error) {
		passed++
		fmt.Fprintf(f.log, "warning: %v\n", err)
	})
	switch {
	case err != nil:
		return nil, err
	case ck == nil && f.given("data"):
		fmt.Fprintf(f.log, "%s: no checkpoint yet, the training begins\n", f.dir)
	case passed > 0:
		fmt.Fprintf(f.log, "going on from %s instead\n", ck.Path)
	}
	return ck, nil
}

// setValidation makes a new training validate whenever it saves, if it can and no flag says otherwise, so that the best
// checkpoint is the best on text that it was not trained on.
func setValidation(c *call, o *train.Options, data *prepare.Data, resumed *train.Checkpoint) error {
	if resumed == nil && !c.given("val-every") && data.Val != nil {
		o.ValEvery = o.SaveInterval
	}
	switch {
	case o.ValEvery == 0 || data.Val != nil:
		return nil
	case c.given("val-every"):
		return usagef("train: --val-every: %s has no validation tokens", o.Data)
	}
	return fmt.Errorf("--data: %s has no validation tokens, with which %s was measured; --val-every 0 goes on without", o.Data, resumed.Path)
}

// openStart reads the weights that a run starts from, nil if they are to be drawn.
func (f *trainFlags) openStart(resumed *train.Checkpoint) (*storage.Loaded, error) {
	switch {
	case resumed != nil:
		return resumed.Weights()
	case f.load != "":
		loaded, err := storage.Load(f.load, f.loading)
		if err != nil {
			return nil, err
		}
		if err := train.CheckWeights(f.load, loaded.Config, loaded.Weights); err != nil {
			loaded.Close()
			return nil, flagError("load", err)
		}
		return loaded, nil
	}
	return nil, refuseIdle(f.call, "it is for --load", "masters")
}

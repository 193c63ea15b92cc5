package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bitgpu/internal/version"
	"bitgpu/io/tensorboard"
	"bitgpu/nn"
	"bitgpu/nn/op"
	"bitgpu/nn/storage"
	"bitgpu/nn/train"
	"bitgpu/nn/train/device"
	"bitgpu/nn/train/ranks"

	"github.com/urfave/cli/v2"
)

// preparation is what a training begins with.
type preparation struct {
	resumed *train.Checkpoint // nil of a new one
	options train.Options
	start   *storage.Loaded // nil where weights are to be drawn
	config  nn.Config
	data    *trainingData
}

// prepareRun brings everything together that a run needs.
func prepareRun(ctx context.Context, c *cli.Context, dir string, ch chooser, r *ranks.Ranks) (*train.Run, *device.Device, error) {
	var p preparation
	err := r.InTurn(func() error { return p.read(ctx, c, dir, ch, r) })
	if p.start != nil {
		defer p.start.Close()
	}
	if err != nil {
		return nil, nil, err
	}
	backend, err := openDevice(c)
	if err := r.Agree(err); err != nil {
		return nil, nil, err
	}
	r.Share(backend)
	backend.ShardOptimizer = c.Bool("shard-optimizer")
	run, err := newRun(c, backend, dir, &p, ch, r)
	if err != nil {
		backend.Close()
	}
	return run, backend, err
}

// newRun chooses what is still open, and makes the engine as the run begins or was left.
func newRun(c *cli.Context, backend *device.Device, dir string, p *preparation, ch chooser, r *ranks.Ranks) (*train.Run, error) {
	each, err := p.choose(c, backend, ch, r.Size() == 1)
	if err := r.Agree(err); err != nil {
		return nil, err
	}
	engine, err := startEngine(backend, p, r)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*train.Run, error) {
		engine.Release()
		return nil, err
	}
	filled, err := describeData(p.data.train, p.options)
	if err != nil {
		return fail(flagError("data", err))
	}
	announce(c.App.ErrWriter, engine, backend, p.resumed, r)
	if r.Leads() && p.resumed == nil {
		fmt.Fprint(c.App.ErrWriter, filled)
	}
	report := newProgress(c.App.ErrWriter, p.options)
	run := &train.Run{
		Trainer: engine, Options: p.options, Dir: dir, Like: train.Like{Tokenizer: p.data.tokenizer}, Train: p.data.train, Val: p.data.val,
		Resumed: p.resumed, Report: report,
	}
	if p.start != nil {
		run.Public = p.start.Public
	}
	if !r.Leads() {
		return run, nil
	}
	if c.IsSet("tensorboard") {
		if report.board, err = tensorboard.Create(c.String("tensorboard")); err != nil {
			return fail(flagError("tensorboard", err))
		}
	}
	report.goOn(run)
	if p.data.tokenizer != nil && p.options.SampleEvery > 0 {
		if run.Sample, err = newSampler(backend, run, report); err != nil {
			return fail(err)
		}
	}
	if p.resumed == nil {
		ch.showChoice(c.App.ErrWriter, run, each)
	}
	return run, nil
}

// read takes all of it from the flags, the checkpoint and the data.
func (p *preparation) read(ctx context.Context, c *cli.Context, dir string, ch chooser, r *ranks.Ranks) (err error) {
	if p.resumed, err = findCheckpoint(c, dir); err != nil {
		return err
	}
	if p.options, err = rankOptions(c, p.resumed, r); err != nil {
		return err
	}
	if p.start, err = openStart(c, p.resumed); err != nil {
		return err
	}
	if p.config, err = runConfig(c, p.start, ch); err != nil {
		return err
	}
	if p.data, err = openData(ctx, c, p.options.Data, dir, p.start, p.resumed, ch, r.Leads()); err != nil {
		return err
	}
	if err := setVocab(&p.config, p.start, p.data, p.options.Data); err != nil {
		return err
	}
	return interrupted(ctx)
}

// choose sets what the flags leave open of a new training. Where this process is not alone, nothing is measured for it.
func (p *preparation) choose(c *cli.Context, backend *device.Device, ch chooser, alone bool) (each time.Duration, err error) {
	o := &p.options
	if p.resumed == nil {
		if p.config, *o, each, err = ch.fit(c, backend, p.config, *o, int64(p.data.train.Len()), p.start, alone); err != nil {
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
		fmt.Fprintf(c.App.ErrWriter, "warning: --warmup-steps %d is not below --steps %d: the learning rate rises to the end and never falls\n",
			o.Warmup, o.Steps)
	}
	if p.resumed == nil && !c.IsSet("sample-every") {
		o.SampleEvery = o.ValEvery
	}
	return each, nil
}

// findCheckpoint finds what --resume goes on from, nil for a new run.
func findCheckpoint(c *cli.Context, dir string) (*train.Checkpoint, error) {
	if !c.Bool("resume") {
		there, err := train.Checkpoints(dir)
		if err == nil && len(there) > 0 {
			err = fmt.Errorf("%s: holds checkpoints of an earlier training; --resume goes on with it, another --output-dir begins anew", dir)
		}
		return nil, err
	}
	if c.IsSet("load") {
		return nil, usagef("train: --resume goes on from a checkpoint and --load begins with other weights: one of the two, please")
	}
	passed := 0
	ck, err := train.Newest(dir, func(err error) {
		passed++
		fmt.Fprintf(c.App.ErrWriter, "warning: %v\n", err)
	})
	switch {
	case err != nil:
		return nil, err
	case ck == nil && c.IsSet("data"):
		fmt.Fprintf(c.App.ErrWriter, "%s: no checkpoint yet, the training begins\n", dir)
	case passed > 0:
		fmt.Fprintf(c.App.ErrWriter, "going on from %s instead\n", ck.Path)
	}
	return ck, nil
}

// setValidation has a new training validate whenever it saves, where it can and no flag says
// otherwise: so the best checkpoint is the best on text that it was not trained on.
func setValidation(c *cli.Context, o *train.Options, data *trainingData, resumed *train.Checkpoint) error {
	if resumed == nil && !c.IsSet("val-every") && data.val != nil {
		o.ValEvery = o.SaveInterval
	}
	switch {
	case o.ValEvery == 0 || data.val != nil:
		return nil
	case c.IsSet("val-every"):
		return usagef("train: --val-every: %s has no validation tokens", o.Data)
	}
	return fmt.Errorf("--data: %s has no validation tokens, with which %s was measured; --val-every 0 goes on without", o.Data, resumed.Path)
}

// openStart reads the weights that a run begins with, nil when they are to be drawn.
func openStart(c *cli.Context, resumed *train.Checkpoint) (*storage.Loaded, error) {
	switch {
	case resumed != nil:
		return resumed.Weights()
	case c.IsSet("load"):
		o, err := publicOptions(c)
		if err != nil {
			return nil, err
		}
		o.Masters = true
		return storage.Load(c.String("load"), o)
	}
	return nil, refuseIdle(c, "it is for --load", "masters")
}

// startEngine makes an engine as the run left it, or as it begins, on all ranks or on none.
func startEngine(b *device.Device, p *preparation, r *ranks.Ranks) (train.Trainer, error) {
	c, o := p.config, p.options
	shape, err := b.Plan(c, o)
	if err := r.Agree(withAdvice(err, trainingFlags)); err != nil {
		return nil, err
	}
	var weights *nn.Weights[op.HostTensor]
	if p.start != nil {
		weights = train.FloatWeights(c, p.start.Weights)
	} else {
		weights = train.InitialWeights(c, o.Seed)
	}
	if r.Size() > 1 {
		facts, err := p.facts(c, b.Kind, weights)
		if err := r.Agree(err); err != nil {
			return nil, err
		}
		if err := r.Same(facts); err != nil {
			return nil, err
		}
	}
	if o.Shards > 0 {
		b.Untune() // on another day, or on another machine, another kernel may be the fastest
	}
	engine, err := b.NewTrainer(c, o, shape, weights)
	if err == nil && p.resumed != nil {
		err = p.resumed.RestoreMoments(engine)
	}
	return engine, r.Agree(err)
}

// facts are what must be the same on all ranks.
func (p *preparation) facts(c nn.Config, device string, w *nn.Weights[op.HostTensor]) (ranks.Facts, error) {
	data, err := p.data.train.Fingerprint()
	if err != nil {
		return nil, err
	}
	program, err := ranks.Program(version.Line())
	if err != nil {
		return nil, err
	}
	from := "none"
	if p.resumed != nil {
		from = fmt.Sprint("step ", p.resumed.State.Step)
	}
	f := ranks.Facts{"program": program, "training tokens": data.String(), "checkpoint": from, "weights": ranks.Weights(w), "device": device}
	options := p.options
	options.Data = "" // may lie elsewhere on another host
	return f, errors.Join(f.Add("model: ", c), f.Add("option ", options))
}

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"bitgpu/demo"
	"bitgpu/internal/units"
	"bitgpu/nn"
	"bitgpu/nn/storage"
	"bitgpu/nn/storage/peft"
	"bitgpu/nn/train"
	"bitgpu/nn/train/device"
	"bitgpu/nn/train/ranks"
)

// train trains, and saves what was learned, even when stopped.
func (l *adaptation) train(ctx context.Context, r *ranks.Ranks) error {
	backend, engine, err := l.start(r)
	if backend != nil {
		defer backend.Close()
	}
	if engine != nil {
		defer engine.Release()
	}
	if err := r.Agree(err); err != nil {
		return err
	}
	w := l.log
	shape := engine.Shape()
	fmt.Fprintf(w, "%d tokens; %d numbers to learn beside %d weights; %s; %s of memory\n", len(l.tokens), adapterCount(l.config), l.config.ParamCount(),
		withNote(backend.Name, backend.Note), units.Bytes(backend.Bytes(l.config, shape)))
	if l.filled != "" && l.restore == nil {
		fmt.Fprintln(w, l.filled)
	}
	io.WriteString(w, r.Describe(shape))
	p := &learnProgress{out: w, line: newStatusLine(w)}
	a := &train.Adaptation{Trainer: engine, Options: l.options, Tokens: l.tokens, Marks: l.marks, Progress: p.step, Saves: learnSaves}
	a.Save = func() error { return a.SaveAdaptation(l.out + stateSuffix) }
	a.Weights = func() error {
		return train.CheckWeights(cmp.Or(l.model.Path, demo.Name), l.model.Config, l.model.Weights)
	}
	err = a.Do(ctx)
	p.close()
	if err != nil {
		return err
	}
	finished := a.Options.Steps > 0 && engine.Updates() >= a.Options.Steps
	if r.Leads() {
		if err := l.save(a, finished); err != nil {
			return err
		}
	}
	if !finished {
		return errInterrupted
	}
	return nil
}

// start makes a trainer for the adapter, in its initial or saved state.
func (l *adaptation) start(r *ranks.Ranks) (*device.Device, train.AdapterTrainer, error) {
	backend, err := openAdapterDevice(l.computing)
	if err := r.Agree(err); err != nil {
		return backend, nil, err
	}
	r.Share(backend)
	shape := l.options.Shape()
	shape.Group = r.Group
	recompute := l.recompute
	shape.Recompute = recompute == train.RecomputeOn || recompute == train.RecomputeAuto && backend.Bytes(l.config, shape) > backend.Room
	if need := backend.Bytes(l.config, shape); need > backend.Room {
		return backend, nil, withAdvice(&device.RoomError{What: "this training", Need: need, Free: backend.Room, Batch: true}, "--batch-size or --context")
	}
	if r.Size() > 1 {
		facts, err := l.facts(backend.Kind)
		if err := r.Agree(err); err != nil {
			return backend, nil, err
		}
		if err := r.Same(facts); err != nil {
			return backend, nil, err
		}
	}
	if shape.Shards > 0 {
		backend.Untune()
	}
	made, err := backend.Learner(l.config, shape, nn.Spend(l.model.Weights))
	if err != nil {
		return backend, nil, err
	}
	engine := made.(train.AdapterTrainer)
	if l.restore != nil {
		err = l.restore(engine)
	}
	return backend, engine, err
}

// save writes the adapter and, if the training is unfinished, the state to continue from.
func (l *adaptation) save(a *train.Adaptation, finished bool) error {
	w := l.log
	adapter, err := a.Trainer.Adapter()
	if err != nil {
		return err
	}
	if !finished {
		if err := a.Save(); err != nil {
			return err
		}
	}
	base := l.model.Path
	if base == "" {
		base = demo.Name
	}
	if err := l.write(adapter, base); err != nil {
		if !finished || a.Save() != nil {
			return err
		}
		return fmt.Errorf("%w; what was learned is in %s, and with room for the rest this line writes it: %s", err, l.out+stateSuffix, l.again)
	}
	fmt.Fprintf(w, "saved %s\n", l.out)
	if !finished {
		fmt.Fprintf(w, "stopped after %d steps\nto go on: %s\n", a.Trainer.Updates(), l.again)
		return nil
	}
	if err := os.Remove(l.out + stateSuffix); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// write writes the adapter, or the model that it is merged into.
func (l *adaptation) write(adapter *nn.Adapter, base string) error {
	if !adapter.Inside {
		return peft.Save(l.out, l.config, adapter, base)
	}
	plain := l.model.Config
	if l.model.Public != nil { // it was loaded with room for a row alone
		whole := *plain.Decoder
		whole.Context = l.model.Public.Trained
		plain.Decoder = &whole
	}
	like := train.Like{Tokenizer: l.model.TokenizerJSON, Public: l.model.Public}
	return like.Save(l.out+"/", plain, adapter.Merged(plain, train.FloatWeights(plain, l.model.Weights)), storage.Layout{})
}

// adapterCount returns how many numbers an adapter has.
func adapterCount(c nn.Config) (n int) {
	for _, w := range c.Adapter.Weights {
		n += len(w.F32)
	}
	return n
}

// learnProgress shows the progress of learning.
type learnProgress struct {
	out   io.Writer
	line  *statusLine
	next  time.Time
	last  string
	loss  float64 // mean of the last steps, for display
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
		p.last = p.line.withBar(done, max(steps, done), text)
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

// goOnLearning says how to continue a training that wrote to out, if possible.
func goOnLearning(out string) string {
	state := out + stateSuffix
	if !exists(state) {
		return ""
	}
	return fmt.Sprintf("to go on from %s: the same line with --resume, without other choices\n", state)
}

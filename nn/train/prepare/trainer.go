package prepare

import (
	"errors"
	"fmt"
	"runtime"

	"bitgpu/nn"
	"bitgpu/nn/op"
	"bitgpu/nn/storage"
	"bitgpu/nn/train"
	"bitgpu/nn/train/device"
	"bitgpu/nn/train/ranks"
)

// Beginning is what a trainer is made from.
type Beginning struct {
	Config  nn.Config
	Options train.Options
	Shape   train.Shape       // from device.Device.Plan with Options
	Data    *Data             // compared over ranks
	Model   *storage.Loaded   // the initial weights; nil to draw them with the seed in Options
	Resumed *train.Checkpoint // the checkpoint that Model was read from, whose moments and step number are restored; nil for a new training
	Version string            // of the program, compared over ranks
}

// Trainer makes a trainer on a device, in the state of the checkpoint if there is one. All ranks must call it together with
// equal beginnings; r may be nil for a single process. Errors: differences between ranks, too little memory, or an unreadable
// checkpoint; on ranks other than 0 they are [ranks.ErrElsewhere].
func (b Beginning) Trainer(d *device.Device, r *ranks.Ranks) (train.Trainer, error) {
	if r == nil {
		r = ranks.Alone()
	}
	var weights *nn.Weights[op.HostTensor]
	if b.Model != nil {
		weights = train.FloatWeights(b.Config, b.Model.Weights)
	} else {
		weights = train.InitialWeights(b.Config, b.Options.Seed)
	}
	if r.Size() > 1 {
		facts, err := b.facts(d.Kind, weights)
		if err := r.Agree(err); err != nil {
			return nil, err
		}
		if err := r.Same(facts); err != nil {
			return nil, err
		}
	}
	if b.Options.Shards > 0 {
		d.Untune() // another day or machine might choose another kernel
	}
	trainer, err := d.NewTrainer(b.Config, b.Options, b.Shape, weights)
	made := err == nil
	runtime.GC() // the first checkpoint is copied to where they were
	if made && b.Resumed != nil {
		err = b.Resumed.RestoreMoments(trainer)
	}
	if err := r.Agree(err); err != nil {
		if made {
			trainer.Release()
		}
		return nil, err
	}
	return trainer, nil
}

// facts are what must be the same on all ranks.
func (b Beginning) facts(device string, w *nn.Weights[op.HostTensor]) (ranks.Facts, error) {
	data, err := b.Data.Train.Fingerprint()
	if err != nil {
		return nil, err
	}
	program, err := ranks.Program(b.Version)
	if err != nil {
		return nil, err
	}
	from := "none"
	if b.Resumed != nil {
		from = fmt.Sprint("step ", b.Resumed.State.Step)
	}
	f := ranks.Facts{"program": program, "training tokens": data.String(), "checkpoint": from, "weights": ranks.Weights(w), "device": device}
	options := b.Options
	options.Data = "" // the path may differ on another host
	return f, errors.Join(f.Add("model: ", b.Config), f.Add("option ", options))
}

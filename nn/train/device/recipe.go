package device

import (
	"math"
	"time"

	"bitgpu/nn"
	"bitgpu/nn/op"
	"bitgpu/nn/train"
)

// Recipe chooses what a new training's caller leaves open.
type Recipe struct {
	Auto   bool                              // the text chooses what Given leaves open
	Bytes  int64                             // of text, about
	Tokens int64                             // for training
	Start  *nn.Weights[op.HostTensor]        // what the training goes on with, nil for new weights
	Within time.Duration                     // how long it may take, 0 for any time
	Given  func(name string) bool            // whether an option is set, by its flag's name
	Model  func(rung int) (nn.Config, error) // the model of a rung of train.ChooseModel, with what is set; rung −1 for the text's
}

// Fit chooses the model and the options of a training on a device, and measures how long a step takes: 0 for not measured, where
// nothing asks for it. With a time it takes the largest model that the time is at least half enough for, and as many steps as it
// holds.
func (r Recipe) Fit(d *Device, config nn.Config, plain train.Options) (c nn.Config, o train.Options, each time.Duration, err error) {
	o = plain
	choose := func(rung int) error {
		if r.Start == nil && r.Auto {
			if config, err = r.Model(rung); err != nil {
				return err
			}
		}
		if r.Auto {
			o = plain.Choose(config, r.Tokens, r.Start != nil, r.Given)
		} else if r.Within > 0 {
			o.Steps = math.MaxInt32
		}
		return nil
	}
	if err := choose(-1); err != nil || d == nil || !r.Auto && r.Within == 0 {
		return config, o, 0, err
	}
	each, err = d.StepTime(config, o, r.Start)
	if err != nil || r.Within == 0 {
		return config, o, each, err
	}
	work := func() float64 {
		sum := 0.0
		for _, x := range MatrixWork(config, o.Shape()) {
			sum += x
		}
		return sum
	}
	speed := work() / each.Seconds()
	for rung := train.Rung(r.Bytes); r.Auto && r.Start == nil && rung > 0 && float64(o.Steps)*work()/speed > 2*r.Within.Seconds(); {
		rung--
		if err := choose(rung); err != nil {
			return config, o, 0, err
		}
		if rung == 0 || float64(o.Steps)*work()/speed <= 2*r.Within.Seconds() {
			if each, err = d.StepTime(config, o, r.Start); err != nil {
				return config, o, 0, err
			}
		}
	}
	given := r.Given
	if !r.Auto {
		given = func(string) bool { return true }
	}
	return config, o.Within(r.Within.Seconds(), each.Seconds(), given), each, nil
}

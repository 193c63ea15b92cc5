package device

import (
	"math"
	"time"

	"bitgpu/nn"
	"bitgpu/nn/op"
	"bitgpu/nn/train"
)

// Recipe chooses what the caller of a new training leaves open.
type Recipe struct {
	Auto   bool                              // choose by the text what Given leaves open
	Bytes  int64                             // size of the text, roughly
	Tokens int64                             // for training
	Start  *nn.Weights[op.HostTensor]        // weights to continue from, nil for new ones
	Within time.Duration                     // how long it may take, 0 for any time
	Given  func(name string) bool            // reports whether an option is set, by its flag's name
	Model  func(rung int) (nn.Config, error) // returns the model of a rung of train.ChooseModel, with the fields that are set; rung −1 chooses by the text
}

// Fit chooses the model and the options of a training on a device, and measures the time of a step if that is needed,
// otherwise each is 0. With a time limit it takes the largest model that gets at least half of the steps it should have, and
// as many steps as fit.
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

package train

import (
	"errors"
	"fmt"
	"math"

	"bitgpu/nn"
	"bitgpu/nn/op"
)

// largestWeight is far above what a training that goes well reaches. A float32 still holds a sum of
// a million squares of it; beyond, all that is computed from weights ends in infinities.
const largestWeight = 1e16

// sound refuses numbers that no training can go on from.
func sound(c nn.Config, part Part, w *nn.Weights[op.HostTensor]) (err error) {
	of := [...]string{Masters: "", FirstMoments: "first moment of ", SecondMoments: "second moment of "}[part]
	most, want := float32(math.MaxFloat32), "finite numbers"
	if part == Masters {
		most, want = largestWeight, fmt.Sprintf("numbers up to %g", largestWeight)
	}
	nn.Walk(c, w, func(p nn.Param, h *op.HostTensor) {
		if err == nil {
			if what, i, x := beyond(h, most); i >= 0 {
				err = fmt.Errorf("%s%s: %s %d is %v, want %s", of, p.Names[0], what, i, x, want)
			}
		}
	})
	return err
}

// beyond finds the first number of a tensor that is none or too large, i = -1 where all are well. Of formats of few bits these are
// the scales; a float16 is never too large.
func beyond(h *op.HostTensor, most float32) (what string, i int, x float32) {
	fine := func(x float32) bool { return x >= -most && x <= most }
	for i, x := range h.F32 {
		if !fine(x) {
			return "element", i, x
		}
	}
	for i, x := range h.Scales {
		if !fine(x) {
			return "scale", i, x
		}
	}
	if h.Format == op.BF16 {
		for i, bits := range h.F16 {
			if x := math.Float32frombits(uint32(bits) << 16); !fine(x) {
				return "element", i, x
			}
		}
	}
	return "", -1, 0
}

// CheckWeights refuses the weights of the model at path where all that is computed from them would end in infinities.
func CheckWeights(path string, c nn.Config, w *nn.Weights[op.HostTensor]) error {
	c.Adapter = nil
	if err := sound(c, Masters, w); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// unsound is the end of a training whose weights are not sound.
func unsound(c nn.Config, err error) error {
	return diverged{fmt.Errorf("not written, the training has failed: %w; %s", err, advice(c))}
}

// diverged is an error of numbers that have run away.
type diverged struct{ error }

func (d diverged) Unwrap() error { return d.error }

// Diverged says whether a training ended because its numbers ran away, which its losses show.
func Diverged(err error) bool {
	var bad notFinite
	var away diverged
	return errors.As(err, &bad) || errors.As(err, &away)
}

// smallerRate helps where steps have made numbers run away; before the first one the weights are the cause.
const (
	smallerRate  = "try a smaller learning rate"
	givenWeights = "nothing has been learned yet: it is the weights that the training begins with that give it"
)

// advice is what helps most often when numbers have run away.
func advice(c nn.Config) string {
	if c.Adapter != nil { // the rest of the model is as it is
		if !c.Delta() && c.Decoder == nil && c.InnerLR >= 2 {
			return fmt.Sprintf("the model's own memory runs away with inner_lr %g", c.InnerLR)
		}
		return smallerRate
	}
	if c.TrainingScan().Minibatch {
		return "try --ttt-rule sequential"
	}
	if !c.Delta() && c.InnerLR >= 2 {
		return "try an --inner-lr below 2"
	}
	return smallerRate
}

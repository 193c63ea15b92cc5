package train

import (
	"errors"
	"fmt"
	"math"

	"bitgpu/nn"
	"bitgpu/nn/op"
)

// largestWeight is far above what a healthy training reaches. A float32 can still hold the sum of a million squares of it;
// with larger weights everything ends in infinities.
const largestWeight = 1e16

// sound refuses numbers that no training can continue from.
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

// beyond finds the first number of a tensor that is NaN, infinite or too large; i is -1 if there is none. For formats of few
// bits it checks the scales; a float16 is never too large.
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

// CheckWeights refuses the weights of the model at path if everything computed from them would end in infinities.
func CheckWeights(path string, c nn.Config, w *nn.Weights[op.HostTensor]) error {
	c.Adapter = nil
	if err := sound(c, Masters, w); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// unsound is the error that ends a training with unsound weights.
func unsound(c nn.Config, err error) error {
	return diverged{fmt.Errorf("not written, the training has failed: %w; %s", err, advice(c))}
}

// diverged is the error of numbers that have diverged.
type diverged struct{ error }

func (d diverged) Unwrap() error { return d.error }

// Diverged reports whether a training ended because its numbers diverged, which its losses show.
func Diverged(err error) bool {
	var bad notFinite
	var away diverged
	return errors.As(err, &bad) || errors.As(err, &away)
}

// A smaller rate helps if steps have made numbers diverge; before the first step the weights are the cause.
const (
	smallerRate  = "try a smaller learning rate"
	givenWeights = "nothing has been learned yet: it is the weights that the training begins with that give it"
)

// advice returns what usually helps when numbers have diverged.
func advice(c nn.Config) string {
	limit := c.RateLimit()
	tooFast := limit > 0 && c.InnerLR >= limit
	if c.Adapter != nil { // the rest of the model does not change
		if tooFast {
			return fmt.Sprintf("the model's own memory runs away with inner_lr %g", c.InnerLR)
		}
		return smallerRate
	}
	if c.TrainingScan().Minibatch {
		return "try --ttt-rule sequential"
	}
	if tooFast {
		return fmt.Sprintf("try an --inner-lr below %g", limit)
	}
	return smallerRate
}

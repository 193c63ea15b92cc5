package train

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"bitgpu/io/corpus"
	"bitgpu/nn"
)

// AdaptOptions are the numbers of an adapter's training, as its state stores them.
type AdaptOptions struct {
	Batch   int     `json:"batch_size"`
	Time    int     `json:"context"`
	Steps   int     `json:"steps"`             // in total; 0: as many as Minutes allow, once some have been timed
	Minutes float64 `json:"minutes,omitempty"` // see Steps
	LR      float64 `json:"lr"`                // peak learning rate
	Seed    uint64  `json:"seed"`
	Shards  int     `json:"shards,omitempty"` // see Shape; 0 = a step is computed as a whole, on one rank only
	Pack    bool    `json:"pack,omitempty"`   // conversations share rows, see corpus.Rows.Pack
	Model   string  `json:"model,omitempty"`  // names the weights that stay as they are; missing in older states
}

// adaptWarmup is the length of the warm-up in steps. It does not depend on Steps, so that the warm-up can be timed for
// --minutes.
const adaptWarmup = 10

// timedSteps is how many steps of the warm-up are timed. The first one is excluded, because it allocates memory.
const timedSteps = 4

// Validate returns nil, or an error that says in one sentence what is wrong.
func (o AdaptOptions) Validate() error {
	switch {
	case o.Batch < 1 || o.Batch > largest:
		return fmt.Errorf("batch-size: got %d, want 1 to %d", o.Batch, largest)
	case o.Time < 1 || o.Time > largest:
		return fmt.Errorf("context: got %d tokens, want 1 to %d", o.Time, largest)
	case o.Steps < 0 || o.Steps == 0 && !(o.Minutes > 0 && o.Minutes < 1e6):
		return fmt.Errorf("steps: got %d in %v minutes, want 1 step or more, or a time", o.Steps, o.Minutes)
	case !(o.LR >= 0 && o.LR < 1e3):
		return fmt.Errorf("lr: got %v, want a number from 0 to below 1000", o.LR)
	}
	return checkShards(o.Shards, o.Batch)
}

// Shape returns what the learner needs to know.
func (o AdaptOptions) Shape() Shape {
	return Shape{Batch: o.Batch, Time: o.Time, Accumulate: 1, Clip: 1, Packed: o.Pack, Shards: o.Shards}
}

// Fit limits the rows to a text of `tokens` tokens: no row is longer than the text, and no more rows are read at once than
// the text fills. Every shard has at least one row.
func (o AdaptOptions) Fit(tokens int) AdaptOptions {
	o.Time = max(min(o.Time, (tokens-1)/max(o.Shards, 1)), 1)
	o.Batch = min(o.Batch, max((tokens-1)/o.Time, 1))
	return o.wholeShards()
}

// wholeShards rounds the rows of a step down to a multiple of the shards.
func (o AdaptOptions) wholeShards() AdaptOptions {
	if o.Shards > 0 {
		o.Batch = max(o.Batch/o.Shards, 1) * o.Shards
	}
	return o
}

// FitRows limits the rows of a step to the given number of rows.
func (o AdaptOptions) FitRows(rows int) AdaptOptions {
	o.Batch = min(o.Batch, rows)
	return o.wholeShards()
}

// FitChats limits the rows to conversations with marks, as for corpus.Rows: no row is longer than the longest conversation
// or, if conversations share rows, than all of them together. Without a number of steps or a time, the steps are those that
// read everything passes times. It also returns the rows.
func (o AdaptOptions) FitChats(ids []uint32, marks []byte, passes float64) (AdaptOptions, *corpus.Rows, error) {
	rows, err := corpus.NewRows(corpus.IDs(ids), marks, o.Time)
	if err != nil {
		return o, nil, err
	}
	if o.Pack {
		o.Time = min(o.Time, rows.Inputs())
	} else {
		o.Time = min(o.Time, rows.Longest())
	}
	if rows, err = corpus.NewRows(corpus.IDs(ids), marks, o.Time); err != nil {
		return o, nil, err
	}
	if o.Pack {
		rows.Pack()
	}
	o = o.FitRows(rows.Rows())
	if o.Steps == 0 && o.Minutes == 0 {
		o.Steps = max(int(math.Ceil(passes*float64(rows.Rows())/float64(o.Batch))), 1)
	}
	return o, rows, nil
}

// StepsOf returns how many steps read a text of `tokens` tokens passes times.
func (o AdaptOptions) StepsOf(tokens int, passes float64) int {
	return max(int(math.Ceil(passes*float64(tokens-1)/float64(o.Batch*o.Time))), 1)
}

// rate returns the learning rate of a step.
func (o AdaptOptions) rate(step int) float64 {
	return Schedule{Peak: o.LR, Min: o.LR / 20, Warmup: min(adaptWarmup, (o.Steps+1)/2), Steps: o.Steps}.Rate(step + 1)
}

// AdapterTrainer is a Trainer that trains an adapter.
type AdapterTrainer interface {
	Trainer
	// Adapter returns the adapter in its current state.
	Adapter() (*nn.Adapter, error)
}

var _ AdapterTrainer = (*Learner[int])(nil)

// Adaptation is the training of an adapter on one text. Each rank of a group, which is that of the trainer's shape, has its
// own, and only rank 0 saves.
type Adaptation struct {
	Trainer AdapterTrainer
	Options AdaptOptions
	Tokens  []uint32
	// Marks are those of conversations, as for corpus.Rows; nil for text, all of which counts.
	Marks []byte
	// Progress is called after every step: how many are done, of how many (0 while this is unknown), the loss in nats per token,
	// and how long the rest will take.
	Progress func(done, steps int, loss float64, left time.Duration)
	// Weights, optional, returns what is wrong with the initial weights. It is called if the first step does not give a finite
	// loss.
	Weights func() error
	// Save is called every Saves steps; 0 means never.
	Save  func() error
	Saves int

	lessons *corpus.Rows
}

// Do trains to the end, or, if ctx is cancelled, to the end of the current step.
func (a *Adaptation) Do(ctx context.Context) error {
	o := &a.Options
	if err := o.Validate(); err != nil {
		return err
	}
	n, shape := o.Batch*o.Time, a.Trainer.Shape()
	group, own := shape.group(), shape.OwnTokens()
	from := group.Rank() * own
	if a.Marks != nil {
		var err error
		if a.lessons, err = corpus.NewRows(corpus.IDs(a.Tokens), a.Marks, o.Time); err != nil {
			return err
		}
		if o.Pack {
			a.lessons.Pack()
		}
	}
	inputs, targets := make([]uint32, n), make([]uint32, n) // of all ranks
	start, first := time.Now(), a.Trainer.Updates()
	for o.Steps == 0 || a.Trainer.Updates() < o.Steps {
		if stopped, err := Any(group, ctx.Err() != nil); stopped || err != nil {
			return err
		}
		step := a.Trainer.Updates()
		if err := a.rows(step, inputs, targets); err != nil {
			return err
		}
		rate := *o
		if rate.Steps == 0 {
			rate.Steps = 1 << 30 // during the warm-up the rate does not depend on the number of steps
		}
		a.Trainer.Step(rate.rate(step), inputs[from:from+own], targets[from:from+own])
		results, err := a.Trainer.Results()
		if err != nil {
			return a.explain(err, first)
		}
		if step == first {
			start = time.Now()
		}
		done := a.Trainer.Updates()
		each := time.Since(start) / time.Duration(max(done-first-1, 1))
		if o.Steps == 0 && done-first > timedSteps {
			more := max(int((time.Duration(o.Minutes*float64(time.Minute))-time.Since(start))/max(each, 1)), adaptWarmup)
			if o.Steps, err = agreeOn(group, done+more); err != nil {
				return err
			}
		}
		left := each * time.Duration(max(o.Steps-done, 0))
		a.Progress(done, o.Steps, float64(results[len(results)-1].Loss)*float64(n)/float64(max(Counted(targets), 1)), left)
		if a.Saves > 0 && done%a.Saves == 0 && done < o.Steps && group.Rank() == 0 {
			if err := a.Save(); err != nil {
				return err
			}
		}
	}
	return nil
}

// explain adds the cause to an error of the first step, which cannot be due to the learning rate.
func (a *Adaptation) explain(err error, first int) error {
	var bad notFinite
	if !errors.As(err, &bad) || bad.step != first {
		return err
	}
	if a.Weights != nil {
		if wrong := a.Weights(); wrong != nil {
			bad.advice = wrong.Error()
			return bad
		}
	}
	if bad.advice == smallerRate {
		bad.advice = givenWeights
	}
	return bad
}

// agreeOn gives every rank the number of rank 0.
func agreeOn(g Group, n int) (int, error) {
	bits, err := Broadcast(g, binary.LittleEndian.AppendUint64(nil, uint64(n)))
	if err != nil {
		return 0, err
	}
	return int(binary.LittleEndian.Uint64(bits)), nil
}

// rows fills in the rows of a step: windows of the text, where each pass over the text has its own order and its own first
// token. They depend only on the step, the seed and the text. For conversations each row is one, a piece of a long one or, if
// packed, several.
func (a *Adaptation) rows(step int, inputs, targets []uint32) error {
	o, T := a.Options, a.Options.Time
	each := max((len(a.Tokens)-1)/T-1, 1) // windows per pass: one fewer than fit, so that there is room for another first token
	if a.lessons != nil {
		each = a.lessons.Rows()
	}
	var order []int
	pass := -1
	for b := range o.Batch {
		k := step*o.Batch + b
		if k/each != pass {
			pass = k / each
			rng := rand.New(rand.NewPCG(o.Seed, uint64(pass)))
			order = rng.Perm(each)
			if a.lessons == nil {
				room := len(a.Tokens) - 1 - each*T
				shift := rng.IntN(room + 1)
				for i := range order {
					order[i] = order[i]*T + shift
				}
			}
		}
		at := order[k%each]
		if a.lessons != nil {
			if err := a.lessons.Row(at, inputs[b*T:(b+1)*T], targets[b*T:(b+1)*T]); err != nil {
				return err
			}
			continue
		}
		copy(inputs[b*T:(b+1)*T], a.Tokens[at:])
		copy(targets[b*T:(b+1)*T], a.Tokens[at+1:])
	}
	return nil
}

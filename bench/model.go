package bench

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"bitgpu/nn"
	"bitgpu/nn/cpu/freemem"
	"bitgpu/nn/op"
	"bitgpu/nn/train"
)

// wall measures the time that a user of the engine waits.
func (e *Engine[T]) wall(record func()) (time.Duration, error) {
	start := time.Now()
	record()
	err := e.Ops.Flush()
	return time.Since(start), err
}

// path returns the path by which --only chooses a model's row.
func (m testModel) path(kind string, batch int) string {
	return fmt.Sprintf("model/%s/%s/%s/b%d", m.size, kind, m.mixer, batch)
}

// model measures one model: prompts and text for every batch, its head's formats, and training.
func (e *Engine[T]) model(s *suite, f Floor, m testModel) {
	run := modelRun[T]{Engine: e, s: s, f: f, m: m, r: rand.New(rand.NewPCG(5, 6))}
	for _, format := range headFormats {
		key := headPath(m.size, format)
		wanted := s.wants(key) && m.mixer == s.mixers()[0] // the head is the same for both
		if wanted || format == op.F32 {
			s.report.fail(e.Info.Name, key, run.inference(format, key, wanted))
		}
	}
	for _, batch := range s.batches {
		s.report.fail(e.Info.Name, m.path("training", batch), run.training(batch))
	}
}

// modelRun measures one model on one engine.
type modelRun[T any] struct {
	*Engine[T]
	s *suite
	f Floor
	m testModel
	r *rand.Rand
	// The time of a token alone, and of one in a short prompt, to leave out what would take too long.
	alone, together float64
}

// inference measures the model with its head in one format: the head's row if wanted and, with a
// float32 head, prompts and text for every batch.
func (r *modelRun[T]) inference(format op.Format, headKey string, headWanted bool) error {
	if format != op.F32 && r.leaveOut(r.headRow(format, headKey, 0), float64(r.s.text)*r.alone) {
		return nil // before the model is made
	}
	before := r.Counts().Bytes
	model, err := nn.NewModel(r.Ops, r.m.config, r.m.withHead(format))
	if err != nil {
		return err
	}
	defer model.Release()
	if format == op.F32 && r.s.longest > 0 {
		if err := r.probe(model); err != nil {
			return err
		}
	}
	if headWanted {
		if err := r.text(model, before, format, 1, headKey); err != nil {
			return err
		}
	}
	for _, batch := range r.s.batches {
		if format != op.F32 {
			break
		}
		if r.s.wants(r.m.path("prompt", batch)) {
			if err := r.prompt(model, before, batch); err != nil {
				return err
			}
		}
		if r.s.wants(r.m.path("text", batch)) {
			if err := r.text(model, before, format, batch, ""); err != nil {
				return err
			}
		}
	}
	for _, n := range r.s.streams {
		if format != op.F32 || !r.s.wants(r.m.path("streams", n)) {
			continue
		}
		if err := r.streams(model, before, n); err != nil {
			return err
		}
	}
	return nil
}

// session runs do on a new session, and returns how much memory the engine's tensors then take.
func (r *modelRun[T]) session(model *nn.Model[T], before int64, batch int, do func(s *nn.Session[T], memory int64) error) error {
	session, err := model.NewSession(batch, r.m.config.DefaultScan())
	if err != nil {
		return err
	}
	defer session.Close()
	return do(session, r.Counts().Bytes-before)
}

// probe reads a token, and a short prompt.
func (r *modelRun[T]) probe(model *nn.Model[T]) error {
	return r.session(model, 0, 1, func(s *nn.Session[T], _ int64) error {
		for _, p := range []struct {
			length  int
			seconds *float64
		}{{1, &r.alone}, {16, &r.together}} {
			tokens := randomTokens(r.r, r.m.config.Vocab, p.length)
			for range 2 { // the first compiles shaders
				var failed error
				took, err := r.wall(func() { failed = s.Forward(tokens) })
				if err := errors.Join(failed, err); err != nil {
					return err
				}
				*p.seconds = took.Seconds() / float64(p.length)
			}
		}
		return nil
	})
}

func (r *modelRun[T]) prompt(model *nn.Model[T], before int64, batch int) error {
	length := max(r.s.prompt/batch, 16)
	tokens := randomTokens(r.r, r.m.config.Vocab, batch*length)
	return r.session(model, before, batch, func(s *nn.Session[T], memory int64) error {
		row := r.row("prompt", batch, length, memory, r.m.reading(op.F32, batch, length, batch))
		if r.leaveOut(row, r.together*float64(len(tokens))) {
			return nil
		}
		if err := r.measure(&row, len(tokens), func() error { return s.Forward(tokens) }); err != nil {
			return err
		}
		r.s.report.Models = append(r.s.report.Models, row)
		return nil
	})
}

// streams measures text of n independent sequences of a batch, one token of each at a time.
func (r *modelRun[T]) streams(model *nn.Model[T], before int64, n int) error {
	batch, err := model.NewBatch(n, r.m.config.DefaultScan())
	if err != nil {
		return err
	}
	defer batch.Close()
	sessions := make([]*nn.Session[T], n)
	for i := range sessions {
		if sessions[i], err = batch.NewSession(); err != nil {
			return err
		}
		defer sessions[i].Close()
		if err := sessions[i].Forward(randomTokens(r.r, r.m.config.Vocab, 1)); err != nil {
			return err
		}
		rules := usualSampling
		rules.Seed = uint64(i)
		if err := sessions[i].Start(rules); err != nil {
			return err
		}
	}
	length := r.s.text
	row := r.row("streams", n, 1, r.Counts().Bytes-before, r.m.reading(op.F32, n, 1, n))
	if r.leaveOut(row, float64(length)*(r.alone+float64(n-1)*r.together)) {
		return nil
	}
	err = r.measure(&row, n*length, func() error {
		for range length {
			for _, s := range sessions {
				if _, err := s.Draw(); err != nil {
					return err
				}
			}
			if err := model.ForwardDrawn(sessions); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	row.Dispatches /= float64(length)
	row.Submits /= float64(length)
	r.s.report.Models = append(r.s.report.Models, row)
	return nil
}

// headRow begins a row of text of one sequence with the head in some format.
func (r *modelRun[T]) headRow(format op.Format, key string, memory int64) ModelSpeed {
	row := r.row("text", 1, 1, memory, r.m.reading(format, 1, 1, 1))
	row.Key = key
	return row
}

// text measures text of every sequence; headKey is the row's name where it is a head's.
func (r *modelRun[T]) text(model *nn.Model[T], before int64, format op.Format, batch int, headKey string) error {
	length := r.s.text
	return r.session(model, before, batch, func(s *nn.Session[T], memory int64) error {
		row := r.headRow(format, headKey, memory)
		if headKey == "" {
			row = r.row("text", batch, 1, memory, r.m.reading(format, batch, 1, batch))
		}
		if r.leaveOut(row, float64(length)*(r.alone+float64(batch-1)*r.together)) {
			return nil
		}
		if err := s.Forward(randomTokens(r.r, r.m.config.Vocab, batch)); err != nil {
			return err
		}
		write := func() error { return s.Generate(length, usualSampling, func([]uint32) bool { return true }) }
		if err := r.measure(&row, batch*length, write); err != nil {
			return err
		}
		row.Dispatches /= float64(length)
		row.Submits /= float64(length)
		if headKey != "" {
			r.s.report.Heads = append(r.s.report.Heads, row)
		} else {
			r.s.report.Models = append(r.s.report.Models, row)
		}
		return nil
	})
}

// training measures whole steps.
func (r *modelRun[T]) training(batch int) error {
	s, m := r.s, r.m
	if !s.wants(m.path("training", batch)) {
		return nil
	}
	shape := train.Shape{Batch: batch, Time: s.context, Accumulate: 1, WeightDecay: 0.01, Clip: 1}
	row := r.row("training", batch, s.context, train.DeviceBytes(m.config, shape), m.training(batch, s.context))
	if room := freemem.Free(); room > 0 && row.Memory > room*3/4 {
		s.report.LeftOut = append(s.report.LeftOut, LeftOut{Engine: r.Info.Name, Key: m.path("training", batch), Memory: row.Memory, Free: room})
		return nil
	}
	// Three times a prompt's arithmetic, and the head for every token.
	head := 6 * float64(m.config.Vocab*m.config.Width) / r.f.FLOPS.Median
	if r.leaveOut(row, float64(batch*s.context)*(3*r.together+head)) {
		return nil
	}
	learner, err := train.NewLearner(r.Ops, m.config, shape, m.host)
	if err != nil {
		return err
	}
	defer learner.Release()
	inputs, targets := randomTokens(r.r, m.config.Vocab, batch*s.context), randomTokens(r.r, m.config.Vocab, batch*s.context)
	err = r.measure(&row, batch*s.context, func() error {
		learner.Step(1e-4, inputs, targets)
		_, err := learner.Results()
		return err
	})
	if err != nil {
		return err
	}
	s.report.Models = append(s.report.Models, row)
	return nil
}

// row begins a row. Its cost is that of a step on tokens (batch, time).
func (r *modelRun[T]) row(kind string, batch, time int, memory int64, step costs) ModelSpeed {
	each := step.each(batch * time)
	row := ModelSpeed{
		Engine: r.Info.Name, Key: fmt.Sprintf("model/%s/%s/b%d", r.m.size, kind, batch), Mixer: r.m.mixer,
		Bytes: int64(each.bytes), FLOPs: int64(each.flops), Memory: memory,
	}
	row.Floor, row.Bound = r.f.seconds(row.Bytes, row.FLOPs, 0)
	r.s.progress(r.Info.Name + " " + row.Key + " " + r.m.mixer)
	return row
}

// measure runs a step of some tokens again and again.
func (r *modelRun[T]) measure(row *ModelSpeed, tokens int, step func() error) error {
	calls, before := 0, r.Counts()
	var failed error
	seconds, err := repeated(r.steady(r.s, r.wall), r.s.repeats, r.s.each, func() {
		calls++
		if err := step(); err != nil && failed == nil {
			failed = err
		}
	})
	if err := errors.Join(failed, err); err != nil {
		return err
	}
	after := r.Counts()
	row.Seconds = seconds.scaled(1 / float64(tokens))
	row.Dispatches = float64(after.Dispatches-before.Dispatches) / float64(calls)
	row.Submits = float64(after.Submits-before.Submits) / float64(calls)
	return nil
}

// leaveOut reports whether a row takes too long.
func (r *modelRun[T]) leaveOut(row ModelSpeed, seconds float64) bool {
	return r.s.tooLong(r.Info, row.path(), seconds, 1)
}

package bench

import (
	"fmt"
	"math/rand/v2"
	"time"

	"bitgpu/nn"
	"bitgpu/nn/train"
)

// wall times what somebody who uses the engine waits for.
func (e *Engine[T]) wall(record func()) (time.Duration, error) {
	start := time.Now()
	record()
	err := e.Ops.Flush()
	return time.Since(start), err
}

// path is what --only chooses a model's row by.
func (m subject) path(kind string, batch int) string {
	return fmt.Sprintf("model/%s/%s/%s/b%d", m.size, kind, m.mixer, batch)
}

// model measures one model: prompts, text and training for every batch, then its head's formats.
func (e *Engine[T]) model(s *suite, f Floor, m subject) {
	run := modelRun[T]{Engine: e, s: s, f: f, m: m, r: rand.New(rand.NewPCG(5, 6))}
	for _, batch := range s.batches {
		s.report.fail(e.Info.Name, m.path("text", batch), run.inference(nn.F32, batch, ""))
		s.report.fail(e.Info.Name, m.path("training", batch), run.training(batch))
	}
	if m.mixer != s.mixers()[0] {
		return // the head is the same
	}
	for _, format := range []nn.Format{nn.F32, nn.F16, nn.I8} {
		if key := fmt.Sprintf("head/%s/%v", m.size, format); s.wants(key) {
			s.report.fail(e.Info.Name, key, run.inference(format, 1, key))
		}
	}
}

// modelRun measures one model on one engine.
type modelRun[T any] struct {
	*Engine[T]
	s *suite
	f Floor
	m subject
	r *rand.Rand
	// secondsOfPrompt is what a token of a prompt took, to know beforehand what training will.
	secondsOfPrompt float64
}

// inference measures prompts and text, or only text where the row is a head's.
func (r *modelRun[T]) inference(head nn.Format, batch int, headKey string) error {
	s, m := r.s, r.m
	prompt, text := s.wants(m.path("prompt", batch)) && headKey == "", s.wants(m.path("text", batch)) || headKey != ""
	if !prompt && !text {
		return nil
	}
	before := r.Counts().Bytes
	model, err := nn.NewModel(r.Ops, m.config, m.withHead(head))
	if err != nil {
		return err
	}
	defer model.Release()
	session, err := model.NewSession(batch, m.config.DefaultScan())
	if err != nil {
		return err
	}
	defer session.Close()
	memory := r.Counts().Bytes - before

	length := max(s.prompt/batch, 16)
	tokens := randomTokens(r.r, m.config.Vocab, batch*length)
	var failed error
	read := func(tokens []uint32) {
		if err := session.Read(tokens); err != nil && failed == nil {
			failed = err
		}
	}
	if prompt {
		part := tokens[:batch*min(length, 8)]
		row := r.row("prompt", batch, length, memory, m.reading(head, batch, length, batch))
		if r.tooLong(row, length, len(part)/batch, func() { read(part) }) {
			return failed
		}
		if err := r.measure(&row, batch*length, func() { read(tokens) }); err != nil {
			return err
		}
		r.secondsOfPrompt = row.Seconds.Median
		s.report.Models = append(s.report.Models, row)
	} else {
		read(tokens[:batch])
	}
	if text && failed == nil {
		write := func(n int) func() {
			return func() {
				if err := session.Generate(n, usualSampling, func([]uint32) bool { return true }); err != nil && failed == nil {
					failed = err
				}
			}
		}
		row := r.row("text", batch, 1, memory, m.reading(head, batch, 1, batch))
		few := 2 * r.Ops.Lookahead()
		if r.tooLong(row, s.text, few, write(few)) {
			return failed
		}
		if err := r.measure(&row, batch*s.text, write(s.text)); err != nil {
			return err
		}
		row.Dispatches /= float64(s.text)
		row.Submits /= float64(s.text)
		if headKey != "" {
			row.Key = headKey
			s.report.Heads = append(s.report.Heads, row)
		} else {
			s.report.Models = append(s.report.Models, row)
		}
	}
	return failed
}

// training measures whole steps.
func (r *modelRun[T]) training(batch int) error {
	s, m := r.s, r.m
	if !s.wants(m.path("training", batch)) {
		return nil
	}
	shape := train.Shape{Batch: batch, Time: s.context, Accumulate: 1, Decay: 0.01, Clip: 1}
	row := r.row("training", batch, s.context, train.Memory(m.config, shape), m.training(batch, s.context))
	if room := availableMemory(); room > 0 && row.Memory > room*3/4 {
		s.report.note("%s on %s left out: it takes %d MB, and %d MB are free", m.path("training", batch), r.Info.Name, row.Memory>>20, room>>20)
		return nil
	}
	// Three times a prompt's arithmetic, and the head for every token.
	head := 6 * float64(m.config.Vocab*m.config.Width) / r.f.FLOPS.Median
	if seconds := float64(batch*s.context) * (3*r.secondsOfPrompt + head); r.leaveOut(row, seconds) {
		return nil
	}
	learner, err := train.NewLearner(r.Ops, m.config, shape, m.host)
	if err != nil {
		return err
	}
	defer learner.Release()
	inputs, targets := randomTokens(r.r, m.config.Vocab, batch*s.context), randomTokens(r.r, m.config.Vocab, batch*s.context)
	var failed error
	err = r.measure(&row, batch*s.context, func() {
		learner.Step(1e-4, inputs, targets)
		if _, err := learner.Results(); err != nil && failed == nil {
			failed = err
		}
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return err
	}
	s.report.Models = append(s.report.Models, row)
	return nil
}

// row begins a row; the cost is that of a step of tokens (batch, time).
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
func (r *modelRun[T]) measure(row *ModelSpeed, tokens int, step func()) error {
	calls, before := 0, r.Counts()
	seconds, err := repeated(r.wall, r.s.repeats, r.s.each, func() {
		calls++
		step()
	})
	if err != nil {
		return err
	}
	after := r.Counts()
	row.Seconds = seconds.scaled(1 / float64(tokens))
	row.Dispatches = float64(after.Dispatches-before.Dispatches) / float64(calls)
	row.Submits = float64(after.Submits-before.Submits) / float64(calls)
	return nil
}

// tooLong runs a small part of a step, to leave out what would take too long.
func (r *modelRun[T]) tooLong(row ModelSpeed, whole, part int, run func()) bool {
	if r.s.longest == 0 {
		return false
	}
	if _, err := r.wall(run); err != nil { // compiles shaders
		return false
	}
	took, err := r.wall(run)
	return err == nil && r.leaveOut(row, took.Seconds()*float64(whole)/float64(part))
}

func (r *modelRun[T]) leaveOut(row ModelSpeed, seconds float64) bool {
	if r.s.longest == 0 || seconds < r.s.longest.Seconds() {
		return false
	}
	r.s.report.note("%s, %s, on %s left out: one repetition would take about %.1f s; --full runs it", row.Key, row.Mixer, r.Info.Name, seconds)
	return true
}

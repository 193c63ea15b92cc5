package bitgpu

import (
	"errors"
	"slices"
)

// open reports whether there is something to do for the sequence.
func (s *Sequence) open() bool { return !s.stopped && s.reason == "" && s.err == nil }

// writes reports whether a token is to be drawn.
func (s *Sequence) writes() bool { return s.open() && len(s.prompt) == 0 && !s.pending }

// reads reports whether the newest token is to be read.
func (s *Sequence) reads() bool { return s.pending && !s.stopped && s.err == nil }

// Write begins the next text of the sequence, after everything that it has read and written: the next steps read prompt,
// which may be empty, and write what follows it with options o. A text that has not ended is cut off. A stopped sequence
// stays stopped. The error is [ErrOption], [ErrEmptyPrompt] for an empty prompt if nothing has been read, [ErrClosed], or
// that of [Sequence.Err].
func (s *Sequence) Write(prompt string, o Options) error {
	return s.batch.work(func() error {
		if s.err != nil {
			return s.err
		}
		return s.write(prompt, o)
	})
}

func (s *Sequence) write(prompt string, o Options) error {
	p, err := o.sampling()
	if err != nil {
		return err
	}
	in := s.session
	if prompt == "" && !in.ready && len(s.prompt) == 0 {
		return ErrEmptyPrompt
	}
	if prompt != "" {
		ids, err := in.model.tok.Encode(prompt, in.run.Position() == 0 && len(s.prompt) == 0)
		if err != nil {
			return err
		}
		s.prompt = append(s.prompt, ids...)
	}
	s.options, s.rules, s.out, s.tokens = o, p, &stopper{stops: o.Stop}, 0
	s.begun, s.reason = false, ""
	if o.MaxTokens == 0 && len(s.prompt) == 0 {
		s.reason = EndLength
	}
	return nil
}

// Stop makes Step skip the sequence until Resume.
func (s *Sequence) Stop() { s.stopped = true }

// Resume undoes Stop: the text continues as if it had never been stopped.
func (s *Sequence) Resume() { s.stopped = false }

// Ended returns why the text ended, "" if it has not.
func (s *Sequence) Ended() Reason { return s.reason }

// Tokens returns how many tokens have been written since the text began, or since Write.
func (s *Sequence) Tokens() int { return s.tokens }

// Position returns how many tokens the memory holds. The newest token of a text is read by the step after the one that drew
// it.
func (s *Sequence) Position() int64 {
	m := s.batch.model
	m.mu.Lock()
	defer m.mu.Unlock()
	return s.session.run.Position()
}

// Fork makes a new sequence with a copy of this one's memory and with options o. Its text begins where this one's is now. The
// error is [ErrOption], [ErrClosed], that of [Sequence.Err], or says that there is not enough memory.
func (s *Sequence) Fork(o Options) (*Sequence, error) {
	b := s.batch
	var f *Sequence
	err := b.work(func() error {
		if s.err != nil {
			return s.err
		}
		p, err := o.sampling()
		if err != nil {
			return err
		}
		if err := s.catchUp(); err != nil {
			return err
		}
		r, err := s.session.run.fork()
		if err != nil {
			return err
		}
		f = b.sequence(r)
		in := s.session
		f.session.ready, f.prompt = in.ready, append([]uint32(nil), s.prompt...)
		if in.text != nil {
			f.session.text = in.text.clone()
		}
		f.options, f.rules, f.out = o, p, &stopper{stops: o.Stop}
		b.sequences = append(b.sequences, f)
		return nil
	})
	return f, err
}

// catchUp reads the newest token, which the next step would otherwise do.
func (s *Sequence) catchUp() error {
	if !s.pending {
		return nil
	}
	s.pending = false
	return s.batch.model.engine.readDrawn([]runner{s.session.run})
}

// Snapshot copies what the sequence has read and written, for others to continue from. The error is [ErrNotFinite],
// [ErrClosed], or that of [Sequence.Err].
func (s *Sequence) Snapshot() (p *Snapshot, err error) {
	err = s.batch.work(func() error {
		if s.err != nil {
			return s.err
		}
		if err := s.catchUp(); err != nil {
			return err
		}
		file, err := s.session.remembered()
		if err != nil {
			return err
		}
		p = &Snapshot{file}
		return nil
	})
	return p, err
}

// Close ends the text and frees its place in the batch.
func (s *Sequence) Close() error {
	err := s.batch.work(func() error {
		for i, other := range s.batch.sequences {
			if other == s {
				s.release()
				s.batch.sequences = append(s.batch.sequences[:i], s.batch.sequences[i+1:]...)
				break
			}
		}
		return nil
	})
	if errors.Is(err, ErrClosed) {
		return nil
	}
	return err
}

func (s *Sequence) release() {
	s.session.run.Close()
	s.reason, s.err = EndCancelled, ErrClosed
}

// fail stores an error that only concerns this sequence, and returns others.
func (s *Sequence) fail(err error) error {
	if errors.Is(err, ErrNotFinite) || errors.Is(err, ErrContext) {
		s.err = err
		return nil
	}
	return err
}

// draw draws a token of the sequence.
func (s *Sequence) draw() (Step, error) {
	in := s.session
	if !s.begun {
		if err := in.run.Start(s.rules); err != nil {
			return Step{}, err
		}
		if in.text == nil {
			in.text = &decoder{stream: in.model.tok.NewStream(true)}
		}
		s.begun = true
	}
	step := Step{Sequence: s}
	left := in.run.Left()
	if s.tokens >= s.options.MaxTokens || left == 0 {
		return s.end(step, left), nil
	}
	ids, err := in.run.Draw()
	if err != nil {
		step.Err = err
		return step, s.fail(err)
	}
	step.Token = ids[0]
	if slices.Contains(in.model.ends, ids[0]) {
		s.reason = EndOfText
		step.Text, step.Reason = s.rest()
		in.text = nil
		return step, nil
	}
	s.tokens++
	before := in.text.clone()
	text, stopped := s.out.next(in.text.next(ids[0]))
	if step.Text = text; stopped {
		in.text, s.reason, step.Reason = before, EndStop, EndStop // this token is not read
		return step, nil
	}
	s.pending = true
	if s.tokens == s.options.MaxTokens || left == 1 {
		return s.end(step, left-1), nil
	}
	return step, nil
}

// end ends a text that has used up MaxTokens or, with left 0, the context.
func (s *Sequence) end(step Step, left int64) Step {
	s.reason = EndLength
	if left == 0 && s.tokens < s.options.MaxTokens {
		s.reason = EndContext
	}
	var rest string
	rest, step.Reason = s.rest()
	step.Text += rest
	return step
}

// rest returns what was held back of an ended text, which may turn out to end in a stop text.
func (s *Sequence) rest() (string, Reason) {
	rest, stopped := s.out.next(s.session.text.rest())
	if stopped {
		s.reason = EndStop
	}
	return rest + s.out.held, s.reason
}

// Err returns why the sequence cannot continue: [ErrNotFinite], [ErrContext] for a prompt that did not fit, or [ErrClosed];
// nil if it can.
func (s *Sequence) Err() error { return s.err }

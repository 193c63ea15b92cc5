package bitgpu

import (
	"errors"
	"fmt"
	"slices"

	"bitgpu/nn/op"
)

// Batch writes several texts of one model side by side: each Step reads the weights once and gives one token of every text.
// Each text is byte for byte what a [Session] writes alone with the same prompt and options, whatever other texts are in the
// batch. A Batch is for one goroutine; sessions of the model, and other batches, may be used at the same time.
type Batch struct {
	model     *Model
	room      room
	sequences []*Sequence // the open ones, in the order in which they began
	closed    bool
	steps     []Step
	turn      []runner
}

// Sequence is one text of a [Batch].
type Sequence struct {
	batch   *Batch
	session *Session
	prompt  []uint32 // the part not read yet
	options Options
	rules   op.Sampling
	out     *stopper
	tokens  int // written since Start, Fork or Write
	stopped bool
	begun   bool // the sampling rules have been set
	pending bool // the newest token has not been read yet
	reason  Reason
	err     error
}

// Step is what one step of a batch did for a text.
type Step struct {
	Sequence *Sequence
	Token    uint32 // the one that was drawn
	Text     string // the characters that this token completes and, at the end of the text, what was held back
	Reason   Reason // why the text ended with this token, "" if it continues
	Err      error  // [ErrNotFinite], after which the sequence can only be closed
}

// NewBatch makes room for n texts. With more texts the batch grows, which copies its contents. The error is [ErrOption],
// [ErrNoTokenizer], [ErrClosed], or says that there is not enough memory.
func (m *Model) NewBatch(n int) (*Batch, error) {
	if n < 0 || n > maxBatch {
		return nil, fmt.Errorf("%w: batch: got room for %d texts, want 0 to %d", ErrOption, n, maxBatch)
	}
	if m.tok == nil {
		return nil, m.noTokenizer()
	}
	if err := m.enter(); err != nil {
		return nil, err
	}
	defer m.leave()
	r, err := m.engine.newBatch(n)
	if err != nil {
		return nil, err
	}
	return &Batch{model: m, room: r}, nil
}

// maxBatch is more texts than anybody needs room for at once.
const maxBatch = 1 << 12

// work calls f with the engine locked.
func (b *Batch) work(f func() error) error {
	if err := b.model.enter(); err != nil {
		return err
	}
	defer b.model.leave()
	if b.closed {
		return ErrClosed
	}
	return f()
}

// Close ends all texts and frees the batch's memory.
func (b *Batch) Close() error {
	err := b.work(func() error {
		for _, s := range b.sequences {
			s.release()
		}
		b.room.Close()
		b.sequences, b.closed = nil, true
		return nil
	})
	if errors.Is(err, ErrClosed) {
		return nil
	}
	return err
}

// Start begins a text with an empty memory: the next steps read prompt and write what follows it. The error is
// [ErrEmptyPrompt], [ErrOption], [ErrClosed], or says that there is not enough memory. A prompt longer than the context is
// only detected while it is read: see [Sequence.Err].
func (b *Batch) Start(prompt string, o Options) (*Sequence, error) { return b.begin(nil, prompt, o) }

// StartFrom begins a text that continues from a snapshot; the prompt may be empty. The error is [ErrOtherModel] for a
// snapshot of another model, [ErrContext] for one longer than the context, or one of [Batch.Start].
func (b *Batch) StartFrom(p *Snapshot, prompt string, o Options) (*Sequence, error) {
	return b.begin(p, prompt, o)
}

func (b *Batch) begin(p *Snapshot, prompt string, o Options) (s *Sequence, err error) {
	err = b.work(func() error {
		r, err := b.room.newSession()
		if err != nil {
			return err
		}
		s = b.sequence(r)
		if p != nil {
			err = s.session.take("snapshot", p.file)
		}
		if err == nil {
			err = s.write(prompt, o)
		}
		if err != nil {
			s.release()
			return err
		}
		b.sequences = append(b.sequences, s)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// sequence adds a sequence with a slot of the batch.
func (b *Batch) sequence(r runner) *Sequence {
	m := b.model
	return &Sequence{
		batch:   b,
		session: &Session{model: m, run: r, scan: m.config.DefaultScan(), logits: make([]float32, m.config.Vocab)},
	}
}

// Sequences lists the open sequences in the order in which they began.
func (b *Batch) Sequences() []*Sequence { return slices.Clone(b.sequences) }

// Step reads the tokens that the previous step drew, then one piece of the oldest prompt that is not finished, and then draws
// one token for each sequence whose prompt has been read, unless it is stopped or its text has ended. A long prompt thus
// delays the others by only a piece at a time. An empty result without an error means that a piece of a prompt was read or,
// if Writing is 0, that there is nothing left to do. The next Step reuses the slice. The error is [ErrClosed] or the
// backend's; an error that only ends one text is in the Err of its Step, or of its sequence.
func (b *Batch) Step() ([]Step, error) {
	b.steps = b.steps[:0]
	err := b.work(func() error {
		if err := b.readPending(); err != nil {
			return err
		}
		if err := b.readPrompt(); err != nil {
			return err
		}
		for _, s := range b.sequences {
			if s.writes() {
				step, err := s.draw()
				if err != nil {
					return err
				}
				b.steps = append(b.steps, step)
			}
		}
		return nil
	})
	return b.steps, err
}

// readPrompt reads a piece of the oldest unfinished prompt.
func (b *Batch) readPrompt() error {
	i := slices.IndexFunc(b.sequences, func(s *Sequence) bool { return len(s.prompt) > 0 && s.open() })
	if i < 0 {
		return nil
	}
	s := b.sequences[i]
	if err := s.session.room(len(s.prompt)); err != nil {
		return s.fail(err)
	}
	n := min(s.session.model.piece, len(s.prompt))
	if err := s.session.run.Forward(s.prompt[:n]); err != nil {
		return s.fail(err)
	}
	s.session.ready, s.session.text, s.prompt = true, nil, s.prompt[n:]
	return nil
}

// readPending reads the drawn tokens of the sequences that continue.
func (b *Batch) readPending() error {
	b.turn = b.turn[:0]
	for _, s := range b.sequences {
		if s.reads() {
			b.turn = append(b.turn, s.session.run)
		}
	}
	if len(b.turn) == 0 {
		return nil
	}
	if err := b.model.engine.readDrawn(b.turn); err != nil {
		return err
	}
	for _, s := range b.sequences {
		if s.reads() {
			s.pending = false
		}
	}
	return nil
}

// Writing returns how many sequences Step still works on.
func (b *Batch) Writing() (n int) {
	for _, s := range b.sequences {
		if s.open() || s.reads() {
			n++
		}
	}
	return n
}

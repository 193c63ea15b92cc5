package bitgpu

import (
	"errors"
	"fmt"
	"slices"

	"bitgpu/nn/op"
)

// Batch writes several texts of one model side by side: each Step reads the weights once and has one token of every text. A text
// is the same byte for byte as the one that a [Session] writes alone with the same prompt and options, whatever other texts are in the
// batch, and whatever came and went. It is for one goroutine; sessions of the model, and other batches, may be used meanwhile.
type Batch struct {
	model     *Model
	room      room
	sequences []*Sequence // those that are open, in the order in which they began
	closed    bool
	steps     []Step
	turn      []runner
}

// Sequence is one text of a [Batch]: what has been read and written, and how it goes on.
type Sequence struct {
	batch   *Batch
	session *Session
	prompt  []uint32 // not read as yet
	options Options
	rules   op.Sampling
	out     *stopper
	tokens  int // written since Start, Fork or Write
	stopped bool
	begun   bool // the rules have been told
	pending bool // the newest token is to be read
	reason  Reason
	err     error
}

// Step is what one step of a batch did for a text.
type Step struct {
	Sequence *Sequence
	Token    uint32 // the one that was drawn
	Text     string // the whole characters that are certain with it, and at the end of the text what was held back
	Reason   Reason // why the text ended with this, "" where it goes on
	Err      error  // [ErrNotFinite], after which the sequence can only be closed
}

// NewBatch makes room for n texts. With more texts the batch grows, which copies what is in it. The error is [ErrOption],
// [ErrNoTokenizer], [ErrClosed], or that there is not enough memory.
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

// maxBatch is more texts than anybody wants to make room for at once.
const maxBatch = 1 << 12

// work runs f with the engine to itself.
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

// Close ends all texts and gives the batch's memory back.
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

// Start begins a text with an empty memory: the next steps read prompt and write what follows it. The error is [ErrEmptyPrompt],
// [ErrOption], [ErrClosed], or that there is not enough memory. A prompt that is longer than the context is found when it is read:
// see [Sequence.Err].
func (b *Batch) Start(prompt string, o Options) (*Sequence, error) { return b.begin(nil, prompt, o) }

// StartFrom begins a text that goes on from a snapshot; the prompt may be empty. The error is [ErrOtherModel] for the snapshot of
// another model, [ErrContext] for one that is longer than the context, or one of [Batch.Start].
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

// sequence is one in a slot of the batch.
func (b *Batch) sequence(r runner) *Sequence {
	m := b.model
	return &Sequence{
		batch:   b,
		session: &Session{model: m, run: r, scan: m.config.DefaultScan(), logits: make([]float32, m.config.Vocab)},
	}
}

// Sequences are the open ones, in the order in which they began.
func (b *Batch) Sequences() []*Sequence { return slices.Clone(b.sequences) }

// Step reads the tokens that the previous step drew, then one piece of the oldest prompt that is not read to its end, and then draws
// one token for each sequence whose prompt has been read, unless it is stopped or its text has ended. So a long prompt delays the
// others by only a piece at a time. An empty result without an error means that a piece of a prompt was read, or, where Writing is
// 0, that there is nothing left to do. The slice is used again by the next Step. The error is [ErrClosed] or the backend's; an error
// that ends one text alone is in the Err of its Step, or of its sequence.
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

// readPrompt reads a piece of the first prompt that is not read.
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

// readPending has the tokens that were drawn read into the memories of those that go on.
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

// Writing is how many sequences Step still does something for.
func (b *Batch) Writing() (n int) {
	for _, s := range b.sequences {
		if s.open() || s.reads() {
			n++
		}
	}
	return n
}

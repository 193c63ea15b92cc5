package bitgpu

import (
	"fmt"

	"bitgpu/nn"
	"bitgpu/nn/cpu/freemem"
	"bitgpu/nn/storage"
)

// fitContext limits the context of a public family to the memory that is free next to the weights, and leaves half of that to
// others. A context that was asked for is not shortened, but refused if it would need all of the memory. free is in bytes, 0
// if unknown.
func (m *Model) fitContext(l *storage.Loaded, asked, sessions int, free int64) error {
	m.trained = l.Public.Trained
	if free == 0 {
		return nil
	}
	share := free / 2
	if asked > 0 {
		share = free
	}
	tokens := m.config.FitContext(share, sessions)
	switch {
	case tokens == 0 || asked > 0 && tokens < m.config.Capacity():
		need, each, fewer := m.config.Footprint(1, 1), "", ""
		if sessions > 1 {
			each, fewer = fmt.Sprintf(" for each of %d texts at once", sessions), " or fewer texts"
		}
		return fmt.Errorf("%s: a context of %d tokens%s takes %d MB of memory beside the weights, and %d MB are free; want a shorter one%s", m.name, m.config.Capacity(), each,
			(need.Workspace+int64(sessions)*need.Session)>>20, free>>20, fewer)
	case tokens < m.config.Capacity():
		l.Config.Decoder.Context = tokens // shared with m.config
	}
	return nil
}

// Config returns the model's configuration.
func (m *Model) Config() Config {
	c := m.config
	if raised := m.context.Load(); raised > 0 {
		d := *c.Decoder
		d.Context, c.Decoder = int(raised), &d
	}
	return c
}

// Context returns how many tokens a session has room for, 0 if there is no limit: the memory of our own models does not grow.
func (m *Model) Context() int { return m.Config().Capacity() }

// RaiseContext gives all sessions of a public family's model room for more tokens. Those under way keep what they have read; a
// text that is being written ends where it would have ended. For our own models, and for no more than [Model.Context], it does
// nothing. The error is [ErrOption] for more than [Model.TrainedContext], [ErrClosed], or says that there is not enough memory:
// while keys and values are copied, the old ones and the new ones take memory. Then nothing has changed.
func (m *Model) RaiseContext(tokens int) error {
	if err := m.enter(); err != nil {
		return err
	}
	defer m.leave()
	now := m.Config()
	if tokens <= now.Capacity() || now.Decoder == nil {
		return nil
	}
	if tokens > m.trained {
		return fmt.Errorf("%w: context: got %d tokens, want %d at most, what the model was made for", ErrOption, tokens, m.trained)
	}
	d := *now.Decoder
	d.Context = tokens
	if free := freemem.Free(); free > 0 {
		working := now.Footprint(1, 1).Workspace // has been taken
		if fits := nn.OfDecoder(&d).FitContext(free+working, m.sessions); fits < tokens {
			return fmt.Errorf("%s: got %d MB of free memory, which hold a context of %d tokens, want one of %d", m.name, free>>20, fits, tokens)
		}
	}
	if err := m.engine.raise(tokens); err != nil {
		return fmt.Errorf("%s: %w", m.name, err)
	}
	m.context.Store(int64(tokens))
	return nil
}

// TrainedContext returns how many tokens the model was trained for, 0 if there is no limit. [Model.Context] is smaller if
// [WithContext] or the free memory requires it.
func (m *Model) TrainedContext() int { return m.trained }

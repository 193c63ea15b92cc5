//go:build cgo

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"bitgpu"
)

// model is a model with its open sessions, which are closed with it.
type model struct {
	*bitgpu.Model
	mu       sync.Mutex
	sessions map[*session]bool // nil once the model is closed
}

func (m *model) open() (*session, error) {
	s, err := m.NewSession()
	if err != nil {
		return nil, err
	}
	return m.adopt(s)
}

// adopt makes a session from s.
func (m *model) adopt(s *bitgpu.Session) (*session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sessions == nil {
		s.Close()
		return nil, bitgpu.ErrClosed
	}
	a := &session{session: s, model: m}
	a.ctx, a.cancel = context.WithCancelCause(context.Background())
	m.sessions[a] = true
	return a, nil
}

func (m *model) close() error {
	m.mu.Lock()
	sessions := m.sessions
	m.sessions = nil
	m.mu.Unlock()
	for s := range sessions {
		s.cancel(bitgpu.ErrClosed)
	}
	for s := range sessions {
		s.close()
	}
	table.forget(func(value any) bool {
		s, ok := value.(*session)
		return ok && s.model == m
	})
	return m.Close()
}

// raiseContext is RaiseContext of a number that a caller gave.
func (m *model) raiseContext(tokens int64) error {
	if tokens < 1 || tokens > math.MaxInt32 {
		return fmt.Errorf("%w: tokens: got %d, want 1 to %d", errArgument, tokens, math.MaxInt32)
	}
	return m.RaiseContext(int(tokens))
}

// errStreaming is returned if a stream uses the session; other uses would have been waited for.
var errStreaming = errors.New("the session is writing a stream, which has to end or to be closed first")

// session is a session that any thread may use: its calls wait for each other.
type session struct {
	model  *model
	ctx    context.Context // cancelled, with ErrClosed as its cause, when the session is to close
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	session *bitgpu.Session
	streams sync.WaitGroup // those running
}

// use calls f with the session locked.
func (s *session) use(f func(*bitgpu.Session) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	err := f(s.session)
	switch {
	case err != nil && s.ctx.Err() != nil:
		return context.Cause(s.ctx)
	case errors.Is(err, bitgpu.ErrBusy):
		return errStreaming
	}
	return err
}

func (s *session) close() error {
	s.cancel(bitgpu.ErrClosed)
	s.model.mu.Lock()
	delete(s.model.sessions, s)
	s.model.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams.Wait()
	table.forget(func(value any) bool {
		t, ok := value.(*stream)
		return ok && t.session == s
	})
	return s.session.Close()
}

// stream turns the callbacks with which a session delivers text into answers to next. It runs in a goroutine of its own that
// only works while it is being asked.
type stream struct {
	session *session
	prompt  string
	options bitgpu.Options
	ctx     context.Context
	cancel  context.CancelCauseFunc

	start  sync.Once     // run, or close
	asked  chan struct{} // a value asks for a piece of text
	pieces chan string
	done   chan struct{} // closed when there are no more
	err    error         // the reason; read it only after done
}

func (s *session) stream(prompt string, o bitgpu.Options) *stream {
	t := &stream{
		session: s, prompt: prompt, options: o,
		asked: make(chan struct{}), pieces: make(chan string), done: make(chan struct{}),
	}
	t.ctx, t.cancel = context.WithCancelCause(s.ctx)
	return t
}

// next returns the next piece of text, and whether there was one.
func (t *stream) next() (piece string, ok bool, err error) {
	err = t.session.use(func(s *bitgpu.Session) error {
		t.start.Do(func() {
			t.session.streams.Add(1)
			go t.run(s)
		})
		select {
		case t.asked <- struct{}{}:
		case <-t.done:
			return t.err
		}
		select {
		case piece = <-t.pieces:
			ok = true
			return nil
		case <-t.done:
			return t.err
		}
	})
	return piece, ok, err
}

// run writes the text. It waits to be asked before it begins and after each piece.
func (t *stream) run(s *bitgpu.Session) {
	defer t.session.streams.Done()
	defer close(t.done)
	defer t.cancel(nil)
	wait := func() bool {
		select {
		case <-t.asked:
			return true
		case <-t.ctx.Done():
			return false
		}
	}
	if wait() {
		t.err = safely(func() error {
			_, err := s.Stream(t.ctx, t.prompt, t.options, func(piece string) bool {
				t.pieces <- piece // next is waiting for it
				return wait()
			})
			return err
		})
	}
	if t.ctx.Err() != nil {
		t.err = context.Cause(t.ctx)
	}
}

// close ends the stream and waits until the session is free.
func (t *stream) close() {
	t.cancel(bitgpu.ErrClosed)
	t.start.Do(func() {
		t.err = bitgpu.ErrClosed
		close(t.done)
	})
	<-t.done
}

// safely turns a panic of f into an error, so that it does not crash the caller's process.
func safely(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a mistake in bitgpu: %v", p)
		}
	}()
	return f()
}

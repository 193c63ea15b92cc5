package serve

import (
	"context"
	"sync"
	"time"

	"bitgpu"
)

// usage counts the tokens of a request.
type usage struct {
	prompt, cached, written int
}

// body returns the usage in OpenAI's form.
func (u usage) body() map[string]any {
	return map[string]any{
		"prompt_tokens": u.prompt, "completion_tokens": u.written, "total_tokens": u.prompt + u.written,
		"prompt_tokens_details": map[string]any{"cached_tokens": u.cached},
	}
}

// remember are the fields of a request that name a memory.
type remember struct {
	Memory string `json:"memory"` // its id
	Learn  *bool  `json:"learn"`  // whether it keeps what is read and written; true by default
}

// text is a session that a request reads and writes with.
type text struct {
	session *bitgpu.Session
	writing *writing        // the memory that the session will become, or nil
	fresh   bool            // it began with an empty memory
	ending  *sync.WaitGroup // of the call, see text.close
}

// open begins a text, with a memory or an empty one. close must be called.
func (c *call) open(m remember) (*text, error) {
	c.ending.Wait() // a call has one text at a time
	if m.Memory == "" {
		if m.Learn != nil && *m.Learn {
			return nil, invalid("learn", "got true without a memory, want one that learns")
		}
		session, err := c.s.model.NewSession()
		if err != nil {
			return nil, err
		}
		return &text{session: session, fresh: true, ending: &c.ending}, nil
	}
	if m.Learn != nil && !*m.Learn {
		session, err := c.s.store.read(c.owner, m.Memory)
		if err != nil {
			return nil, err
		}
		return &text{session: session, ending: &c.ending}, nil
	}
	w, err := c.s.store.write(c.owner, m.Memory)
	if err != nil {
		return nil, err
	}
	return &text{session: w.session, writing: w, ending: &c.ending}, nil
}

// keep stores what was read and written in the memory.
func (t *text) keep() error {
	if t.writing == nil {
		return nil
	}
	err := t.writing.commit()
	t.session, t.writing = nil, nil // they belong to the memory now, or are gone
	return err
}

// close gives up the session. The engine is free for that after the step that it is in: the answer does not wait for it, only the
// call's place does.
func (t *text) close() {
	if t.writing != nil {
		t.writing.abandon()
	} else if t.session != nil {
		session := t.session
		t.ending.Go(func() { session.Close() })
	}
}

// encode turns a prompt into ids, with the tokens around a text if it begins one.
func (c *call) encode(t *text, prompt string) ([]uint32, error) {
	if prompt == "" {
		return nil, nil
	}
	ids, err := c.s.model.Encode(prompt, t.fresh || t.session.Position() == 0)
	if err != nil {
		return nil, invalid("prompt", "%v", err)
	}
	return ids, nil
}

// read reads a prompt. If the text is fresh, a beginning that an earlier prompt had is not read again.
func (c *call) read(t *text, ids []uint32) error {
	if room := c.s.model.Context(); !t.fresh || room > 0 && len(ids) > room { // asking the session waits for the engine
		if err := t.session.CheckRoom(len(ids)); err != nil {
			return err
		}
	}
	c.usage.prompt += len(ids)
	done := 0
	if t.fresh {
		session, n, err := c.s.prefixes.take(c.owner, ids)
		if err != nil {
			return err
		}
		if session != nil {
			t.session.Close()
			t.session, done = session, n
			c.usage.cached += n
		}
	}
	for done < len(ids) {
		n := min(c.s.model.PieceTokens(), len(ids)-done)
		err := c.reading(n, func() error {
			_, err := t.session.ReadTokens(c.r.Context(), ids[done:done+n])
			return err
		})
		if err != nil {
			return err
		}
		done += n
		if t.fresh && done < len(ids) {
			if err := c.s.prefixes.offer(c.owner, ids, done, t.session); err != nil {
				return err
			}
		}
	}
	return nil
}

// reading calls piece, which reads n tokens of a prompt, when it is its turn. As many tokens are read at a time as a whole piece has,
// of one prompt or of several short ones, so that texts being written get a step between two pieces, and a short prompt only waits
// for one piece of each long one.
func (c *call) reading(n int, piece func() error) error {
	if err := c.s.reading.Acquire(c.r.Context(), int64(n)); err != nil {
		return err
	}
	defer c.s.reading.Release(int64(n))
	return piece()
}

// readChat is read for a conversation, before an answer.
func (c *call) readChat(t *text, ids []uint32) error {
	if err := c.read(t, ids); err != nil {
		return err
	}
	return t.session.BeginAnswer()
}

// piece is a part of a text as it is written.
type piece struct {
	text     string
	logProbs []tokenLogProb
}

// write writes one text and passes its pieces to show. top is how many of the most probable tokens are wanted for each,
// negative for no probabilities at all. If show returns false, the text ends with errGone.
func (c *call) write(session *bitgpu.Session, o bitgpu.TokenOptions, top int, show func(piece) bool) (bitgpu.Reason, error) {
	last, first := c.start, true
	gone := false
	tell := func(p piece) bool {
		now := time.Now()
		c.s.metrics.piece(now.Sub(last), first)
		last, first = now, false
		gone = !show(p)
		return !gone
	}
	var r bitgpu.Result
	var err error
	if o.Adjust == nil && top < 0 {
		r, err = session.Stream(c.r.Context(), "", o.Options, func(text string) bool { return tell(piece{text: text}) })
	} else {
		r, err = session.StreamTokens(c.r.Context(), o, func(t bitgpu.Token) bool {
			p := piece{text: t.Text}
			if top >= 0 && t.Logits != nil {
				p.logProbs = []tokenLogProb{logProb(t.Logits, t.ID, top)}
			}
			return (p.text == "" && p.logProbs == nil) || tell(p)
		})
	}
	c.usage.written += r.Tokens
	if err == nil && gone {
		err = errGone
	}
	return r.Reason, err
}

// finishReason returns OpenAI's word for why a text ended. A text cut short by a full context is not complete either.
func finishReason(r bitgpu.Reason) string {
	if r == bitgpu.EndLength || r == bitgpu.EndContext {
		return "length"
	}
	return "stop"
}

// choices writes n texts that begin alike, one after another, and calls end after each.
func (c *call) choices(t *text, n int, o bitgpu.TokenOptions, top int, show func(i int, p piece) bool, end func(i int, r bitgpu.Reason) bool) error {
	for i := range n {
		session := t.session
		if i < n-1 {
			fork, err := session.Fork()
			if err != nil {
				return err
			}
			session = fork
		}
		reason, err := c.write(session, o, top, func(p piece) bool { return show(i, p) })
		if session != t.session {
			session.Close()
		}
		if err != nil {
			return c.cut(t, err)
		}
		if !end(i, reason) {
			return c.cut(t, errGone)
		}
		o.Seed++ // so that the second text differs from the first
	}
	return t.keep()
}

// cut keeps what a text had before its client disconnected: the client has seen it.
func (c *call) cut(t *text, err error) error {
	if t.writing != nil && context.Cause(c.r.Context()) != errTimeout && asAPIError(c.r.Context(), err).status == 499 {
		if failed := t.keep(); failed != nil {
			return failed
		}
	}
	return err
}

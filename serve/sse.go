package serve

import (
	"bytes"
	"net/http"
	"sync"
	"time"
)

// events writes server-sent events. The answer begins with the first event, or after some time without one; until then an
// error can still set the status.
type events struct {
	c    *call
	line []byte // the type of what is sent; nil for lines of JSON, as in ollama's API

	mu     sync.Mutex // pings come from another goroutine
	err    error
	silent *time.Timer
	ended  bool
}

// stream begins a stream of events. Its close must be called.
func (c *call) stream() *events {
	e := &events{c: c}
	e.mu.Lock() // a ping may come before timer is set
	defer e.mu.Unlock()
	e.silent = time.AfterFunc(c.s.o.Ping, e.ping)
	return e
}

// lines begins a stream of JSON with one value per line.
func (c *call) lines() *events {
	return &events{c: c, line: []byte("\n")}
}

func (e *events) ping() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.ended {
		e.write([]byte(": ping\n\n"))
		e.silent.Reset(e.c.s.o.Ping)
	}
}

// send writes a value, and reports whether more can be sent.
func (e *events) send(value any) bool { return e.named("", value) }

// named writes an event that has a name.
func (e *events) named(name string, value any) bool {
	var b bytes.Buffer
	if e.line == nil {
		if name != "" {
			b.WriteString("event: " + name + "\n")
		}
		b.WriteString("data: ")
	}
	if err := newEncoder(&b).Encode(value); err != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.err = err
		return false
	}
	if e.line == nil {
		b.WriteString("\n")
	}
	return e.raw(b.Bytes())
}

func (e *events) raw(data []byte) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.write(data)
	if e.silent != nil && !e.ended {
		e.silent.Reset(e.c.s.o.Ping)
	}
	return e.err == nil
}

func (e *events) write(data []byte) {
	if e.err != nil {
		return
	}
	if h := e.c.w.Header(); e.c.w.status == 0 {
		h.Set("Content-Type", "text/event-stream; charset=utf-8")
		if e.line != nil {
			h.Set("Content-Type", "application/x-ndjson")
		}
		h.Set("Cache-Control", "no-cache")
		h.Set("X-Accel-Buffering", "no") // for nginx
		e.c.w.WriteHeader(http.StatusOK)
	}
	if _, e.err = e.c.w.Write(data); e.err == nil {
		e.err = http.NewResponseController(e.c.w).Flush()
	}
}

// finish ends the stream: with done, or with the error if the answer has begun.
func (e *events) finish(err error, done string) error {
	e.mu.Lock()
	begun := e.c.w.status != 0
	e.ended = e.ended || err != nil // so that no ping begins the answer before the error
	e.mu.Unlock()
	if err != nil {
		if begun {
			told := asAPIError(e.c.r.Context(), err)
			if body := told.body(); e.line != nil {
				e.send(map[string]any{"error": told.message})
			} else {
				e.send(body)
			}
		}
		return err
	}
	if done != "" {
		e.raw([]byte(done))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err != nil {
		return errGone
	}
	return nil
}

// close stops the pings.
func (e *events) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended = true
	if e.silent != nil {
		e.silent.Stop()
	}
}

// sseDone is how OpenAI ends a stream.
const sseDone = "data: [DONE]\n\n"

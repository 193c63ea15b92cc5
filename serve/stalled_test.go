package serve

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// silent is the server's side of a connection to a client that sends a request, or half of one, takes so many bytes of the answer, and does
// nothing more. Whoever then waits for what is owed, with a deadline, is told at once that the time is over.
type silent struct {
	net.Conn // of which nothing is there but what is below
	request  *strings.Reader
	half     bool
	room     int

	mu          sync.Mutex
	changed     sync.Cond
	answer      bytes.Buffer
	read, write time.Time // the deadlines
	closed      bool
}

func newSilent(request string, half bool, room int) *silent {
	c := &silent{request: strings.NewReader(request), half: half, room: room}
	c.changed.L = &c.mu
	return c
}

// wait returns when the connection is closed, the deadline has passed, or, where something is owed, there is one.
func (c *silent) wait(deadline *time.Time, owed bool) error {
	for !c.closed && (deadline.IsZero() || !owed && deadline.After(time.Now())) {
		c.changed.Wait()
	}
	if c.closed {
		return net.ErrClosed
	}
	return os.ErrDeadlineExceeded
}

func (c *silent) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.request.Len() > 0 {
		return c.request.Read(p)
	}
	return 0, c.wait(&c.read, c.half)
}

func (c *silent) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.room -= len(p); c.room >= 0 {
		return c.answer.Write(p)
	}
	return 0, c.wait(&c.write, true)
}

func (c *silent) change(what func()) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	what()
	c.changed.Broadcast()
	return nil
}

func (c *silent) SetReadDeadline(t time.Time) error  { return c.change(func() { c.read = t }) }
func (c *silent) SetWriteDeadline(t time.Time) error { return c.change(func() { c.write = t }) }
func (c *silent) SetDeadline(t time.Time) error      { return c.change(func() { c.read, c.write = t, t }) }
func (c *silent) Close() error                       { return c.change(func() { c.closed = true }) }
func (c *silent) LocalAddr() net.Addr                { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (c *silent) RemoteAddr() net.Addr               { return c.LocalAddr() }

// only is a listener with one connection.
type only struct {
	once sync.Once
	conn *silent
}

func (l *only) Accept() (conn net.Conn, err error) {
	err = net.ErrClosed
	l.once.Do(func() { conn, err = l.conn, nil })
	return conn, err
}

func (l *only) Close() error   { return nil }
func (l *only) Addr() net.Addr { return l.conn.LocalAddr() }

// Who takes nothing, or sends half a body, is let go, and his place is another's.
func TestStalledClientsAreLetGo(t *testing.T) {
	c := begin(t, Options{Parallel: 1, Queue: -1, Stall: time.Hour})
	const body = `{"prompt":"ROMEO:","max_tokens":10000000,"stream":true,"echo":true,"n":16,"logprobs":20}`
	for name, r := range map[string]struct {
		sent int // of the body
		room int
		want string
	}{
		"half a body":  {len(body) / 2, 1 << 10, "HTTP/1.1 400 "},
		"no body":      {0, 1 << 10, "HTTP/1.1 400 "},
		"takes a part": {len(body), 1 << 14, "HTTP/1.1 200 "},
		"takes none":   {len(body), 0, ""},
	} {
		conn := newSilent(fmt.Sprintf("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			len(body), body[:r.sent]), r.sent < len(body), r.room)
		server := HTTPServer(c.server, c.server.o.Log)
		ended := make(chan struct{})
		server.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				close(ended)
			}
		}
		server.Serve(&only{conn: conn})
		<-ended
		if got := conn.answer.String(); !strings.HasPrefix(got, r.want) || len(got) > r.room {
			t.Errorf("%s: got %.100q of %d bytes, want %s", name, got, len(got), r.want)
		}
		until(func() bool { busy, _ := c.server.gate.counts(); return busy == 0 }) // or the time limit of go test shows who stays
	}
	if got := c.text(`{"prompt":"a","max_tokens":1,"temperature":0}`); got == "" {
		t.Error("nothing goes on after who took nothing")
	}
}

// A client that sends, or takes, a byte now and then has a bounded time in all.
func TestSlowClientsHaveABoundedTime(t *testing.T) {
	p := pace{stall: time.Second}
	for range 1000 {
		left := p.left()
		if left > time.Second {
			t.Fatalf("got %v for one byte, want a second at most", left)
		}
		p.count(left*9/10, 1)
	}
	if p.waited > 3*time.Second || p.left() > 100*time.Millisecond {
		t.Errorf("waited %v in all, want 2 s and what the bytes take", p.waited)
	}
	quick := pace{stall: time.Second}
	for range 1000 { // as slow as is allowed, for long
		quick.count(time.Second, slowestLine)
	}
	if quick.left() < time.Second {
		t.Error("who sends all the time is let go")
	}
}

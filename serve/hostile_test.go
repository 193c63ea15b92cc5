package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bitgpu"
	"bitgpu/io/chat"
)

// dial connects without a client that minds its manners.
func (c *client) dial() net.Conn {
	c.t.Helper()
	conn, err := net.Dial("tcp", c.http.Listener.Addr().String())
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	return conn
}

// zeros are n bytes, and count what was taken of them.
type zeros struct{ left, taken int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.left)
	z.left -= n
	z.taken += n
	for i := range p[:n] {
		p[i] = ' '
	}
	return int(n), nil
}

// Bodies of a gigabyte are refused, said so or not, after no more of them than the limit, what is passed over, and what is under way.
func TestGigabyteBodies(t *testing.T) {
	c := begin(t, Options{BodyLimit: 1 << 20})
	heap := heapBytes()
	for _, path := range []string{"/v1/completions", "/v1/chat/completions", "/v1/memories/mem_X/learn", "/api/generate", "/tokenize", "/v1/memories"} {
		for _, said := range []bool{true, false} {
			body := &zeros{left: 1 << 30}
			r, err := http.NewRequest("POST", c.http.URL+path, io.NopCloser(body))
			if err != nil {
				t.Fatal(err)
			}
			if r.Header.Set("Content-Type", "application/json"); said {
				r.ContentLength = 1 << 30
			}
			w, err := c.http.Client().Do(r)
			if err == nil { // else it broke off while the client was still sending
				w.Body.Close()
				if w.StatusCode != http.StatusRequestEntityTooLarge {
					t.Errorf("%s: got %d, want 413", path, w.StatusCode)
				}
			}
			if body.taken > 64<<20 {
				t.Errorf("%s: %d bytes were taken", path, body.taken)
			}
		}
	}
	until(func() bool { return c.server.bodies.Load() == 0 })
	if grown := heapBytes() - heap; grown > 32<<20 {
		t.Errorf("%d bytes are kept", grown)
	}
}

// Who sends all of a large body before he reads anything is answered, whatever it is refused for.
func TestLargeBodiesAreAnswered(t *testing.T) {
	c := begin(t, Options{BodyLimit: 1 << 20})
	body := strings.Repeat(" ", 20<<20)
	for line, want := range map[string]string{
		"POST /v1/completions HTTP/1.1\r\nContent-Type: application/json": "413", "POST /api/generate HTTP/1.1": "413",
		"POST /v1/memories HTTP/1.1\r\nContent-Type: " + memoryType: "413", "POST /v1/completions HTTP/1.1": "415", "POST /v2 HTTP/1.1": "404",
	} {
		conn := c.dial()
		fmt.Fprintf(conn, "%s\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", line, len(body))
		_, err := io.WriteString(conn, body)
		answer, _ := io.ReadAll(io.LimitReader(conn, 12))
		if err != nil || string(answer) != "HTTP/1.1 "+want {
			t.Errorf("%s: got %q and %v, want %s", line, answer, err, want)
		}
		conn.Close()
	}
}

// All bodies together have a limit, too.
func TestBodiesTogether(t *testing.T) {
	c := begin(t, Options{BodyLimit: 1000})
	c.server.bodies.Store(mostBodies*1000 - 10)
	a := c.post("/v1/completions", `{"prompt":"a","max_tokens":1}`)
	checkRefusal(t, "too many", a, 503, "bodies", "")
	if a.header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	until(func() bool { return c.server.bodies.Load() == mostBodies*1000-10 })
	c.server.bodies.Store(0)
	if got := c.text(`{"prompt":"a","max_tokens":1,"temperature":0}`); got == "" {
		t.Error("nothing goes on behind it")
	}
}

// Heads without end, without sense or without a rest are answered or let go, and cost nobody else anything.
func TestHostileHeads(t *testing.T) {
	c := begin(t, Options{})
	goroutines := runtime.NumGoroutine()
	for range 200 { // half-open: they never say a word
		c.dial()
	}
	var many strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&many, "X-Header-%d: %d\r\n", i, i)
	}
	for _, r := range []struct{ send, want string }{
		{"GET / HTTP/1.1\r\nHost: localhost\r\n" + many.String() + "\r\n", "431"},
		{"GET /" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\nHost: localhost\r\n\r\n", "431"},
		{"\xff\xfe\x00\r\n\r\n", "400"},
		{"GET / HTTP/1.1\r\n\r\n", "400"},
		{"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: -1\r\n\r\n", "400"},
		{"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n", "400"},
		{"GET /v1/memories/%ff%fe%00/file HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "404"},
	} {
		conn := c.dial()
		go io.WriteString(conn, r.send)
		conn.SetReadDeadline(time.Now().Add(time.Minute)) // a failure, not a measure
		answer, _ := io.ReadAll(io.LimitReader(conn, 100))
		if !bytes.HasPrefix(answer, []byte("HTTP/1.1 "+r.want)) {
			t.Errorf("%.60q: got %.60q, want %s", r.send, answer, r.want)
		}
		conn.Close()
	}
	if got := c.text(`{"prompt":"a","max_tokens":1,"temperature":0}`); got == "" {
		t.Error("nothing is answered beside them")
	}
	c.http.CloseClientConnections()
	c.http.Client().CloseIdleConnections()
	until(func() bool { return runtime.NumGoroutine() <= goroutines+8 })
}

// endsAfter is a context that ends when it has been asked so often.
type endsAfter struct {
	context.Context
	left atomic.Int64
}

func (c *endsAfter) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// Who goes away frees the place within one step: a piece of a prompt, or a token.
func TestWhoGoesFreesThePlaceWithinOneStep(t *testing.T) {
	c := begin(t, Options{PrefixLimit: -1})
	model, _ := demoModel()
	ids, err := model.Encode(strings.Repeat("What light through yonder window breaks? ", 200), true)
	if err != nil {
		t.Fatal(err)
	}
	for _, pieces := range []int64{0, 1, 2} {
		session, err := model.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		ctx := &endsAfter{Context: t.Context()}
		ctx.left.Store(pieces)
		one := &call{s: c.server, r: httptest.NewRequest("POST", "/", nil).WithContext(ctx)}
		if err := one.read(&text{session: session}, ids); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want an end", err)
		}
		if got := session.Position(); got > (pieces+1)*int64(model.PieceTokens()) {
			t.Errorf("got %d tokens read, want %d pieces at most", got, pieces+1)
		}
		session.Close()
	}
	session, err := model.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if _, err := session.ReadTokens(t.Context(), ids[:10]); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	one := &call{s: c.server, start: time.Now(), r: httptest.NewRequest("POST", "/", nil).WithContext(ctx)}
	shown := 0
	one.write(session, bitgpu.TokenOptions{Options: bitgpu.Options{MaxTokens: 1000, Temperature: 1}}, -1, func(piece) bool {
		if shown++; shown == 5 {
			cancel()
		}
		return true
	})
	if shown > 6 || session.Position() > 10+2*5+2 {
		t.Errorf("got %d pieces and %d tokens, want the end within a token of the fifth", shown, session.Position())
	}
}

// While long prompts are read, a short one waits for one piece of each, and then writes a token a piece. It is asked for again where the
// system has kept it from running while they went on.
func TestShortPromptsAreNotKeptWaiting(t *testing.T) {
	c := begin(t, Options{PrefixLimit: -1})
	model, _ := demoModel()
	ids, err := model.Encode(strings.Repeat("What light through yonder window breaks? ", 40), true)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	const readers, tokens = 3, 4
	var all sync.WaitGroup
	var pieces atomic.Int64
	for range readers {
		all.Go(func() {
			session, err := model.NewSession()
			if err != nil {
				t.Error(err)
				return
			}
			defer session.Close()
			one := &call{s: c.server, r: httptest.NewRequest("POST", "/", nil).WithContext(ctx)}
			for ctx.Err() == nil {
				one.read(&text{session: session}, ids[:model.PieceTokens()])
				pieces.Add(1)
			}
		})
	}
	until(func() bool { return pieces.Load() > readers })
	const most = readers + 2*tokens + 4
	least := int64(math.MaxInt64)
	for try := 0; try < 30 && least > most; try++ {
		w := httptest.NewRecorder() // as a network would take its time
		r := httptest.NewRequest("POST", "/v1/completions", strings.NewReader(fmt.Sprintf(`{"prompt":"ROMEO:","max_tokens":%d}`, tokens)))
		r.Header.Set("Content-Type", "application/json")
		before := pieces.Load()
		c.server.ServeHTTP(w, r)
		least = min(least, pieces.Load()-before)
		answer{status: w.Code, body: w.Body.String()}.object(t)
	}
	cancel()
	all.Wait()
	if least > most {
		t.Errorf("got %d pieces of long prompts before the end of %d tokens, want %d at most", least, tokens, most)
	}
}

// Values deep within values are passed over, or refused by a sentence, wherever a request takes any.
func TestDeepValues(t *testing.T) {
	template, err := chat.Parse(jsonCalls)
	if err != nil {
		t.Fatal(err)
	}
	c := begin(t, Options{Template: template})
	const said = `"messages":[{"role":"user","content":"a"}],"max_tokens":1`
	for _, r := range []struct {
		path, body string
		statuses   [3]int // at three depths
		want       string // at the deepest that JSON is read to
	}{
		{"/v1/completions", `{"prompt":DEEP}`, [3]int{400, 400, 400}, "prompt: got another type"},
		{"/v1/completions", `{"prompt":"a","max_tokens":1,"metadata":DEEP}`, [3]int{200, 200, 400}, ""},
		{"/v1/chat/completions", `{` + said + `,"tools":[{"type":"function","function":{"name":"f","parameters":DEEP}}]}`, [3]int{200, 400, 400}, "tools: chat: JSON at byte"},
		{"/v1/chat/completions", `{` + said + `,"response_format":{"type":"json_schema","json_schema":{"schema":{"default":DEEP}}}}`, [3]int{200, 400, 400}, "deeper than 100"},
		{"/v1/chat/completions", `{` + said + `,"chat_template_kwargs":{"x":DEEP}}`, [3]int{200, 400, 400}, "deeper than 500 levels"},
		{"/v1/chat/completions", `{` + said + `,"tool_choice":DEEP}`, [3]int{400, 400, 400}, "tool_choice: got [["},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":DEEP}]}`, [3]int{400, 400, 400}, "messages[0].content: got another type"},
		{"/v1/responses", `{"input":DEEP}`, [3]int{400, 400, 400}, "input"},
		{"/api/generate", `{"prompt":"a","stream":false,"options":{"num_predict":1,"num_ctx":DEEP}}`, [3]int{200, 200, 400}, ""},
	} {
		for i, depth := range []int{50, 9000, 1_000_000} {
			body := strings.Replace(r.body, "DEEP", strings.Repeat("[", depth)+strings.Repeat("]", depth), 1)
			a := c.post(r.path, body)
			if a.status != r.statuses[i] || depth == 9000 && !strings.Contains(a.body, r.want) || depth > 9000 && !strings.Contains(a.body, "exceeded max depth") {
				t.Errorf("%s: %.90s at depth %d: got %d %.200s, want %d", r.path, r.body, depth, a.status, a.body, r.statuses[i])
			}
		}
	}
}

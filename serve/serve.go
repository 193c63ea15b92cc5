package serve

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"bitgpu"
	"bitgpu/io/chat"
	"bitgpu/io/jsonform"
)

// Server answers requests with a model. It is an [http.Handler].
type Server struct {
	o        Options
	model    *bitgpu.Model
	features chat.Features // of the template

	ownTemplate bool // it is not the model's
	created     time.Time
	gate        *gate
	guard       *guard
	store       memories
	prefixes    *prefixes
	metrics     *metrics
	answers     *answers
	reading     *semaphore.Weighted // of the tokens that are read between two steps of the texts being written
	vocabulary  func() (*jsonform.Vocabulary, error)
	local       func() (map[string]localFile, error)
	handler     http.Handler
	bodies      atomic.Int64 // total bytes of the bodies of requests in progress
	uploads     atomic.Int64 // memory files being uploaded

	mu      sync.Mutex
	running int           // requests in progress
	ended   chan struct{} // closed when draining and no request is running
	drained bool
}

// New serves a model, which still belongs to the caller and must not be closed before the server. The error is [ErrOption],
// one of the model, or says that memories cannot be kept where the options say.
func New(model *bitgpu.Model, o Options) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, model: model, created: time.Now(), ended: make(chan struct{}), reading: semaphore.NewWeighted(int64(model.PieceTokens()))}
	if s.guard, err = newGuard(o); err != nil {
		return nil, err
	}
	if s.o.Template == nil {
		s.o.Template = model.ChatTemplate()
	} else {
		s.ownTemplate = true
	}
	if s.o.Template != nil {
		s.features = s.o.Template.Features()
	}
	s.gate = newGate(o.Parallel, o.Queue, len(o.Keys) > 1)
	if s.store, err = openMemories(model, o); err != nil {
		return nil, err
	}
	s.prefixes = newPrefixes(model, o.PrefixLimit, s.store.measured().size)
	s.answers = newAnswers(model, o.ResidentLimit)
	s.metrics = newMetrics(s)
	s.vocabulary = vocabulary(model)
	s.local = localFiles(o.Local)
	s.handler = s.routes()
	return s, nil
}

// Drain refuses new and waiting requests. It returns when the others have ended, or with the context's error.
func (s *Server) Drain(ctx context.Context) error {
	s.mu.Lock()
	if !s.drained {
		s.drained = true
		if s.running == 0 {
			close(s.ended)
		}
	}
	s.mu.Unlock()
	s.gate.close()
	select {
	case <-s.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close drains and releases what the server holds. It waits for requests in progress.
func (s *Server) Close() error {
	s.Drain(context.Background())
	return s.store.close()
}

// begin counts a request, unless the server is ending.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drained {
		return false
	}
	s.running++
	return true
}

// more counts what a request leaves behind, which ends like a request.
func (s *Server) more() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running++
}

func (s *Server) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running--; s.running == 0 && s.drained {
		close(s.ended)
	}
}

func (s *Server) draining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drained
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// call is a request in progress.
type call struct {
	s      *Server
	w      *recorder
	r      *http.Request
	id     string
	owner  string // whose key it came with: what it creates belongs to them
	plain  bool   // errors in ollama's form
	start  time.Time
	usage  usage
	held   int64          // bytes of its body
	ending sync.WaitGroup // sessions that are being closed
	model  string         // the model asked for, as written
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	pace   pace
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write limits the time for a client that does not read.
func (w *recorder) Write(data []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	// Writers without deadlines, such as a test's recorder, need no limit.
	began := time.Now()
	http.NewResponseController(w.ResponseWriter).SetWriteDeadline(began.Add(w.pace.left()))
	n, err := w.ResponseWriter.Write(data)
	w.pace.count(time.Since(began), n)
	return n, err
}

// pace limits how long to wait for a client: stall for each write or read, and in total twice stall plus the time that the
// bytes so far take on the slowest line that we accept. The second limit stops clients that stay just within the first.
type pace struct {
	stall  time.Duration
	waited time.Duration
	bytes  int64
}

const slowestLine = 16 << 10 // bytes per second

// left returns how long the next write or read may take.
func (p *pace) left() time.Duration {
	all := 2*p.stall + time.Duration(p.bytes)*time.Second/slowestLine
	return min(p.stall, all-p.waited)
}

// count adds n bytes that took some time.
func (p *pace) count(took time.Duration, n int) {
	p.waited += took
	p.bytes += int64(n)
}

// Unwrap gives [http.ResponseController] access.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// stallReader reads a body, and limits the time for a client that does not send.
type stallReader struct {
	c    *call
	from io.ReadCloser
	pace pace
}

// bodyReader returns the body to read.
func (c *call) bodyReader() io.ReadCloser {
	return &stallReader{c: c, from: c.r.Body, pace: pace{stall: c.s.o.Stall}}
}

func (r *stallReader) Read(p []byte) (int, error) {
	control := http.NewResponseController(r.c.w.ResponseWriter)
	began := time.Now()
	control.SetReadDeadline(began.Add(r.pace.left()))
	n, err := r.from.Read(p)
	r.pace.count(time.Since(began), n)
	if err == io.EOF {
		control.SetReadDeadline(time.Time{}) // from now on the connection is only watched for its end
	}
	return n, err
}

func (r *stallReader) Close() error { return r.from.Close() }

// access says who may call a route.
type access int

const (
	open   access = iota // anyone, even while the server is ending
	keyed                // with a key
	ollama               // with a key, and with errors in ollama's form
)

// handle makes an [http.Handler] from a function whose error is sent to the client.
func (s *Server) handle(route string, who access, f func(c *call) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		c := &call{s: s, w: &recorder{ResponseWriter: w, pace: pace{stall: s.o.Stall}}, r: r, id: rand.Text(), start: start, plain: who == ollama}
		c.w.Header().Set("X-Request-Id", c.id)
		c.w.Header().Set("X-Content-Type-Options", "nosniff")
		if r.ContentLength != 0 { // even of a body that nobody needs: its rest is read after the answer
			http.NewResponseController(w).SetReadDeadline(start.Add(s.o.Stall))
		}
		if s.o.Timeout > 0 {
			ctx, cancel := context.WithTimeoutCause(r.Context(), s.o.Timeout, errTimeout)
			defer cancel()
			c.r = r.WithContext(ctx)
		}
		err := c.serve(who, f)
		s.bodies.Add(-c.held)
		var told *apiError
		if err != nil {
			told = asAPIError(c.r.Context(), err)
			if c.w.status == 0 {
				if told != errBody {
					c.passOver()
				}
				c.refuse(told)
			}
		}
		s.account(c, route, start, err, told)
	})
}

func (c *call) serve(who access, f func(c *call) error) (err error) {
	defer func() {
		switch x := recover(); x {
		case nil:
		case http.ErrAbortHandler:
			panic(x)
		default:
			err = fmt.Errorf("panic: %v", x)
			c.s.logPanic(c, x)
		}
	}()
	if c.owner, err = c.s.guard.check(c.w, c.r, who != open); err != nil {
		return err
	}
	if who != open {
		if !c.s.begin() {
			return errDraining()
		}
		defer c.s.end()
	}
	return f(c)
}

// refuse answers with an error.
func (c *call) refuse(e *apiError) {
	if e.retry > 0 {
		c.w.Header().Set("Retry-After", fmt.Sprint(e.retry))
	}
	if e.status == http.StatusUnauthorized {
		c.w.Header().Set("WWW-Authenticate", `Bearer realm="bitgpu"`)
	}
	body := e.body()
	if c.plain {
		body = map[string]any{"error": e.message}
	}
	c.answer(e.status, body)
}

// answer writes a value as JSON.
func (c *call) answer(status int, value any) error {
	c.w.Header().Set("Content-Type", "application/json")
	c.w.WriteHeader(status)
	if err := newEncoder(c.w).Encode(value); err != nil {
		return fmt.Errorf("%w: %w", context.Canceled, err)
	}
	return nil
}

// newEncoder returns an encoder that does not escape < and >: its output is not HTML.
func newEncoder(w io.Writer) *json.Encoder {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e
}

// place waits for a place at work. After leave it is free as soon as the call's sessions are closed.
func (c *call) place() (leave func(), err error) {
	free, err := c.s.gate.enter(c.r.Context(), c.owner)
	if err != nil {
		return nil, err
	}
	return func() {
		c.s.more()
		c.s.gate.leaveAfter(&c.ending, func() {
			free()
			c.s.end()
		})
	}, nil
}

// checkModel refuses a model that is not served. Names are case-sensitive; ollama's may end in ":latest".
func (c *call) checkModel(name string) error {
	c.model = name
	if name == "" || name == c.s.o.Name || c.plain && strings.TrimSuffix(name, ":latest") == c.s.o.Name {
		return nil
	}
	e := notFound("model_not_found", "model: got %.200q, want %q", name, c.s.o.Name)
	e.param = "model"
	return e
}

// needText returns an error if there is no tokenizer.
func (c *call) needText() error {
	if !c.s.model.HasTokenizer() {
		return bitgpu.ErrNoTokenizer
	}
	return nil
}

// errGone is the error of a client that has disconnected.
var errGone = errors.New("the client has gone")

package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"bitgpu"
	"bitgpu/nn/storage/public/publictest"
)

// Sixty-four at a time, some of which go away anywhere: every text is the one that the model writes alone, byte for byte.
func TestConcurrentTextsEqualThoseAlone(t *testing.T) {
	model, err := demoModel()
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("What light through yonder window breaks? It is the east. ", 40)
	c := beginWith(t, model, Options{Parallel: 16, Queue: 64})
	c.concurrent(requestsOf(t, model, few(64, 32), 30, []string{"ROMEO:", "O, she doth teach", "JULIET:\nAy me!", long, long + "And", long[:1500]}), 64)
	if n, _ := c.server.prefixes.totals(); n == 0 {
		t.Error("no beginning of a prompt was kept")
	}
}

// The same on Mesa's software adapter, of a small model.
func TestConcurrentTextsOnAGPU(t *testing.T) {
	model, err := bitgpu.Load("../testdata/reference/d32-delta", bitgpu.WithBackend(bitgpu.GPU), bitgpu.WithAdapter(cmp.Or(os.Getenv("BITGPU_ADAPTER"), "software")))
	if errors.Is(err, bitgpu.ErrNoGPU) && os.Getenv("BITGPU_REQUIRE_GPU") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { model.Close() })
	c := beginWith(t, model, Options{Parallel: 8, Queue: 64})
	c.concurrent(requestsOf(t, model, 48, 12, []string{"the ship", "a", strings.Repeat("the sea and the ship ", 30)}), 64)
}

// Ten thousand short requests take the same few places one after the other: none sees what another has left, and nothing grows.
func TestPlacesAreUsedAgain(t *testing.T) {
	families := map[string]string{"own": "../testdata/reference/d32-delta", "attention": publictest.File(t, "qwen3")}
	for name, path := range families {
		model, err := bitgpu.Load(path, bitgpu.WithBackend(bitgpu.CPU))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { model.Close() })
		c := beginWith(t, model, Options{Parallel: 8, Queue: 64})
		c.http.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = 64
		some := requestsOf(t, model, 60, 4, []string{"the ship", "a", "sea", "He said, and then"})
		n := map[string]int{"own": few(8000, 300), "attention": few(2000, 100)}[name]
		c.concurrent(some, 64) // what is made once is there
		goroutines, heap := runtime.NumGoroutine(), heapBytes()
		var all []request
		for i := range n {
			all = append(all, some[i*7%len(some)])
		}
		c.concurrent(all, 64)
		c.http.Client().CloseIdleConnections()
		until(func() bool { return runtime.NumGoroutine() <= goroutines+8 })
		if grown := heapBytes() - heap; grown > 8<<20 {
			t.Errorf("%s: %d bytes more than %d requests before", name, grown, n)
		}
	}
}

// few is a number that the race detector has time for, unless BITGPU_LONG gives it any.
func few(normal, race int) int {
	if raceDetector && os.Getenv("BITGPU_LONG") == "" {
		return race
	}
	return normal
}

func heapBytes() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// request is a completion, what it gives alone, and the bytes of the stream after which the client goes, 0 for never.
type request struct {
	body, want string
	abort      int
}

// requestsOf makes n requests of at most so many tokens, and has the model write each alone.
func requestsOf(t *testing.T, model *bitgpu.Model, n, tokens int, prompts []string) (all []request) {
	t.Helper()
	random := rand.New(rand.NewPCG(3, 4))
	for i := range n {
		prompt := prompts[i%len(prompts)]
		o := bitgpu.Options{MaxTokens: 1 + random.IntN(tokens), Temperature: 0.9, TopK: random.IntN(50), Seed: uint64(random.IntN(1000))}
		want, err := model.Generate(t.Context(), prompt, o)
		if err != nil {
			t.Fatal(err)
		}
		r := request{fmt.Sprintf(`{"prompt":%s,"max_tokens":%d,"temperature":0.9,"top_k":%d,"seed":%d,"stream":%v}`,
			quote(prompt), o.MaxTokens, o.TopK, o.Seed, i%2 == 0), want, 0}
		if i%4 == 0 {
			r.abort = 1 + random.IntN(300)
		}
		all = append(all, r)
	}
	return all
}

// concurrent sends requests, so many at a time, and compares the texts with those alone.
func (c *client) concurrent(requests []request, together int) {
	t := c.t
	work := make(chan request)
	var all sync.WaitGroup
	for range together {
		all.Go(func() {
			for r := range work {
				if r.abort > 0 {
					c.abort(r.body, r.abort)
					continue
				}
				a := c.post("/v1/completions", r.body)
				got := ""
				if strings.HasSuffix(r.body, `"stream":true}`) {
					for _, e := range eventsOf(t, a.body) {
						s, _ := at(e, "choices", 0, "text").(string)
						got += s
					}
				} else {
					got, _ = at(a.object(t), "choices", 0, "text").(string)
				}
				if got != r.want {
					t.Errorf("%s: got %q, want %q", r.body[max(0, len(r.body)-90):], got, r.want)
				}
			}
		})
	}
	for _, r := range requests {
		work <- r
	}
	close(work)
	all.Wait()
	c.idle()
}

// abort reads n bytes of a stream and goes.
func (c *client) abort(body string, n int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "POST", c.http.URL+"/v1/completions", strings.NewReader(body))
	if err != nil {
		c.t.Error(err)
		return
	}
	r.Header.Set("Content-Type", "application/json")
	w, err := c.http.Client().Do(r)
	if err != nil {
		c.t.Error(err)
		return
	}
	io.ReadFull(w.Body, make([]byte, n)) // it may be longer than the text
	cancel()
	w.Body.Close()
}

// What prompts begin with is not read again, the text is the same bit by bit, and one key's beginnings are no other's.
func TestPrefixesAreExact(t *testing.T) {
	c := begin(t, Options{Keys: []string{"first", "second"}}).as("first")
	model, _ := demoModel()
	rules := strings.Repeat("Thou shalt answer in verse, and briefly. ", 60)
	ids, err := model.Encode(rules, true)
	if err != nil {
		t.Fatal(err)
	}
	whole := (len(ids) - 1) / model.PieceTokens() * model.PieceTokens()
	if whole < 2*model.PieceTokens() {
		t.Fatalf("%d tokens are too few", len(ids))
	}
	ask := func(c *client, prompt string) (text string, cached float64) {
		v := c.post("/v1/completions", `{"prompt":`+quote(prompt)+`,"max_tokens":30,"seed":9}`).object(t)
		return at(v, "choices", 0, "text").(string), at(v, "usage", "prompt_tokens_details", "cached_tokens").(float64)
	}
	for i, r := range []struct {
		as     string
		prompt string
		cached int
	}{
		{"first", rules + "\nROMEO:", 0}, {"first", rules + "\nROMEO:", whole}, {"first", rules + "\nJULIET:", whole}, {"second", rules + "\nROMEO:", 0},
		{"first", rules[:1600], model.PieceTokens() * 2}, {"first", "ROMEO:", 0},
	} {
		want, err := model.Generate(t.Context(), r.prompt, bitgpu.Options{MaxTokens: 30, Temperature: 1, Seed: 9})
		if err != nil {
			t.Fatal(err)
		}
		text, cached := ask(c.as(r.as), r.prompt)
		if text != want || i != 4 && cached != float64(r.cached) {
			t.Errorf("request %d: got %q with %v tokens from before, want %q with %d", i, text, cached, want, r.cached)
		}
	}
	session, err := model.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	state, err := session.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	small := newPrefixes(model, 2*state.Bytes()+1, func(int64) int64 { return 1 })
	for n := model.PieceTokens(); n < len(ids); n += model.PieceTokens() {
		if err := small.offer("a", ids, n, session); err != nil {
			t.Fatal(err)
		}
	}
	if n, bytes := small.totals(); n != 2 || bytes != 2*state.Bytes() {
		t.Errorf("got %d beginnings of %d bytes, want two", n, bytes)
	}
}

// A long prompt is kept at few places, the last of them among these.
func TestPlaces(t *testing.T) {
	for n, want := range map[int]string{
		1: "[]", 256: "[]", 257: "[256]", 513: "[512 256]", 2000: "[1792 1024 512 256]", 256 * 8: "[1792 1024 512 256]", 256*8 + 1: "[2048 1024 512 256]",
	} {
		if got := fmt.Sprint(places(n, 256)); got != want {
			t.Errorf("%d tokens: got %s, want %s", n, got, want)
		}
	}
}

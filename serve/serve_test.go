package serve

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"bitgpu"
	"bitgpu/demo"
	"bitgpu/io/chat"
)

// template is of the structure that conversations of small models have.
const template = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"

var demoModel = sync.OnceValues(func() (*bitgpu.Model, error) {
	return bitgpu.LoadBytes(demo.Name, demo.Model, bitgpu.WithBackend(bitgpu.CPU))
})

// client talks to a server of a test.
type client struct {
	t      testing.TB
	server *Server
	others []*Server // behind the same address
	http   *httptest.Server
	key    string
	over   bool
}

func begin(t testing.TB, o Options) *client {
	t.Helper()
	model, err := demoModel()
	if err != nil {
		t.Fatal(err)
	}
	return beginWith(t, model, o)
}

// beginWith serves another model than the demo.
func beginWith(t testing.TB, model *bitgpu.Model, o Options) *client {
	t.Helper()
	if o.Name == "" {
		o.Name = "demo"
	}
	s, err := New(model, o)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, server: s, http: httptest.NewUnstartedServer(s)}
	c.http.Config = HTTPServer(s, s.o.Log)
	c.http.Start()
	t.Cleanup(c.end)
	return c
}

func (c *client) end() {
	if c.over {
		return
	}
	c.over = true
	c.http.Close()
	if err := c.server.Close(); err != nil {
		c.t.Error(err)
	}
}

// as is the client with another key.
func (c *client) as(key string) *client {
	other := *c
	other.key = key
	return &other
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (c *client) send(ctx context.Context, method, path, kind, body string) answer {
	c.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, c.http.URL+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if c.key != "" {
		r.Header.Set("Authorization", "Bearer "+c.key)
	}
	return c.do(r)
}

func (c *client) do(r *http.Request) answer {
	c.t.Helper()
	w, err := c.http.Client().Do(r)
	if err != nil {
		return answer{body: err.Error()}
	}
	defer w.Body.Close()
	data, err := io.ReadAll(w.Body)
	if err != nil {
		return answer{body: err.Error()}
	}
	return answer{w.StatusCode, w.Header, string(data)}
}

func (c *client) post(path, body string) answer {
	c.t.Helper()
	return c.send(c.t.Context(), "POST", path, "application/json", body)
}

func (c *client) get(path string) answer {
	c.t.Helper()
	return c.send(c.t.Context(), "GET", path, "", "")
}

// object decodes an answer that has to be a success.
func (a answer) object(t testing.TB) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil || a.status/100 != 2 {
		t.Fatalf("got status %d and %q, want a JSON object (%v)", a.status, a.body, err)
	}
	return v
}

// value decodes an answer, whatever it is.
func (a answer) value() (v any) {
	json.Unmarshal([]byte(a.body), &v)
	return v
}

// until waits for what others are about to do.
func until(done func() bool) {
	for !done() {
		runtime.Gosched()
	}
}

// idle waits until nobody is at work.
func (c *client) idle() {
	for _, s := range append(c.others, c.server) {
		until(func() bool { busy, waiting := s.gate.counts(); return busy == 0 && waiting == 0 })
	}
}

// at follows names and indices into a decoded value.
func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			list, _ := v.([]any)
			if p >= len(list) {
				return nil
			}
			v = list[p]
		}
	}
	return v
}

// text is the text of the first choice of a completion.
func (c *client) text(body string) string {
	c.t.Helper()
	s, ok := at(c.post("/v1/completions", body).object(c.t), "choices", 0, "text").(string)
	if !ok {
		c.t.Fatal("the choice has no text")
	}
	return s
}

// eventsOf are the values of a stream, which has to end with [DONE].
func eventsOf(t testing.TB, body string) (found []map[string]any) {
	t.Helper()
	lines := bufio.NewScanner(strings.NewReader(body))
	lines.Buffer(nil, 1<<20)
	done := false
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok || done {
			if lines.Text() != "" && !strings.HasPrefix(lines.Text(), ":") {
				t.Fatalf("got the line %q", lines.Text())
			}
			continue
		}
		if done = data == "[DONE]"; done {
			continue
		}
		var v map[string]any
		if err := json.Unmarshal([]byte(data), &v); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		found = append(found, v)
	}
	if !done {
		t.Fatalf("the stream does not end with [DONE]: %q", body)
	}
	return found
}

func parsed(t testing.TB) *chat.Template {
	t.Helper()
	found, err := chat.Parse(template)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// A completion is what the model itself writes, whole and as a stream.
func TestCompletionIsTheModelsText(t *testing.T) {
	c := begin(t, Options{})
	model, _ := demoModel()
	want, err := model.Generate(t.Context(), "ROMEO:", bitgpu.Options{MaxTokens: 30, Temperature: 0.8, TopP: 0.9, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	const fields = `"model":"demo","prompt":"ROMEO:","max_tokens":30,"temperature":0.8,"top_p":0.9,"seed":7`
	v := c.post("/v1/completions", "{"+fields+"}").object(t)
	if got := at(v, "choices", 0, "text"); got != want || at(v, "choices", 0, "finish_reason") != "length" || at(v, "object") != "text_completion" ||
		at(v, "usage", "completion_tokens") != 30.0 || at(v, "usage", "prompt_tokens") != 2.0 || at(v, "usage", "total_tokens") != 32.0 {
		t.Errorf("got %v, want the text %q", v, want)
	}
	a := c.post("/v1/completions", "{"+fields+`,"stream":true,"stream_options":{"include_usage":true}}`)
	if kind := a.header.Get("Content-Type"); kind != "text/event-stream; charset=utf-8" {
		t.Errorf("got the type %q", kind)
	}
	var text strings.Builder
	all := eventsOf(t, a.body)
	for i, e := range all[:len(all)-1] {
		text.WriteString(at(e, "choices", 0, "text").(string))
		if reason := at(e, "choices", 0, "finish_reason"); (reason == "length") != (i == len(all)-2) {
			t.Errorf("event %d: got the reason %v", i, reason)
		}
		if usage, ok := e["usage"]; !ok || usage != nil {
			t.Errorf("event %d: got the usage %v, want null", i, usage)
		}
	}
	if last := all[len(all)-1]; text.String() != want || at(last, "usage", "completion_tokens") != 30.0 || len(at(last, "choices").([]any)) != 0 {
		t.Errorf("got %q and at last %v, want %q", text.String(), last, want)
	}
	for _, body := range []string{
		`{"prompt":[%s],"max_tokens":30,"temperature":0.8,"top_p":0.9,"seed":7}`, `{"prompt":[[%s]],"max_tokens":30,"temperature":0.8,"top_p":0.9,"seed":7}`,
	} {
		ids, _ := model.Encode("ROMEO:", true)
		list := strings.Trim(strings.ReplaceAll(fmt.Sprint(ids), " ", ","), "[]")
		if got := c.text(fmt.Sprintf(body, list)); got != want {
			t.Errorf("%s: got %q, want %q", body, got, want)
		}
	}
	if got := c.text(`{"prompt":"ROMEO:","max_tokens":30,"temperature":0.8,"top_p":0.9,"seed":7,"logprobs":3}`); got != want {
		t.Errorf("with probabilities: got %q, want %q", got, want)
	}
}

// Several prompts and choices, echoes, stop texts, biases and probabilities.
func TestCompletionFields(t *testing.T) {
	c := begin(t, Options{})
	v := c.post("/v1/completions", `{"prompt":["ROMEO:","JULIET:"],"n":2,"max_tokens":5,"seed":1,"echo":true}`).object(t)
	for i, prompt := range []string{"ROMEO:", "ROMEO:", "JULIET:", "JULIET:"} {
		if text, _ := at(v, "choices", i, "text").(string); !strings.HasPrefix(text, prompt) || len(text) == len(prompt) || at(v, "choices", i, "index") != float64(i) {
			t.Errorf("choice %d: got %q", i, text)
		}
	}
	if at(v, "choices", 0, "text") == at(v, "choices", 1, "text") {
		t.Error("two choices are the same")
	}
	whole := c.text(`{"prompt":"ROMEO:","max_tokens":40,"seed":3,"temperature":0.5}`)
	stop := whole[8:12]
	v = c.post("/v1/completions", `{"prompt":"ROMEO:","max_tokens":40,"seed":3,"temperature":0.5,"stop":`+quote(stop)+`}`).object(t)
	if want := whole[:strings.Index(whole, stop)]; at(v, "choices", 0, "text") != want || at(v, "choices", 0, "finish_reason") != "stop" {
		t.Errorf("got %v, want %q", v, want)
	}
	if got := c.text(`{"prompt":"ROMEO:","max_tokens":3,"temperature":0,"logit_bias":{"70":100}}`); got != strings.Repeat(decode(t, 70), 3) {
		t.Errorf("with a bias: got %q", got)
	}
	if got := c.text(`{"prompt":"ROMEO:","max_tokens":3,"temperature":0,"logit_bias":{"70":100},"presence_penalty":2,"frequency_penalty":2}`); got != strings.Repeat(decode(t, 70), 3) {
		t.Errorf("with a bias above penalties: got %q", got)
	}
	plain, penalised := c.text(`{"prompt":"ROMEO:","max_tokens":60,"temperature":0}`), c.text(`{"prompt":"ROMEO:","max_tokens":60,"temperature":0,"frequency_penalty":2}`)
	if plain == penalised {
		t.Errorf("a penalty changes nothing: %q", plain)
	}
	v = c.post("/v1/completions", `{"prompt":"ROMEO:","max_tokens":2,"temperature":0,"logprobs":2,"echo":true}`).object(t)
	log := at(v, "choices", 0, "logprobs")
	if at(log, "token_logprobs", 0) != nil || at(log, "top_logprobs", 0) != nil || len(at(log, "tokens").([]any)) != 4 || at(log, "text_offset", 1) != 5.0 {
		t.Errorf("got %v", log)
	}
	for i := 1; i < 4; i++ {
		p, _ := at(log, "token_logprobs", i).(float64)
		if most := at(log, "top_logprobs", i).(map[string]any); !(p < 0) || most[at(log, "tokens", i).(string)] != p || len(most) < 2 {
			t.Errorf("token %d: got %v and %v", i, p, most)
		}
	}
	if v = c.post("/v1/completions", `{"prompt":"ROMEO:","max_tokens":0,"echo":true}`).object(t); at(v, "choices", 0, "text") != "ROMEO:" {
		t.Errorf("with nothing to write: got %v", v)
	}
}

func quote(s string) string {
	data, _ := json.Marshal(s)
	return string(data)
}

func decode(t *testing.T, id uint32) string {
	model, _ := demoModel()
	text, err := model.TokenText(id)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A conversation is rendered by the template and answered, whole and as a stream.
func TestChat(t *testing.T) {
	c := begin(t, Options{Template: parsed(t)})
	want := c.text(`{"prompt":"<|system|>Be brief.\n<|user|>Hello\n<|assistant|>","max_tokens":12,"seed":5}`)
	const fields = `"messages":[{"role":"developer","content":"Be brief."},{"role":"user","content":[{"type":"text","text":"Hel"},{"type":"text","text":"lo"}]}],"seed":5`
	v := c.post("/v1/chat/completions", `{`+fields+`,"max_tokens":12,"user":"somebody"}`).object(t)
	if got := at(v, "choices", 0, "message", "content"); got != strings.TrimLeft(want, "\n") || at(v, "choices", 0, "message", "role") != "assistant" ||
		at(v, "object") != "chat.completion" || at(v, "usage", "completion_tokens") != 12.0 {
		t.Errorf("got %v, want %q", v, want)
	}
	all := eventsOf(t, c.post("/v1/chat/completions", `{`+fields+`,"max_completion_tokens":12,"max_tokens":99,"stream":true,"logprobs":true,"top_logprobs":2}`).body)
	if at(all[0], "choices", 0, "delta", "role") != "assistant" || at(all[0], "object") != "chat.completion.chunk" {
		t.Errorf("the first event is %v", all[0])
	}
	var text strings.Builder
	logs := 0
	for _, e := range all {
		s, _ := at(e, "choices", 0, "delta", "content").(string)
		text.WriteString(s)
		list, _ := at(e, "choices", 0, "logprobs", "content").([]any)
		logs += len(list)
	}
	if last := all[len(all)-1]; text.String() != strings.TrimLeft(want, "\n") || logs != 12 || at(last, "choices", 0, "finish_reason") != "length" {
		t.Errorf("got %q with %d probabilities and at last %v, want %q", text.String(), logs, last, want)
	}
	none := begin(t, Options{})
	if a := none.post("/v1/chat/completions", `{`+fields+`}`); a.status != 400 || !strings.Contains(a.body, "no chat template") {
		t.Errorf("without a template: got %d %s", a.status, a.body)
	}
}

// No goroutine outlives the requests and the server.
func TestNothingIsLeft(t *testing.T) {
	demoModel()
	before := runtime.NumGoroutine()
	c := begin(t, Options{Parallel: 2})
	for i := range 8 {
		ctx, cancel := context.WithCancel(t.Context())
		r, _ := http.NewRequestWithContext(ctx, "POST", c.http.URL+"/v1/completions", strings.NewReader(`{"prompt":"ROMEO:","max_tokens":100000,"stream":true}`))
		r.Header.Set("Content-Type", "application/json")
		w, err := c.http.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(w.Body, make([]byte, 10*i)); err != nil {
			t.Fatal(err)
		}
		cancel()
		w.Body.Close()
	}
	c.http.Client().CloseIdleConnections()
	c.http.Close()
	c.server.Drain(t.Context())
	if busy, waiting := c.server.gate.counts(); busy != 0 || waiting != 0 {
		t.Errorf("got %d at work and %d waiting after all have gone", busy, waiting)
	}
	until(func() bool { return runtime.NumGoroutine() <= before }) // or the time limit of go test shows where they wait
}

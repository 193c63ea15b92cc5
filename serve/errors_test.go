package serve

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"bitgpu"
	"bitgpu/nn/storage/public/publictest"
)

// Every refusal has its status, OpenAI's shape and the name of what is refused.
func TestRefusals(t *testing.T) {
	c := begin(t, Options{Template: parsed(t), BodyLimit: 1 << 16})
	const chats, texts = "/v1/chat/completions", "/v1/completions"
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	for _, r := range []struct {
		path, body string
		status     int
		code, want string
	}{
		{texts, ``, 400, "invalid_json", "the body is not JSON"},
		{texts, `{"prompt":`, 400, "invalid_json", "the body is not JSON"},
		{texts, `{"prompt":"a"} x`, 400, "invalid_json", "the body is not JSON"},
		{texts, `[1]`, 400, "invalid_json", "the body is a JSON array, want an object"},
		{texts, `null`, 400, "invalid_json", "the body is null, want an object"},
		{texts, `{"prompt":` + deep + `}`, 400, "invalid_json", "the body is not JSON"},
		{chats, `{"messages":[{"role":"user","content":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}]}`, 400, "invalid_value", "messages[0].content: "},
		{chats, `{"messages":[{"role":"user","content":"x"}],"chat_template_kwargs":` + strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000) + `}`, 400, "invalid_json", "cannot be read"},
		{texts, "{\"prompt\":\"\xff\"}", 400, "invalid_json", "the body is not UTF-8"},
		{texts, `{"prompt":"` + strings.Repeat("x", 1<<16) + `"}`, 413, "too_large", "more than 65536 bytes"},
		{texts, `{"prompt":"a","model":"gpt-5"}`, 404, "model_not_found", `model: got "gpt-5", want "demo"`},
		{texts, `{"prompt":7}`, 400, "invalid_value", "prompt: "},
		{texts, `{"prompt":[1,"a"]}`, 400, "invalid_value", "prompt: "},
		{texts, `{"prompt":[-1]}`, 400, "invalid_value", "prompt: "},
		{texts, `{"prompt":[null]}`, 400, "invalid_value", "prompt: "},
		{texts, `{"prompt":[[1],null]}`, 400, "invalid_value", "prompt: "},
		{"/detokenize", `{"tokens":[null]}`, 400, "invalid_value", "tokens: "},
		{texts, `{"prompt":[1024]}`, 400, "invalid_value", "token id out of range"},
		{texts, `{"prompt":[1024],"echo":true,"logprobs":1}`, 400, "invalid_value", "token id out of range"},
		{texts, `{"prompt":""}`, 400, "invalid_value", "the prompt is empty"},
		{texts, `{}`, 400, "invalid_value", "the prompt is empty"},
		{texts, `{"prompt":"a","memory":""}`, 400, "invalid_value", `memory: got "", want the id of a memory`},
		{chats, `{"messages":[{"role":"user","content":"a"}],"memory": ""}`, 400, "invalid_value", `memory: got "", want the id of a memory`},
		{texts, `{"prompt":"a","tempo":1}`, 400, "unknown_parameter", `no field "tempo" is known here`},
		{texts, `{"prompt":"a","best_of":2}`, 400, "unsupported_parameter", "best_of is not supported"},
		{texts, `{"prompt":"a","suffix":"b"}`, 400, "unsupported_parameter", "suffix is not supported"},
		{texts, `{"prompt":"a","temperature":2.5}`, 400, "invalid_value", "temperature: got 2.5, want 0 to 2"},
		{texts, `{"prompt":"a","temperature":"1"}`, 400, "invalid_value", "temperature: got a JSON string, want a number"},
		{texts, `{"prompt":"a","top_p":-0.5}`, 400, "invalid_value", "top_p: got -0.5"},
		{texts, `{"prompt":"a","top_k":-1}`, 400, "invalid_value", "top_k: got -1"},
		{texts, `{"prompt":"a","min_p":2}`, 400, "invalid_value", "min_p: got 2"},
		{texts, `{"prompt":"a","frequency_penalty":3}`, 400, "invalid_value", "frequency_penalty: got 3"},
		{texts, `{"prompt":"a","presence_penalty":-3}`, 400, "invalid_value", "presence_penalty: got -3"},
		{texts, `{"prompt":"a","repeat_penalty":-3}`, 400, "invalid_value", "repeat_penalty: got -3"},
		{texts, `{"prompt":"a","max_tokens":-1}`, 400, "invalid_value", "max_tokens: got -1"},
		{texts, `{"prompt":"a","max_tokens":1.5}`, 400, "invalid_value", "max_tokens: got a JSON number 1.5, want a whole number"},
		{texts, `{"prompt":"a","max_tokens":1e9}`, 400, "invalid_value", "max_tokens: "},
		{texts, `{"prompt":"a","n":0}`, 400, "invalid_value", "n: got 0, want 1 to 16"},
		{texts, `{"prompt":"a","n":17}`, 400, "invalid_value", "n: got 17, want 1 to 16"},
		{texts, `{"prompt":"a","logprobs":21}`, 400, "invalid_value", "logprobs: got 21, want 0 to 20"},
		{texts, `{"prompt":"a","stop":[""]}`, 400, "invalid_value", "stop: got a text of 0 bytes"},
		{texts, `{"prompt":"a","stop":7}`, 400, "invalid_value", "stop: got another type"},
		{texts, `{"prompt":"a","stop":` + "[" + strings.Repeat(`"a",`, 16) + `"a"]}`, 400, "invalid_value", "stop: got 17 texts"},
		{texts, `{"prompt":"a","logit_bias":{"1024":1}}`, 400, "invalid_value", `logit_bias: got the token "1024"`},
		{texts, `{"prompt":"a","logit_bias":{"1":101}}`, 400, "invalid_value", "logit_bias: got 101 for the token 1"},
		{texts, `{"prompt":"a","stream_options":{}}`, 400, "invalid_value", "stream_options: "},
		{texts, `{"prompt":"a","memory":"mem_X"}`, 404, "memory_not_found", `there is no "mem_X"`},
		{texts, `{"prompt":"a","learn":true}`, 400, "invalid_value", "learn: got true without a memory"},
		{texts, `{"prompt":"a","memory":"m","n":2}`, 400, "invalid_value", "learn: got several texts"},
		{chats, `{}`, 400, "invalid_value", "messages: got 0 messages"},
		{chats, `{"messages":"hi"}`, 400, "invalid_value", "messages: got a JSON string"},
		{chats, `{"messages":[{"role":"robot","content":"x"}]}`, 400, "invalid_value", `messages[0].role: got "robot"`},
		{chats, `{"messages":[{"role":"user","text":"x"}]}`, 400, "unknown_parameter", `no field "messages[0].text"`},
		{chats, `{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}`, 400, "unsupported_parameter", `got "image_url", and the model reads text only`},
		{chats, `{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f"}}]}`, 400, "unsupported_parameter", "tools is not supported"},
		{chats, `{"messages":[{"role":"user","content":"x"}],"tools":{}}`, 400, "invalid_value", "tools: got another type, want a list of tools"},
		{chats, `{"messages":[{"role":"user","content":"x"}],"tools":false,"tool_choice":"none"}`, 400, "invalid_value", "tools: got another type, want a list of tools"},
		{chats, `{"messages":[{"role":"user","content":"x"}],"tool_choice":"required"}`, 400, "invalid_value", "tool_choice: got \"required\", and there is no such tool"},
		{chats, `{"messages":[{"role":"user","content":"x"}],"tool_choice":"any"}`, 400, "invalid_value", "tool_choice: got \"any\", want auto, none, required"},
		{chats, `{"messages":[{"role":"user","content":"x"}],"tool_choice":{"type":"function"}}`, 400, "invalid_value", "tool_choice: got {\"type\":\"function\"}, want auto"},
		{chats, `{"messages":[{"role":"user","content":"x"}],"tool_choice":{}}`, 400, "invalid_value", "tool_choice: got {}, want auto"},
		{chats, `{"messages":[{"role":"user","content":"x"}],"response_format":{"type":"grammar"}}`, 400, "invalid_value", "response_format.type: got \"grammar\""},
		{chats, `{"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema"}}`, 400, "invalid_value", "response_format.json_schema.schema: got none"},
		{chats, `{"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"string","pattern":"(?!a)"}}}}`, 400, "invalid_schema", "#/pattern: is not held"},
		{texts, `{"prompt":"x","response_format":{"type":"json_schema","json_schema":{"schema":[]}}}`, 400, "invalid_schema", "want a schema"},
		{chats, `{"messages":[{"role":"user","content":"x"}],"enable_thinking":true}`, 400, "unsupported_parameter", "enable_thinking is not supported"},
		{chats, `{"messages":[{"role":"user","content":"x"}],"top_logprobs":1}`, 400, "invalid_value", "top_logprobs: got 1 without logprobs"},
		{chats, `{"messages":[{"role":"user","content":"x"}],"functions":[{}]}`, 400, "unsupported_parameter", "functions is not supported"},
		{chats, `{"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"7"}}]}]}`, 400, "invalid_value", "messages[0].tool_calls[0].function.arguments: "},
		{"/v1/embeddings", `{"input":"a"}`, 400, "unsupported_parameter", "embeddings is not supported"},
		{"/tokenize", `{}`, 400, "invalid_value", "prompt: got both or none"},
		{"/detokenize", `{"tokens":[1024]}`, 400, "invalid_value", "token id out of range"},
		{"/v1/memories", `{"name":"` + strings.Repeat("x", 201) + `"}`, 400, "invalid_value", "name: got 201 bytes"},
		{"/v1/memories/mem_X/fork", `{}`, 404, "memory_not_found", ""},
		{"/v1/memories/mem_X/learn", `{"text":"a"}`, 404, "memory_not_found", ""},
		{"/v1/nothing", `{}`, 404, "unknown_url", "there is nothing at POST /v1/nothing"},
	} {
		a := c.post(r.path, r.body)
		checkRefusal(t, r.path+" "+clip(r.body), a, r.status, r.code, r.want)
	}
	for _, r := range []struct {
		method, path, kind, body string
		status                   int
		code                     string
	}{
		{"POST", texts, "", `{"prompt":"a"}`, 415, "unsupported_media_type"},
		{"POST", texts, "text/plain", `{"prompt":"a"}`, 415, "unsupported_media_type"},
		{"GET", texts, "", "", 405, "method_not_allowed"},
		{"PUT", "/v1/memories/mem_X/file", "text/plain", "x", 415, "unsupported_media_type"},
		{"GET", "/v1/models/other", "", "", 404, "model_not_found"},
		{"GET", "/v1/memories/mem_X", "", "", 404, "memory_not_found"},
		{"DELETE", "/v1/memories/mem_X", "", "", 404, "memory_not_found"},
		{"GET", "/v1/memories/mem_X/file", "", "", 404, "memory_not_found"},
		{"POST", "/v1/memories", memoryType, "no memory", 422, "invalid_memory"},
		{"POST", "/v1/memories", memoryType, strings.Repeat("x", 1<<20), 413, "too_large"},
	} {
		a := c.send(t.Context(), r.method, r.path, r.kind, r.body)
		checkRefusal(t, r.method+" "+r.path, a, r.status, r.code, "")
	}
}

func clip(s string) string { return s[:min(len(s), 100)] }

func checkRefusal(t *testing.T, what string, a answer, status int, code, want string) {
	t.Helper()
	if a.status != status {
		t.Errorf("%s: got the status %d and %.300s, want %d", what, a.status, a.body, status)
		return
	}
	a.status = 200
	v := a.object(t)
	message, _ := at(v, "error", "message").(string)
	if at(v, "error", "code") != code || message == "" || !strings.Contains(message, want) || at(v, "error", "type") == nil {
		t.Errorf("%s: got %.300s, want %s with %q", what, a.body, code, want)
	}
}

// A full queue, a key with too many requests, and a server that ends say when to come again.
func TestQueueIsBounded(t *testing.T) {
	c := begin(t, Options{Parallel: 1, Queue: 2, Keys: []string{"first", "second"}}).as("first")
	leave, err := c.server.gate.enter(t.Context(), "somebody")
	if err != nil {
		t.Fatal(err)
	}
	const body = `{"prompt":"a","max_tokens":1}`
	answers := make(chan answer, 2)
	waits := func(as *client, n int) {
		go func() { answers <- as.post("/v1/completions", body) }()
		until(func() bool { _, waiting := c.server.gate.counts(); return waiting >= n })
	}
	waits(c, 1)
	a := c.post("/v1/completions", body)
	checkRefusal(t, "a key's second", a, 429, "too_many_requests", "")
	if a.header.Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
	waits(c.as("second"), 2)
	a = c.as("second").post("/v1/completions", body)
	checkRefusal(t, "a full queue", a, 503, "queue_full", "")
	if a.header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	leave()
	for range 2 {
		if a := <-answers; a.status != 200 {
			t.Errorf("who waited: got %d %s", a.status, a.body)
		}
	}
	go c.server.Drain(t.Context())
	until(c.server.draining)
	checkRefusal(t, "while draining", c.post("/v1/completions", body), 503, "draining", "")
	if a := c.get("/health"); a.status != 503 {
		t.Errorf("/health while draining: got %d", a.status)
	}
}

// Turns go round among keys, whoever has many requests waiting.
func TestTurnsAreFair(t *testing.T) {
	g := newGate(1, 100, true)
	leave, _ := g.enter(t.Context(), "a")
	order := make(chan string, 8)
	n := 0
	ask := func(key string) {
		n++
		go func() {
			leave, err := g.enter(context.Background(), key)
			if err != nil {
				t.Error(err)
				return
			}
			order <- key
			leave()
		}()
		until(func() bool { _, waiting := g.counts(); return waiting >= n })
	}
	for _, key := range []string{"a", "a", "a", "a", "b", "c", "b"} {
		ask(key)
	}
	leave()
	var got strings.Builder
	for range n {
		got.WriteString(<-order)
	}
	if got.String() != "abcabaa" {
		t.Errorf("got the order %q, want abcabaa", got.String())
	}
	ctx, cancel := context.WithCancel(t.Context())
	leave, _ = g.enter(t.Context(), "a")
	go cancel()
	if _, err := g.enter(ctx, "b"); err == nil {
		t.Error("who went away came in")
	}
	leave()
	if busy, waiting := g.counts(); busy != 0 || waiting != 0 {
		t.Errorf("got %d busy and %d waiting, want none", busy, waiting)
	}
}

// The key with the fewest places has the next one, however many requests another has in the queue before it.
func TestPlacesAreShared(t *testing.T) {
	g := newGate(3, 100, true)
	var held []func()
	for range 3 {
		leave, err := g.enter(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, leave)
	}
	in := make(chan string)
	for n, key := range []string{"a", "a", "b", "b", "c"} {
		go func() {
			if _, err := g.enter(context.Background(), key); err == nil {
				in <- key
			}
		}()
		until(func() bool { _, waiting := g.counts(); return waiting > n })
	}
	var got strings.Builder
	for _, leave := range held {
		leave()
		got.WriteString(<-in)
	}
	if got.String() != "bca" && got.String() != "bcb" || got.String() == "bca" && g.working["a"] != 1 {
		t.Errorf("got the order %q with %v, want b and c, who had nothing, before a", got.String(), g.working)
	}
}

// Keys, hosts and pages of others.
func TestGuard(t *testing.T) {
	c := begin(t, Options{Keys: []string{"secret"}, Origins: []string{"https://example.org"}})
	request := func(method, path string, header ...string) answer {
		r, err := http.NewRequest(method, c.http.URL+path, strings.NewReader(`{"prompt":"a","max_tokens":1}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		return c.do(r)
	}
	checkRefusal(t, "no key", request("POST", "/v1/completions"), 401, "missing_api_key", "")
	checkRefusal(t, "a wrong key", request("POST", "/v1/completions", "Authorization", "Bearer other"), 401, "invalid_api_key", "")
	checkRefusal(t, "no key for metrics", request("GET", "/metrics"), 401, "missing_api_key", "")
	if a := request("POST", "/v1/completions", "Authorization", "bearer secret"); a.status != 200 {
		t.Errorf("a key: got %d %s", a.status, a.body)
	}
	a := request("POST", "/v1/completions", "X-Api-Key", "secret", "Origin", "https://example.org", "Sec-Fetch-Site", "cross-site")
	if a.status != 200 || a.header.Get("Access-Control-Allow-Origin") != "https://example.org" {
		t.Errorf("a page that may: got %d %v", a.status, a.header)
	}
	a = request("POST", "/v1/completions", "X-Api-Key", "secret", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
	checkRefusal(t, "a page that may not", a, 403, "origin", "")
	if a := request("OPTIONS", "/v1/completions", "Origin", "https://example.org", "Access-Control-Request-Headers", "authorization"); a.status != 204 || a.header.Get("Access-Control-Allow-Headers") != "authorization" {
		t.Errorf("a preflight: got %d %v", a.status, a.header)
	}
	if a := request("OPTIONS", "/v1/completions", "Origin", "https://evil.example"); a.status != 403 {
		t.Errorf("a preflight of a page that may not: got %d", a.status)
	}
	for host, want := range map[string]bool{"localhost:80": true, "127.0.0.1": true, "[::1]:8080": true, "evil.example": false, "192.168.1.1:80": false, "127.0.0.1.evil.example": false} {
		if localHost(host) != want {
			t.Errorf("localHost(%q) is %v", host, !want)
		}
	}
}

// A body that does not arrive is an error, and none of a request's business.
func TestBrokenBodies(t *testing.T) {
	c := begin(t, Options{})
	r, err := http.NewRequest("POST", c.http.URL+"/v1/completions", io.MultiReader(strings.NewReader(`{"prompt":`), iotest.ErrReader(io.ErrUnexpectedEOF)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if a := c.do(r); a.status == 200 {
		t.Errorf("half a body: got %s", a.body)
	}
	if got := c.text(`{"prompt":"a","max_tokens":1,"temperature":0}`); got == "" {
		t.Error("nothing goes on after a broken body")
	}
}

// A full disk is no mistake of the server, whose log alone would have it.
func TestFullDisk(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		e := asAPIError(t.Context(), fmt.Errorf("x.memory: cannot be written: %w", cause))
		if e.status != http.StatusServiceUnavailable || e.code != "disk_full" || strings.Contains(e.message, "x.memory") {
			t.Errorf("got %d %s: %s", e.status, e.code, e.message)
		}
	}
}

// Whoever comes while the model is being loaded is told so, by a real connection.
func TestLoadingIsSaid(t *testing.T) {
	server := httptest.NewServer(Loading())
	defer server.Close()
	c := &client{t: t, http: server}
	for _, path := range []string{"/health", "/v1/models"} {
		a := c.get(path)
		checkRefusal(t, path, a, 503, "loading", "")
		if a.header.Get("Retry-After") == "" {
			t.Errorf("%s: 503 without Retry-After", path)
		}
	}
}

// A prompt that does not fit is refused before its beginning is read.
func TestPromptBeyondTheContext(t *testing.T) {
	model, err := bitgpu.Load(publictest.File(t, "qwen3"), bitgpu.WithBackend(bitgpu.CPU))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { model.Close() })
	c := beginWith(t, model, Options{})
	tokens := func(n int) string { return strings.TrimSuffix(strings.Repeat("5,", n), ",") }
	id := c.newMemory("")
	for _, n := range []int{65, 5000} {
		checkRefusal(t, "a long prompt", c.post("/v1/completions", `{"prompt":[`+tokens(n)+`]}`), 400, "context_length_exceeded", "")
		checkRefusal(t, "a long prompt with its probabilities", c.post("/v1/completions", `{"echo":true,"logprobs":1,"prompt":[`+tokens(n)+`]}`), 400, "context_length_exceeded", "")
		checkRefusal(t, "a long prompt of a memory", c.post("/v1/completions", `{"memory":"`+id+`","prompt":[`+tokens(n)+`]}`), 400, "context_length_exceeded", "")
	}
	if a := c.get("/metrics"); !strings.Contains(a.body, "bitgpu_prompt_tokens_total 0\n") {
		t.Errorf("tokens of prompts were read: %s", a.body)
	}
	if a := c.post("/v1/completions", `{"max_tokens":1,"prompt":[`+tokens(64)+`]}`); a.status != 200 {
		t.Errorf("a prompt that fits: got %d %s", a.status, a.body)
	}
	if room := at(c.get("/v1/models").object(t), "data", 0, "bitgpu", "context"); room != 64.0 {
		t.Errorf("/v1/models says that there is room for %v tokens, want 64", room)
	}
	// What the end of the context cuts short has not ended by itself.
	for _, x := range [][3]string{
		{"/v1/completions", `{"prompt":[` + tokens(64) + `]}`, `"finish_reason":"length"`},
		{"/v1/responses", `{"input":"` + strings.Repeat("a", 10) + `","max_output_tokens":500,"temperature":0}`, `"reason":"max_output_tokens"`},
	} {
		path, body, want := x[0], x[1], x[2]
		if a := c.post(path, body); a.status != 200 || !strings.Contains(a.body, want) {
			t.Errorf("%s at the end of the context: got %d %s, want %s", path, a.status, a.body, want)
		}
	}
}

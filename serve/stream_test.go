package serve

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"bitgpu/io/chat"
)

// A silent stream has comments, an error behind them is an event, and one before anything is a status.
func TestStreamsPing(t *testing.T) {
	c := begin(t, Options{Ping: time.Hour})
	w := httptest.NewRecorder()
	e := (&call{s: c.server, w: &recorder{ResponseWriter: w}, r: httptest.NewRequest("POST", "/", nil)}).stream()
	e.ping()
	e.send(map[string]int{"a": 1})
	if err := e.finish(invalid("b", "got none"), sseDone); err == nil {
		t.Error("the error was lost")
	}
	e.close()
	e.ping()
	if got := w.Body.String(); !strings.HasPrefix(got, ": ping\n\ndata: {\"a\":1}\n\ndata: {\"error\":") || strings.Count(got, "ping") != 1 || strings.Contains(got, "DONE") {
		t.Errorf("got %q", got)
	}
}

// A stream whose first ping comes at once is as good, and no ping comes in between an error and its status.
func TestPingsAtOnce(t *testing.T) {
	c := begin(t, Options{Ping: time.Nanosecond, PrefixLimit: -1})
	for range 50 {
		a := c.post("/v1/completions", `{"prompt":"ROMEO:","max_tokens":3,"stream":true}`)
		if got := len(eventsOf(t, a.body)); got == 0 || a.status != 200 {
			t.Errorf("got %d events and %d", got, a.status)
		}
		e := (&call{s: c.server, w: &recorder{ResponseWriter: httptest.NewRecorder()}, r: httptest.NewRequest("POST", "/", nil)}).stream()
		e.finish(errGone, sseDone)
		e.mu.Lock()
		status := e.c.w.status
		e.mu.Unlock()
		if e.ping(); e.c.w.status != status {
			t.Error("a ping came behind the error")
		}
		e.close()
	}
}

// A request whose time is over is refused while it waits.
func TestTimeout(t *testing.T) {
	c := begin(t, Options{Timeout: time.Nanosecond})
	a := c.post("/v1/completions", `{"prompt":"a","max_tokens":1}`)
	checkRefusal(t, "no time", a, 503, "timeout", "longer than this server allows")
}

// Tools are rendered by a template that has them.
func TestToolsAreRendered(t *testing.T) {
	withTools, err := chat.Parse("{% if tools %}{{ tools | tojson }}\n{% endif %}" + template)
	if err != nil {
		t.Fatal(err)
	}
	c := begin(t, Options{Template: withTools})
	const tool = `{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"place":{"type":"string"}}}}}`
	with := c.post("/v1/chat/completions", `{"messages":[{"role":"user","content":"Hi"}],"max_tokens":1,"tools":[`+tool+`]}`).object(t)
	without := c.post("/v1/chat/completions", `{"messages":[{"role":"user","content":"Hi"}],"max_tokens":1,"tool_choice":"none","tools":[`+tool+`]}`).object(t)
	if at(with, "usage", "prompt_tokens").(float64) <= at(without, "usage", "prompt_tokens").(float64) {
		t.Errorf("got %v with tools and %v without", at(with, "usage"), at(without, "usage"))
	}
	a := c.post("/v1/chat/completions", `{"messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"search"}]}`)
	checkRefusal(t, "another tool", a, 400, "invalid_value", `tools[0]: got the type "search"`)
}

// No request, whatever it holds, ends the process, and every error of one is told.
func FuzzRequests(f *testing.F) {
	for _, seed := range []string{
		`{"prompt":"a","stop":["b"],"logit_bias":{"1":2},"stream":true}`, `{"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}]}`,
		`{"input":[{"role":"user","content":"a"}]}`, `{"prompt":[[1,2],[3]]}`, `[`, `{"messages":[{"tool_calls":[{"function":{"arguments":"{}"}}]}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var own *apiError
		told := func(err error) {
			if err != nil && !errors.As(err, &own) {
				t.Errorf("%q: got %v, which a client is not told", data, err)
			}
		}
		told(decodeJSON(data, &completionRequest{}, refusedOfCompletions))
		var in chatRequest
		if err := decodeJSON(data, &in, refusedOfChat); err != nil {
			told(err)
		} else if _, err := messagesOf(in.Messages); err != nil {
			told(err)
		}
		var response responseRequest
		if err := decodeJSON(data, &response, refusedOfResponses); err != nil {
			told(err)
		} else if _, err := inputMessages(response.Input); err != nil {
			told(err)
		}
		var other ollamaOptions
		told(strictly(data, &other, "options"))
		if json.Valid(data) {
			contentText(data, "content")
		}
	})
}

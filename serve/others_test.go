package serve

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"bitgpu"
	"bitgpu/io/chat"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// linesOf are the values of a stream of JSON lines.
func linesOf(t *testing.T, a answer) (found []map[string]any) {
	t.Helper()
	if kind := a.header.Get("Content-Type"); a.status != 200 || kind != "application/x-ndjson" {
		t.Fatalf("got %d, %q and %s", a.status, kind, a.body)
	}
	for line := range strings.Lines(a.body) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		found = append(found, v)
	}
	return found
}

// What ollama's clients ask is answered in its shape, with its defaults.
func TestOllama(t *testing.T) {
	c := begin(t, Options{Version: "1.2.3"})
	model, _ := demoModel()
	want, err := model.Generate(t.Context(), "ROMEO:", bitgpu.Options{MaxTokens: 20, Temperature: 0.8, TopK: 40, TopP: 0.9, RepeatPenalty: 1.1, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	const body = `{"model":"demo:latest","prompt":"ROMEO:","options":{"seed":3,"num_predict":20,"num_ctx":4096}`
	got := ""
	all := linesOf(t, c.send(t.Context(), "POST", "/api/generate", "", body+`}`))
	for i, v := range all {
		got += at(v, "response").(string)
		if at(v, "done") != (i == len(all)-1) {
			t.Errorf("line %d of %d: %v", i, len(all), v)
		}
	}
	if last := all[len(all)-1]; got != want || at(last, "done_reason") != "length" || at(last, "eval_count") != 20.0 || at(last, "prompt_eval_count") != 2.0 {
		t.Errorf("got %q and %v, want %q", got, last, want)
	}
	if v := c.post("/api/generate", body+`,"stream":false}`).object(t); at(v, "response") != want || at(v, "done") != true {
		t.Errorf("in one piece: got %v, want %q", v, want)
	}
	if v := c.post("/api/generate", `{"model":"demo"}`).object(t); at(v, "done_reason") != "load" {
		t.Errorf("without a prompt: got %v", v)
	}
	if v := c.get("/api/version").object(t); at(v, "version") != "1.2.3" {
		t.Errorf("version: got %v", v)
	}
	if v := c.get("/api/tags").object(t); at(v, "models", 0, "name") != "demo" {
		t.Errorf("tags: got %v", v)
	}
	if v := c.post("/api/show", `{"model":"demo"}`).object(t); at(v, "capabilities", 0) != "completion" {
		t.Errorf("show: got %v", v)
	}
	for body, want := range map[string]string{
		`{"model":"other","prompt":"a"}`:                              `{"error":"model: got \"other\", want \"demo\""}`,
		`{"model":"demo","prompt":"a","options":{"mirostat":1}}`:      `{"error":"no field \"options.mirostat\" is known here"}`,
		`{"model":"demo","prompt":"a","options":{"temperature":"x"}}`: `{"error":"options.temperature: got a JSON string, want a number"}`,
		`{"model":"demo","prompt":"a","format":"xml"}`:                `{"error":"format: got \"xml\", want \"json\" or a JSON schema"}`,
	} {
		if a := c.post("/api/generate", body); a.status < 400 || strings.TrimSpace(a.body) != want {
			t.Errorf("%s: got %d %s, want %s", body, a.status, a.body, want)
		}
	}
	if a := c.post("/api/chat", `{"model":"demo","messages":[{"role":"user","content":"Hi"}]}`); a.status != 400 || !strings.Contains(a.body, "no chat template") {
		t.Errorf("a chat without a template: got %d %s", a.status, a.body)
	}
	c = begin(t, Options{Template: parsed(t)})
	text := c.text(`{"prompt":"<|user|>Hi\n<|assistant|>","max_tokens":9,"temperature":0.8,"top_k":40,"top_p":0.9,"repeat_penalty":1.1,"seed":3}`)
	v := c.post("/api/chat", `{"model":"demo","stream":false,"messages":[{"role":"user","content":"Hi"}],"options":{"seed":3,"num_predict":9}}`).object(t)
	if at(v, "message", "content") != strings.TrimLeft(text, "\n") || at(v, "message", "role") != "assistant" {
		t.Errorf("chat: got %v, want %q", v, text)
	}
}

// A response can be gone on from: its memory is forked, and only what is new is read.
func TestResponses(t *testing.T) {
	c := begin(t, Options{Template: parsed(t), Keys: []string{"first", "second"}}).as("first")
	first := c.post("/v1/responses", `{"model":"demo","input":"Who art thou?","max_output_tokens":15,"seed":2}`).object(t)
	text := at(first, "output", 0, "content", 0, "text").(string)
	if at(first, "status") != "incomplete" || at(first, "incomplete_details", "reason") != "max_output_tokens" || text == "" || at(first, "usage", "output_tokens") != 15.0 {
		t.Errorf("got %v", first)
	}
	id := at(first, "id").(string)
	next := func(more string) map[string]any {
		return c.post("/v1/responses", `{"input":[{"role":"user","content":"And then?"}],"previous_response_id":"`+id+`","max_output_tokens":10,"temperature":0`+more+`}`).object(t)
	}
	second, again := next(""), next("")
	if at(second, "output", 0, "content", 0, "text") != at(again, "output", 0, "content", 0, "text") {
		t.Error("going on twice from one response gives two texts: the first has changed it")
	}
	read, cached := at(first, "usage", "input_tokens").(float64), at(second, "usage", "input_tokens_details", "cached_tokens").(float64)
	if cached < read+15 {
		t.Errorf("got %v tokens from before, want the %v read and the 15 written", cached, read)
	}
	if v := next(`,"instructions":"Be brief."`); at(v, "usage", "input_tokens_details", "cached_tokens") != 0.0 {
		t.Errorf("with other instructions: got %v", at(v, "usage"))
	}

	stream := c.post("/v1/responses", `{"input":"Who art thou?","max_output_tokens":15,"seed":2,"stream":true}`)
	var kinds []string
	got := ""
	for line := range strings.Lines(stream.body) {
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		var v map[string]any
		if err := json.Unmarshal([]byte(data), &v); err != nil || at(v, "sequence_number") != float64(len(kinds)) {
			t.Fatalf("%q: %v", data, err)
		}
		kinds = append(kinds, at(v, "type").(string))
		if at(v, "type") == "response.output_text.delta" {
			got += at(v, "delta").(string)
		}
	}
	if got != text || kinds[0] != "response.created" || kinds[len(kinds)-1] != "response.incomplete" {
		t.Errorf("got %q by %q, want %q", got, kinds, text)
	}

	if v := c.get("/v1/responses/" + id).object(t); at(v, "id") != id {
		t.Errorf("got %v", v)
	}
	other := c.as("second")
	checkRefusal(t, "another key", other.get("/v1/responses/"+id), 404, "response_not_found", "")
	checkRefusal(t, "another key's", other.post("/v1/responses", `{"input":"a","previous_response_id":"`+id+`"}`), 404, "response_not_found", "")
	c.send(t.Context(), "DELETE", "/v1/responses/"+id, "", "").object(t)
	checkRefusal(t, "deleted", c.get("/v1/responses/"+id), 404, "response_not_found", "")
	id = at(c.post("/v1/responses", `{"input":"a","max_output_tokens":1,"store":false}`).object(t), "id").(string)
	checkRefusal(t, "not stored", c.get("/v1/responses/"+id), 404, "response_not_found", "")
	for body, want := range map[string]string{
		`{"input":7}`: "input: got no text",
		`{"input":"a","tools":[{"type":"function"}]}`:              "tools is not supported",
		`{"input":"a","text":{"format":{"type":"json_schema"}}}`:   "text.format.schema: got none",
		`{"input":"a","text":{"format":{"type":"xml"}}}`:           "text.format.type: got",
		`{"input":[{"type":"function_call_output","output":"a"}]}`: "output",
		`{"input":[{"type":"item_reference"}]}`:                    "input[0].type is not supported",
	} {
		if a := c.post("/v1/responses", body); a.status != 400 || !strings.Contains(a.body, want) {
			t.Errorf("%s: got %d %s, want %q", body, a.status, a.body, want)
		}
	}
}

// Calls come back from the answer in both forms in which Qwen's models write them, cut anywhere, whole and as a stream.
func TestToolCalls(t *testing.T) {
	c := begin(t, Options{Template: parsed(t)})
	tools, err := chat.DecodeJSON([]byte(`[{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"place":{"type":"string"},"days":{"type":"integer"}}}}}]`))
	if err != nil {
		t.Fatal(err)
	}
	for form, text := range map[string]string{
		"JSON": "One moment.\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"place\": \"Bern\", \"days\": 3}}\n</tool_call>",
		"XML":  "One moment.\n<tool_call>\n<function=weather>\n<parameter=place>\nBern\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>",
	} {
		for _, size := range []int{1, 7, len(text)} {
			ask := &call{s: c.server, id: strings.Repeat("A", 26)}
			w := &chatWriter{c: ask, options: chat.AnswerOptions{Tools: tools}}
			written := httptest.NewRecorder()
			streamed := &call{s: c.server, id: ask.id, w: &recorder{ResponseWriter: written}, r: httptest.NewRequest("POST", "/", nil)}
			stream := &chatWriter{c: streamed, options: w.options, events: streamed.stream()}
			for at := 0; at < len(text); at += size {
				part := text[at:min(at+size, len(text))]
				w.show(0, piece{text: part})
				stream.show(0, piece{text: part})
			}
			w.end(0, bitgpu.EndOfText)
			stream.end(0, bitgpu.EndOfText)
			stream.events.close()
			choice := w.choices[0].(map[string]any)
			message := choice["message"].(map[string]any)
			calls, _ := message["tool_calls"].([]any)
			if len(calls) != 1 || message["content"] != "One moment." || choice["finish_reason"] != "tool_calls" {
				t.Fatalf("%s by %d: got %v", form, size, choice)
			}
			function := calls[0].(map[string]any)["function"].(map[string]any)
			if function["name"] != "weather" || function["arguments"] != `{"place":"Bern","days":3}` {
				t.Errorf("%s by %d: got %v", form, size, function)
			}
			if body := written.Body.String(); strings.Count(body, `"tool_calls":[`) != 1 || !strings.Contains(body, `{\"place\":\"Bern\",\"days\":3}`) || !strings.Contains(body, `"finish_reason":"tool_calls"`) {
				t.Errorf("%s by %d: got the stream %s", form, size, body)
			}
		}
	}
}

// Texts and tokens.
func TestTokenize(t *testing.T) {
	c := begin(t, Options{})
	model, _ := demoModel()
	ids, err := model.Encode("To be, or not to be", true)
	if err != nil {
		t.Fatal(err)
	}
	v := c.post("/tokenize", `{"prompt":"To be, or not to be","return_token_strs":true}`).object(t)
	if at(v, "count") != float64(len(ids)) || at(v, "tokens", 1) != float64(ids[1]) || at(v, "token_strs", 0) == nil {
		t.Errorf("got %v, want %d", v, ids)
	}
	back, _ := json.Marshal(map[string]any{"tokens": at(v, "tokens")})
	if v := c.post("/detokenize", string(back)).object(t); at(v, "prompt") != "To be, or not to be" {
		t.Errorf("got %v", v)
	}
	info := c.get("/tokenizer_info").object(t)
	end, _ := at(info, "eos_token").(string)
	if v := c.post("/tokenize", `{"prompt":`+quote(end)+`,"add_special_tokens":false}`).object(t); at(info, "vocabulary") != 1024.0 || at(v, "count") != 1.0 || at(v, "tokens", 0) != at(info, "end_of_text", 0, "id") {
		t.Errorf("got %v, and of its end %v", info, v)
	}
}

// What Prometheus is told counts what was done.
func TestMetrics(t *testing.T) {
	c := begin(t, Options{})
	c.text(`{"prompt":"ROMEO:","max_tokens":7}`)
	c.newMemory("")
	text := c.get("/metrics").body
	if passes, tokens := c.server.model.Batches(); passes == 0 || tokens < passes || !strings.Contains(text, fmt.Sprintf("bitgpu_batches_total %d\n", passes)) {
		t.Errorf("got %d tokens in %d batches", tokens, passes)
	}
	for _, want := range []string{
		"bitgpu_generated_tokens_total 7\n", "bitgpu_prompt_tokens_total 2\n", "bitgpu_memories 1\n", `bitgpu_requests_total{code="200",path="/v1/completions"} 1` + "\n",
		"bitgpu_slots 4\n", "bitgpu_slots_busy 0\n", "bitgpu_time_to_first_token_seconds_count 1\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	problems, err := testutil.GatherAndLint(c.server.metrics.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "bitgpu_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

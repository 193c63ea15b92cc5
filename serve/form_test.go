package serve

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"bitgpu"
	"bitgpu/io/chat"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const verse = `{"type":"object","properties":{"speaker":{"type":"string","minLength":1,"maxLength":12},"mood":{"enum":["glad","sad"]},
	"lines":{"type":"array","items":{"type":"string","maxLength":9},"minItems":1,"maxItems":2},"act":{"type":"integer","minimum":1,"maximum":5}},
	"required":["speaker","mood","lines","act"],"additionalProperties":false}`

func fits(t *testing.T, schema, text string) error {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", document); err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return c.MustCompile("schema.json").Validate(value)
}

// What is asked for in a schema is written in it, at any temperature and in every dialect, as another program checks; the model
// knows nothing of JSON.
func TestAnswersFitTheirSchema(t *testing.T) {
	c := begin(t, Options{Template: parsed(t)})
	const said = `"messages":[{"role":"user","content":"A verse!"}]`
	for seed := range 4 {
		for _, how := range []string{`"temperature":0`, `"temperature":2`, `"temperature":1,"top_k":2,"top_p":0.5,"min_p":0.1,"repeat_penalty":3,"logit_bias":{"70":100}`} {
			how += fmt.Sprintf(`,"seed":%d`, seed)
			v := c.post("/v1/chat/completions", `{`+said+`,"max_tokens":400,`+how+`,"response_format":{"type":"json_schema","json_schema":{"name":"verse","strict":true,"schema":`+verse+`}}}`).object(t)
			text, _ := at(v, "choices", 0, "message", "content").(string)
			if err := fits(t, verse, text); err != nil || at(v, "choices", 0, "finish_reason") != "stop" {
				t.Errorf("%s: got %q, ended by %v: %v", how, text, at(v, "choices", 0, "finish_reason"), err)
			}
		}
	}
	all := eventsOf(t, c.post("/v1/chat/completions", `{`+said+`,"max_tokens":400,"n":2,"stream":true,"response_format":{"type":"json_schema","json_schema":{"schema":`+verse+`}}}`).body)
	var texts [2]string
	for _, e := range all {
		i, _ := at(e, "choices", 0, "index").(float64)
		s, _ := at(e, "choices", 0, "delta", "content").(string)
		texts[int(i)] += s
	}
	for _, text := range texts {
		if err := fits(t, verse, text); err != nil {
			t.Errorf("streamed: got %q: %v", text, err)
		}
	}
	if texts[0] == texts[1] {
		t.Errorf("two choices are %q", texts[0])
	}
	v := c.post("/v1/responses", `{"input":"A verse!","max_output_tokens":400,"text":{"format":{"type":"json_schema","name":"verse","schema":`+verse+`}}}`).object(t)
	if text, _ := at(v, "output", 0, "content", 0, "text").(string); fits(t, verse, text) != nil || at(v, "status") != "completed" || at(v, "text", "format", "name") != "verse" {
		t.Errorf("a response: got %v", v)
	}
	v = c.post("/api/chat", `{"model":"demo","stream":false,`+said+`,"format":`+verse+`}`).object(t)
	if text, _ := at(v, "message", "content").(string); fits(t, verse, text) != nil {
		t.Errorf("ollama: got %q", text)
	}
	if text := c.text(`{"prompt":"ROMEO:","max_tokens":400,"response_format":{"type":"json_schema","json_schema":{"schema":` + verse + `}}}`); fits(t, verse, text) != nil {
		t.Errorf("a completion: got %q", text)
	}
	for seed := range 8 { // it may be cut, but what is there is the beginning of an object
		v := c.post("/v1/chat/completions", fmt.Sprintf(`{%s,"max_tokens":60,"seed":%d,"response_format":{"type":"json_object"}}`, said, seed)).object(t)
		text, _ := at(v, "choices", 0, "message", "content").(string)
		if ended := at(v, "choices", 0, "finish_reason") == "stop"; !strings.HasPrefix(text, "{") || ended != json.Valid([]byte(text)) {
			t.Errorf("an object: got %q, ended by %v", text, at(v, "choices", 0, "finish_reason"))
		}
	}
}

// A model that may think writes its thought first, and then what is asked for.
func TestFormsComeBehindThoughts(t *testing.T) {
	thinker, err := chat.Parse(template + "{% if add_generation_prompt and enable_thinking is not defined or enable_thinking %}<think>\n{% endif %}")
	if err != nil {
		t.Fatal(err)
	}
	c := begin(t, Options{Template: thinker})
	v := c.post("/v1/chat/completions", `{"messages":[{"role":"user","content":"A verse!"}],"max_tokens":400,"enable_thinking":false,"response_format":{"type":"json_schema","json_schema":{"schema":`+verse+`}}}`).object(t)
	if text, _ := at(v, "choices", 0, "message", "content").(string); fits(t, verse, text) != nil || at(v, "choices", 0, "message", "reasoning_content") != nil {
		t.Errorf("without a thought: got %v", v)
	}
	v = c.post("/v1/chat/completions", `{"messages":[{"role":"user","content":"A verse!"}],"max_tokens":9,"response_format":{"type":"json_object"}}`).object(t)
	if thought, _ := at(v, "choices", 0, "message", "reasoning_content").(string); thought == "" {
		t.Errorf("got %v, want a thought", v)
	}
	// No thought of this model ever ends, so its tokens are given.
	const text = "Hm.</think>\n{\"speaker\": \"ROMEO\", \"mood\": \"glad\", \"lines\": [\"Ay me!\"], \"act\": 2}"
	ids, err := c.server.model.Encode(text, false)
	if err != nil {
		t.Fatal(err)
	}
	form, err := schemaForm(json.RawMessage(verse), "")
	if err != nil {
		t.Fatal(err)
	}
	var o bitgpu.TokenOptions
	if err := c.server.hold(&o, form, c.server.thought(true, nil)); err != nil {
		t.Fatal(err)
	}
	end := c.server.model.EndOfText()[0]
	for n := range len(ids) + 1 {
		row := make([]float32, c.server.model.Config().Vocab)
		if err := o.Adjust(row, ids[:n]); err != nil {
			t.Fatal(err)
		}
		if n < len(ids) && row[ids[n]] != 0 {
			t.Fatalf("token %d of %q cannot be drawn", n, text)
		}
		if may := row[end] == 0; may != (n == len(ids)) {
			t.Errorf("behind %d of %d tokens: got %v, want an end behind all of them only", n, len(ids), may)
		}
	}
}

package chat

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// family is a template of testdata/families.
func family(t testing.TB, name string) string {
	t.Helper()
	var templates map[string]string
	readGzip(t, "testdata/families/templates.json.gz", &templates)
	if templates[name] == "" {
		t.Fatalf("there is no template %s", name)
	}
	return templates[name]
}

func mustParse(t testing.TB, source string) *Template {
	t.Helper()
	tmpl, err := Parse(source)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

func TestSpans(t *testing.T) {
	c := Conversation{EOS: "</s>", Messages: List(Message("user", "Grüezi"), Message("assistant", "Hoi zäme"), Message("user", "?"), Message("assistant", "!"))}
	text, spans, err := mustParse(t, family(t, "generation")).RenderSpans(c)
	if want := []Span{{31, 44}, {70, 75}}; err != nil || !slices.Equal(spans, want) { // as testdata/families.py prints them
		t.Fatalf("got %v, %v, want %v", spans, err, want)
	}
	if got := text[spans[0].Start:spans[0].End]; got != "Hoi zäme</s>" {
		t.Errorf("the first span is %q", got)
	}
	if _, spans, err := mustParse(t, family(t, "chatml")).RenderSpans(c); err != nil || len(spans) > 0 {
		t.Errorf("a template without any gave %v, %v", spans, err)
	}
	if _, _, err := mustParse(t, "{% macro m() %}{% generation %}a{% endgeneration %}{% endmacro %}{{ m() }}").RenderSpans(c); err == nil || !strings.Contains(err.Error(), "place in the render is not known") {
		t.Errorf("within a macro: got the error %v", err)
	}
}

func TestFeatures(t *testing.T) {
	for name, want := range map[string]Features{
		"chatml":    {System: true},
		"llama2":    {System: true},
		"bitnet":    {System: true},
		"falcon3":   {System: true, Tools: true},
		"qwen3like": {System: true, Tools: true, ToolCalls: true, Thinking: true, Calls: JSONCalls},
		"xmltools":  {System: true, Tools: true, ToolCalls: true, Thinking: true}, // its calls stand alone
	} {
		if got := mustParse(t, family(t, name)).Features(); got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	wrapped := strings.NewReplacer("'<function=' ~ call", "'<tool_call>\\n<function=' ~ call", "'</function>' }}", "'</function>\\n</tool_call>' }}").Replace(family(t, "xmltools"))
	if got := mustParse(t, wrapped).Features().Calls; got != FunctionCalls {
		t.Errorf("calls of lines: got %d, want %d", got, FunctionCalls)
	}
	if got := mustParse(t, "{{ raise_exception('no') }}").Features(); got != (Features{}) {
		t.Errorf("got %+v", got)
	}
}

func TestContinue(t *testing.T) {
	first := []Value{Message("user", "Hello")}
	tmpl := mustParse(t, family(t, "chatml"))
	prompt, err := tmpl.Render(Conversation{Messages: List(first...), AddGenerationPrompt: true})
	if err != nil {
		t.Fatal(err)
	}
	next := Conversation{Messages: List(append(first, Message("assistant", "Hi"), Message("user", "Bye"))...), AddGenerationPrompt: true}
	suffix, ok, err := tmpl.Continue(prompt+"Hi<|im_end|>", next)
	if want := "\n<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n"; err != nil || !ok || suffix != want {
		t.Errorf("got %q, %v, %v, want %q", suffix, ok, err, want)
	}
	// This one leaves out earlier thoughts.
	tmpl = mustParse(t, family(t, "qwen3like"))
	prompt, _ = tmpl.Render(Conversation{Messages: List(first...), AddGenerationPrompt: true})
	if _, ok, err := tmpl.Continue(prompt+"<think>\nhm\n</think>\n\nHi<|im_end|>", next); ok || err != nil {
		t.Errorf("got %v, %v, want no suffix", ok, err)
	}
}

func TestRenderErrors(t *testing.T) {
	wrong := Conversation{Messages: List(Message("assistant", "a"))}
	_, err := mustParse(t, family(t, "llama2")).Render(wrong)
	var e *RenderError
	if !errors.As(err, &e) || !e.Raised || e.Message != "Conversation roles must alternate user/assistant/user/assistant/..." || e.Line != 8 {
		t.Errorf("got %#v", err)
	}
	_, err = mustParse(t, "a\n{{ messages[0].content.x.y }}").Render(wrong)
	if want := "chat: template line 2: 'str object' has no attribute 'x'"; err == nil || err.Error() != want || errors.As(err, &e) && e.Raised {
		t.Errorf("got %v, want %s", err, want)
	}
	_, err = mustParse(t, "a\n{% macro m(x) %}\n{{ x }}\n{% endmacro %}{{ m(1)\n + 1 }}").Render(wrong)
	if want := `chat: template line 4: can only concatenate str (not "int") to str`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err = mustParse(t, "a").Render(Conversation{Extra: List()}); err == nil || !strings.Contains(err.Error(), "want an object") {
		t.Errorf("got %v", err)
	}
	if text, err := mustParse(t, "{{ day }}{{ bos_token is defined }}{{ tools }}").Render(Conversation{Extra: Object(Member{"day", String("Monday")})}); err != nil || text != "MondayFalseNone" {
		t.Errorf("got %q, %v", text, err)
	}
}

// TestConfig loads templates from the files that models ship.
func TestConfig(t *testing.T) {
	render := func(tmpl *Template, tools Value) string {
		text, err := tmpl.Render(Conversation{Messages: List(Message("user", "hi")), Tools: tools})
		if err != nil {
			t.Error(err)
		}
		return text
	}
	for _, c := range []struct{ name, config, jinja, want, withTools, err string }{
		{"a string", "\ufeff" + `{"chat_template": "{{ bos_token }}a{{ eos_token }}", "bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": false}}`, "", "<s>a</s>", "<s>a</s>", ""},
		{"no tokens", `{"chat_template": "{{ bos_token is defined }}{{ unk_token }}", "bos_token": null, "unk_token": "U"}`, "", "FalseU", "FalseU", ""},
		{"a list", `{"chat_template": [{"name": "default", "template": "a"}, {"name": "tool_use", "template": "b{{ tools|length }}{{ bos_token }}"}], "bos_token": "S"}`, "", "a", "b1S", ""},
		{"one with another name", `{"chat_template": [{"name": "rag", "template": "a"}]}`, "", "a", "a", ""},
		{"a file", `{"eos_token": "E", "chat_template": "a"}`, "b{{ eos_token }}", "bE", "bE", ""},
		{"a file alone", "", "b", "b", "b", ""},
		{"nothing", "{}", "", "", "", "the model has no chat template"},
		{"null", `{"chat_template": null}`, "", "", "", "the model has no chat template"},
		{"several without default", `{"chat_template": [{"name": "y", "template": "a"}, {"name": "x", "template": "b"}]}`, "", "", "", "got the templates x, y, want one of them to be named default"},
		{"a number", `{"chat_template": 1}`, "", "", "", "chat_template: got a number, want a string or an array"},
		{"a list of numbers", `{"chat_template": [1]}`, "", "", "", "chat_template[0] is no object"},
		{"a number as token", `{"chat_template": "a", "bos_token": 1}`, "", "", "", "bos_token: got a number"},
		{"no object", `[]`, "", "", "", "tokenizer_config.json: not a JSON object"},
		{"no JSON", `{"chat_template": "a"`, "", "", "", "tokenizer_config.json: is not JSON"},
		{"a mistake", `{"chat_template": "a\n{% if %}"}`, "", "", "", "line 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			var config, jinja []byte
			if c.config != "" {
				config = []byte(c.config)
				os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), config, 0o600)
			}
			if c.jinja != "" {
				jinja = []byte(c.jinja)
				os.WriteFile(filepath.Join(dir, "chat_template.jinja"), jinja, 0o600)
			}
			tmpl, err := FromConfig(config, jinja)
			fromDir, dirErr := FromDir(dir)
			if c.err != "" {
				if err == nil || dirErr == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(dirErr.Error(), c.err) || !strings.Contains(dirErr.Error(), dir) {
					t.Fatalf("got the errors %v and %v, want %q", err, dirErr, c.err)
				}
				return
			}
			if err != nil || dirErr != nil {
				t.Fatal(err, dirErr)
			}
			for _, tmpl := range []*Template{tmpl, fromDir} {
				if got, tools := render(tmpl, Value{}), render(tmpl, List(Object())); got != c.want || tools != c.withTools {
					t.Errorf("got %q and, with tools, %q, want %q and %q", got, tools, c.want, c.withTools)
				}
			}
		})
	}
}

func TestFromDir(t *testing.T) {
	dir := t.TempDir()
	if _, err := FromDir(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty directory: got %v", err)
	}
	write := func(name, text string) {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("chat_template.jinja", "plain")
	write("additional_chat_templates/tool_use.jinja", "tools")
	tmpl, err := FromDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := tmpl.Render(Conversation{Tools: List()}); err != nil || text != "tools" {
		t.Errorf("got %q, %v", text, err)
	}
	// Where the added tokens are not listed, special_tokens_map.json comes first, as in transformers.
	write("chat_template.jinja", "{{ bos_token }}{{ eos_token }}")
	write("special_tokens_map.json", `{"bos_token": {"content": "<b>"}}`)
	for config, want := range map[string]string{
		`{"bos_token": "<a>", "eos_token": "<e>"}`:                             "<b><e>",
		`{"bos_token": "<a>", "eos_token": "<e>", "added_tokens_decoder": {}}`: "<a><e>",
		`{}`: "<b>",
	} {
		write("tokenizer_config.json", config)
		tmpl, err := FromDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := tmpl.Render(Conversation{}); err != nil || text != want {
			t.Errorf("%s: got %q (%v), want %q", config, text, err, want)
		}
	}
	write("special_tokens_map.json", `{"bos_token": 3}`)
	write("tokenizer_config.json", "{}")
	if _, err := FromDir(dir); err == nil || !strings.Contains(err.Error(), "special_tokens_map.json: bos_token: got") {
		t.Errorf("a number for a token: got %v", err)
	}
	os.Remove(filepath.Join(dir, "special_tokens_map.json"))
	write("chat_template.jinja", strings.Repeat("x", maxSource+1))
	if _, err := FromDir(dir); err == nil || !strings.Contains(err.Error(), "want at most") {
		t.Errorf("a large file: got %v", err)
	}
	os.Remove(filepath.Join(dir, "chat_template.jinja"))
	if err := os.Mkdir(filepath.Join(dir, "chat_template.jinja"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := FromDir(dir); err == nil || !strings.Contains(err.Error(), "got a directory, want a file") {
		t.Errorf("a directory: got %v", err)
	}
}

func TestSourceFromGGUF(t *testing.T) {
	tmpl, err := SourceFromGGUF(map[string]string{"tokenizer.chat_template": "a{{ bos_token }}", "tokenizer.chat_template.tool_use": "b{{ eos_token }}", "general.name": "x"}, "<s>", "</s>").Template()
	if err != nil {
		t.Fatal(err)
	}
	a, _ := tmpl.Render(Conversation{})
	b, _ := tmpl.Render(Conversation{Tools: List()})
	if a != "a<s>" || b != "b</s>" {
		t.Errorf("got %q and %q", a, b)
	}
	if _, err := SourceFromGGUF(nil, "", "").Template(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestTogether renders one template in several goroutines.
func TestTogether(t *testing.T) {
	tmpl := mustParse(t, family(t, "qwen3like"))
	c := Conversation{Messages: List(Message("system", "s"), Message("user", "u"), Message("assistant", "<think>\nx\n</think>\n\na")), Tools: answerTools, AddGenerationPrompt: true}
	want, err := tmpl.Render(c)
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 20 {
				if got, err := tmpl.Render(c); err != nil || got != want {
					t.Errorf("got %q, %v", got, err)
				}
			}
		})
	}
	wait.Wait()
}

func BenchmarkRender(b *testing.B) {
	tmpl := mustParse(b, family(b, "qwen3like"))
	c := Conversation{Messages: List(Message("system", "s"), Message("user", "u"), Message("assistant", "<think>\nx\n</think>\n\na"), Message("user", "v")), Tools: answerTools, AddGenerationPrompt: true}
	for b.Loop() {
		if _, err := tmpl.Render(c); err != nil {
			b.Fatal(err)
		}
	}
}

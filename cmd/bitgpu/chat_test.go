package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu"
	"bitgpu/io/chat"
)

// turns is a template for the models of the test data, which have none.
const turns = "{% for m in messages %}<|endoftext|>{{ m.role }}\n{{ m.content }}<|endoftext|>\n{% endfor %}{% if add_generation_prompt %}<|endoftext|>assistant\n{% endif %}"

// talkInTurns lets the script talk to a model by a template and returns what was shown, and the chat, which is open until the
// test ends.
func talkInTurns(t *testing.T, person *script, source string) (out, warn string, talk *bitgpu.Chat) {
	t.Helper()
	m, err := bitgpu.Load(model("d32-none"), bitgpu.WithBackend(bitgpu.CPU))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	template, err := chat.Parse(source)
	if err != nil {
		t.Fatal(err)
	}
	talk, err = bitgpu.NewChat(s, bitgpu.ChatOptions{Template: template})
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	given := func(string) bool { return true }
	_, err = answering{call: &call{out: &stdout, log: &stderr, given: given}}.converseInTurns(
		t.Context(), talk, bitgpu.Options{MaxTokens: 8, Temperature: 1, Seed: 1}, person)
	if err != nil {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), talk
}

// said is what the user said of a chat, and how many messages there are.
func said(talk *bitgpu.Chat) (all []string, messages int) {
	for _, m := range talk.Messages() {
		if m.Role == "user" {
			all = append(all, m.Content)
		}
	}
	return all, len(talk.Messages())
}

func TestChatConversation(t *testing.T) {
	file := filepath.Join(t.TempDir(), "talk.memory")
	person := &script{aborts: 1, lines: []string{
		"/undo", "/regen", "", "  ", "one two", "/regen", `"""first line`, `second "quoted"`, "", `/third"""`, `"""in one"""`, "/think maybe", "/think on", "/think",
		"/save " + file, "/undo", "/undo", "/nonsense", "/system Be brief.", "/context 9", "three", "/stats", "/help", "/n -1", "/load no/such", "/quit", "never read",
	}}
	out, warn, talk := talkInTurns(t, person, turns)
	if got, n := said(talk); out == "" || n != 4 || strings.Join(got, "|") != "one two|three" || talk.Options().System != "Be brief." {
		t.Errorf("got %q in %d messages, system %q", got, n, talk.Options().System)
	}
	for _, want := range []string{
		"/quit or Ctrl-D leaves", "bitgpu: there is no turn yet", `/think: got "maybe", want on or off`, "knows of no thinking", "the conversation of 6 messages and ",
		"the last turn is taken back; there are 2 messages", "no command /nonsense", "[8 tokens are the limit: /n changes it]", "the model has no limit", "kept    ", "no/such",
		`between """ and """`, "  /system [TEXT]", "/n: got",
	} {
		if !strings.Contains(warn, want) {
			t.Errorf("want %q in %q", want, warn)
		}
	}
	if len(person.lines) != 1 {
		t.Errorf("%d lines left", len(person.lines))
	}
	_, warn, talk = talkInTurns(t, &script{lines: []string{"/load " + file, "/stats", "/clear", "/load " + file}}, turns)
	if got, n := said(talk); n != 6 || strings.Join(got, "|") != "one two|first line\nsecond \"quoted\"\n\n/third|in one" || strings.Count(warn, " is loaded") != 2 {
		t.Errorf("got %q in %d messages: %s", got, n, warn)
	}
	// Messages that are not closed are not said.
	_, _, talk = talkInTurns(t, &script{lines: []string{`"""first`, "second"}}, turns)
	if _, n := said(talk); n != 0 {
		t.Errorf("got %d messages, want 0", n)
	}
}

func TestChatOnce(t *testing.T) {
	dir := t.TempDir()
	template, file := writeText(t, filepath.Join(dir, "turns.jinja"), turns), filepath.Join(dir, "talk.memory")
	args := []string{"chat", "-m", model("d32-delta"), "--template", template, "--temp", "0", "-n", "12"}
	want := succeed(t, "", append(args, "-p", "hello you")...)
	if got := succeed(t, "hello you\r\n", args...); want == "" || got != want {
		t.Errorf("got %q on stdin, want %q", got, want)
	}
	args = append(args, "--memory", file, "--stats", "--show-prompt")
	r := bitgpuRun("", append(args, "--system", "Be brief.", "-p", "hello you")...)
	if r.code != 0 || !strings.Contains(r.err, "system\nBe brief.<|endoftext|>\n<|endoftext|>user\nhello you<|endoftext|>\n<|endoftext|>assistant\n[the end of the prompt]") ||
		!strings.Contains(r.err, "kept    0 tokens") {
		t.Errorf("%+v", r)
	}
	// The next run reads on.
	r = bitgpuRun("", append(args, "-p", "and you")...)
	if r.code != 0 || !strings.Contains(r.err, "system\nBe brief.") || !strings.Contains(r.err, "user\nand you<") || strings.Contains(r.err, "kept    0 ") {
		t.Errorf("%+v", r)
	}
	refuse(t, exitError, bitgpuRun("", "chat", "-m", model("d32-none"), "--template", template, "--memory", file, "-p", "x"), file, "another model")
	succeed(t, "", "run", "-m", model("d32-delta"), "-p", "text", "-n", "0", "--memory", file)
	refuse(t, exitError, bitgpuRun("", append(args, "-p", "x")...), file+": got a memory without a conversation, want one that a chat has saved")
	refuse(t, exitError, bitgpuRun("", "chat", "-p", "x"), "the embedded demo model: the model has no chat template: it goes on from text, and cannot hold a conversation", "--template FILE")
	refuse(t, exitError, bitgpuRun("", "chat", "--template", template, "-p", ""), "chat: -p: nothing is said")
	refuse(t, exitError, bitgpuRun("\n", "chat", "--template", template), "stdin: nothing is said")
	writeText(t, template, "{% for m in messages %}\n{% include 'x' %}{% endfor %}")
	refuse(t, exitError, bitgpuRun("", "chat", "--template", template, "-p", "x"), "--template: "+template+": ", "line 2", "include")
	writeText(t, template, "{{ messages[7].content.x }}")
	refuse(t, exitError, bitgpuRun("", "chat", "--template", template, "-p", "x"), "the chat template cannot be used: the embedded demo model: chat: template line 1: ")
}

// Public models bring their templates, and what is wrong with one is said with its line.
func TestChatPublic(t *testing.T) {
	public := os.Getenv("BITGPU_PUBLIC_MODELS")
	if public == "" {
		t.Skip("BITGPU_PUBLIC_MODELS is not set")
	}
	for _, name := range []string{"a_qwen3/model-PQ2_0.gguf", "a_qwen3", "b_qwen35/model-PQ2_0.gguf"} {
		path := filepath.Join(public, name)
		r := bitgpuRun("", "chat", "-m", path, "-p", "Hi", "--seed", "1", "-n", "5", "--no-think", "--show-prompt", "--context", "64")
		if r.code != 0 || !strings.Contains(r.err, "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n[the end of the prompt]\n") {
			t.Errorf("%s: %+v", name, r)
		}
		refuse(t, exitError, bitgpuRun("", "chat", "-m", path, "-p", strings.Repeat("x ", 100), "--context", "64"), "the context is too short: got a conversation of ", "want fewer than 64; --context N")
	}
	dir := t.TempDir()
	for _, file := range []string{"config.json", "tokenizer.json", "model.safetensors"} {
		if err := os.WriteFile(filepath.Join(dir, file), read(t, filepath.Join(public, "a_qwen3", file)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	refuse(t, exitError, bitgpuRun("", "chat", "-m", dir, "-p", "x"), dir+": the model has no chat template")
	writeText(t, filepath.Join(dir, "chat_template.jinja"), "\n\n{% nonsense %}")
	refuse(t, exitError, bitgpuRun("", "chat", "-m", dir, "-p", "x"), "the chat template cannot be used: "+dir+": ", "line 3", "nonsense")
	succeed(t, "", "run", "-m", dir, "-p", "x", "-n", "1")
}

// What is thought is dimmed, or stands in tags, and calls of tools stand in lines of their own.
func TestAnswerWriter(t *testing.T) {
	parts := []chat.Delta{
		{Reasoning: "a"}, {Reasoning: "b"}, {Content: "c"}, {Content: "d"},
		{Call: &chat.ToolCall{Name: "f", Arguments: chat.Object(chat.Member{Name: "x", Value: chat.Int(1)})}}, {Content: "e"},
	}
	const rest = "cd\n<tool_call>\n{\"arguments\":{\"x\":1},\"name\":\"f\"}\n</tool_call>\ne\n"
	for dim, want := range map[bool]string{
		false: "<think>\nab\n</think>\n\n" + rest,
		true:  "\x1b[2ma\x1b[0m\x1b[2mb\x1b[0m\n\n" + rest,
	} {
		var out strings.Builder
		a := &answerWriter{w: &out, dim: dim}
		for _, part := range parts {
			if !a.show(part) {
				t.Fatal(a.err)
			}
		}
		a.endLine()
		a.endLine()
		if out.String() != want {
			t.Errorf("dim %v: got %q, want %q", dim, out.String(), want)
		}
	}
}

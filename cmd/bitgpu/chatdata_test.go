package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/io/corpus"
	"bitgpu/io/tokenizer"
	"bitgpu/nn/storage/public/publictest"
)

const plainTemplate = `{% for m in messages %}{{ m.role | upper }}: {{ m.content }}
{% endfor %}{% if add_generation_prompt %}ASSISTANT: {% endif %}`

// chats writes conversations of both shapes and a template.
func chats(t testing.TB, n int) (data, template string) {
	t.Helper()
	var lines strings.Builder
	for i := range n {
		if i%2 == 0 {
			fmt.Fprintf(&lines, `{"messages":[{"role":"user","content":"Who %d?"},{"role":"assistant","content":"The master and the dame."}]}`+"\n", i)
		} else {
			fmt.Fprintf(&lines, `{"conversations":[{"from":"human","value":"Where %d?"},{"from":"gpt","value":"Down the lane."},{"from":"human","value":"Yes"},{"from":"gpt","value":"Down it."}]}`+"\n", i)
		}
	}
	dir := t.TempDir()
	return writeText(t, filepath.Join(dir, "chats.jsonl"), lines.String()), writeText(t, filepath.Join(dir, "plain.jinja"), plainTemplate)
}

// chatTokenFiles is a directory of the tokens of conversations, with the vocabulary beside it.
func chatTokenFiles(t testing.TB, data, template string) (tokens string) {
	t.Helper()
	dir := t.TempDir()
	vocab, tokens := filepath.Join(dir, "tokenizer.json"), filepath.Join(dir, "tokens")
	mustRun(t, "vocab", "--input", rhyme(t), "-o", vocab, "--vocab-size", "300")
	out, _ := mustRun(t, "data", "--chat", "--input", data, "--template", template, "--tokenizer", vocab, "--val-ratio", "0.2", "--output-dir", tokens)
	if !strings.Contains(out, "conversations, ") {
		t.Error(out)
	}
	return tokens
}

// From conversations to a model: only answers count, the directory says so, the training and the measurement take it.
func TestChatData(t *testing.T) {
	data, template := chats(t, 60)
	dir, tokens := t.TempDir(), chatTokenFiles(t, data, template)
	vocab, model := filepath.Join(filepath.Dir(tokens), "tokenizer.json"), filepath.Join(dir, "model")
	meta, err := corpus.ReadMeta(filepath.Join(tokens, corpus.MetaName))
	if err != nil {
		t.Fatal(err)
	}
	part, err := corpus.OpenPart(filepath.Join(tokens, corpus.TrainName), meta.Train)
	if err != nil {
		t.Fatal(err)
	}
	defer part.Close()
	tok, err := tokenizer.Parse(vocab, read(t, vocab))
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]uint32, part.Len())
	if _, err := part.CopyTo(ids, 0); err != nil {
		t.Fatal(err)
	}
	var answers []uint32
	for i, m := range part.Marks() {
		if m&corpus.Counts != 0 {
			answers = append(answers, ids[i])
		}
	}
	if rest := strings.NewReplacer("The master and the dame.\n", "", "Down the lane.\n", "", "Down it.\n", "", "<|endoftext|>", "").Replace(tok.Decode(answers, false)); rest != "" || int64(len(answers)) != meta.Train.Answers {
		t.Errorf("got %q among the answers, and %d of them, want %d", rest, len(answers), meta.Train.Answers)
	}
	stdout, _ := mustRun(t, small("--data", tokens, "--steps", "30", "--context-len", "64", "--save-interval", "10", "--output-dir", model)...)
	if !strings.Contains(stdout, "nats a token of answers") {
		t.Error(stdout)
	}
	report := reportOf(t, "eval", "-m", model, "--data", tokens, "--json", "--backend", "cpu", "--context-len", "64", "--batch-size", "2")
	if report.Tokens != meta.Val.Answers || report.Loss > 4 || report.BitsPerByte != nil {
		t.Errorf("got %+v, want %d answers that are learned", report, meta.Val.Answers)
	}
	// Packed, it takes fewer rows, and what is learned in as many steps is learned better, as a step has more of it.
	_, stderr := mustRun(t, small("--data", tokens, "--pack", "--steps", "30", "--context-len", "256", "--save-interval", "10", "--output-dir", filepath.Join(dir, "packed"))...)
	if !strings.Contains(stderr, " rows of 256 tokens, ") || strings.Contains(stderr, "--pack puts") {
		t.Error(stderr)
	}
	packed := reportOf(t, "eval", "-m", filepath.Join(dir, "packed"), "--data", tokens, "--json", "--backend", "cpu", "--context-len", "64", "--batch-size", "2")
	if packed.Tokens != report.Tokens || packed.Loss > report.Loss {
		t.Errorf("got %v nats after training on packed rows, %v on others", packed.Loss, report.Loss)
	}
	mustRun(t, "train", "--resume", "--output-dir", filepath.Join(dir, "packed"), "--steps", "40", "--backend", "cpu")
	fails(t, exitUsage, "--pack: got false, want true", "train", "--resume", "--pack=false", "--output-dir", filepath.Join(dir, "packed"), "--steps", "50", "--backend", "cpu")
	fails(t, exitError, "got text, want conversations to pack", small("--data", rhyme(t), "--pack", "--steps", "1", "--output-dir", filepath.Join(dir, "text"))...)
	fails(t, exitError, "packed rows for a model of the minibatch rule", small("--data", tokens, "--pack", "--ttt-rule", "minibatch", "--inner-lr", "0.01", "--steps", "1", "--output-dir", filepath.Join(dir, "mini"))...)
	fails(t, exitError, "conversations, want text for passages", small("--data", tokens, "--reread", "0.5", "--context-len", "64", "--steps", "1", "--output-dir", filepath.Join(dir, "r"))...)
	fails(t, exitUsage, "got no chat template beside", "data", "--chat", "--input", data, "--tokenizer", vocab, "--output-dir", dir)
	fails(t, exitUsage, "--template has nothing to act on: it is for --chat", "data", "--input", data, "--template", template, "--tokenizer", vocab, "--output-dir", dir)
	fails(t, exitError, `conversation 1, which begins with "{\"text\":1}": got neither "messages" nor "conversations"`,
		"data", "--chat", "--input", writeText(t, filepath.Join(dir, "bad.jsonl"), `{"text":1}`), "--template", template, "--tokenizer", vocab, "--output-dir", filepath.Join(dir, "bad"))
}

// A public model learns answers: what is written afterwards is one, and the questions, which were as often there, are not learned.
func TestLearnChat(t *testing.T) {
	data, template := chats(t, 20)
	m, dir := publictest.File(t, "qwen3"), t.TempDir()
	lora := filepath.Join(dir, "chat.lora.safetensors")
	_, stderr := mustRun(t, "learn", "-m", m, "--chat", "--text", data, "--template", template, "-o", lora, "--steps", "30", "--lr", "0.01", "--backend", "cpu")
	if !strings.Contains(stderr, "saved "+lora) {
		t.Error(stderr)
	}
	loss := func(text string, more ...string) float64 {
		return reportOf(t, append([]string{"eval", "-m", m, "--json", "--backend", "cpu", "--document", "file", "--data", writeText(t, filepath.Join(dir, "x.txt"), text)}, more...)...).Loss
	}
	const answer = "USER: Who 2?\nASSISTANT: The master and the dame."
	if before, after := loss(answer), loss(answer, "--lora", lora); !(after < before-0.5) {
		t.Errorf("got %v nats a token after learning, %v before", after, before)
	}
	packed := filepath.Join(dir, "packed.lora.safetensors")
	_, stderr = mustRun(t, "learn", "-m", m, "--chat", "--pack", "--text", data, "--template", template, "-o", packed, "--steps", "15", "--lr", "0.01", "--backend", "cpu")
	if !strings.Contains(stderr, "rows of 64 tokens, ") {
		t.Error(stderr)
	}
	if before, after := loss(answer), loss(answer, "--lora", packed); !(after < before-0.5) {
		t.Errorf("got %v nats a token after learning from packed rows, %v before", after, before)
	}
	fails(t, exitUsage, "--pack has nothing to act on", "learn", "-m", m, "--text", data, "--pack", "-o", lora)
	fails(t, exitUsage, "--template has nothing to act on", "learn", "-m", m, "--text", data, "--template", template, "-o", lora)
	if _, err := os.Stat(lora); err != nil {
		t.Error(err)
	}
}

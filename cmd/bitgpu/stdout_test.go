package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// No command ends well when its results did not arrive.
func TestNoCommandSucceedsOnAFullStdout(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("to be or not to be\n\nthat is the question\n\n", 40)), 0o600); err != nil {
		t.Fatal(err)
	}
	m, out := model("d32-none"), filepath.Join(dir, "out")
	template := writeText(t, filepath.Join(dir, "turns.jinja"), turns)
	calls := map[string][]string{
		"run":        {"run", "-m", m, "-p", "the", "-n", "5"},
		"chat":       {"chat", "-m", m, "--template", template, "-p", "the", "-n", "5"},
		"serve":      nil, // has no results but its answers
		"web":        nil, // writes files
		"logits":     {"logits", "-m", m, "--tokens", "1", "-o", out + ".safetensors"},
		"tokenize":   {"tokenize", "-m", m, "-p", "the"},
		"inspect":    {"inspect", m},
		"export":     {"export", "-m", m, "-o", out + ".bitt"},
		"vocab":      {"vocab", "--input", text, "-o", out + ".json", "--vocab-size", "300"},
		"data":       {"data", "--input", text, "--tokenizer", out + ".json", "--output-dir", out + "-data"},
		"train":      {"train", "--data", text, "--dim", "16", "--layers", "1", "--steps", "2", "--batch-size", "1", "--context-len", "16", "--vocab-size", "300"},
		"learn":      {"learn", "-m", m, "--text", text, "-o", out + ".lora.safetensors", "--steps", "1", "--backend", "cpu"},
		"eval":       {"eval", "-m", m, "--data", text},
		"plot":       {"plot", "-o", out + ".svg", out + "-train1"},
		"view":       nil, // writes pictures
		"bench":      {"bench", "--quick", "--backend", "cpu", "--only", "^parity/ops/embed"},
		"devices":    {"devices"},
		"models":     {"models"},
		"completion": {"completion", "bash"},
		"version":    {"version"},
		"licenses":   {"licenses"},
		"help":       {"help"},
	}
	n := 0
	attempt := func(name string, args []string) {
		if name == "train" { // a directory of its own each time
			n++
			args = append(args[:len(args):len(args)], "--output-dir", out+"-train"+string(rune('0'+n)))
		}
		r := bitgpuRun("", args...)
		if r.code != 0 {
			t.Errorf("%q: %s", args, r.err)
		}
		if name == "train" {
			n++
			args = append(args[:len(args)-1:len(args)-1], out+"-train"+string(rune('0'+n)))
		}
		var stderr bytes.Buffer
		code := run(args, strings.NewReader(""), fullDisk{}, &stderr)
		wrong := code != exitError || !strings.HasSuffix(stderr.String(), "bitgpu: stdout: no space left\n")
		if r.out != "" && wrong || r.out == "" && code != 0 {
			t.Errorf("%q to a full stdout: exit code %d: %s", args, code, &stderr)
		}
	}
	attempt("", nil)
	for _, command := range commands() {
		args, known := calls[command.Name]
		if !known {
			t.Errorf("%s: add a call of it here", command.Name)
		}
		if args != nil {
			attempt(command.Name, args)
		}
		attempt("help", []string{command.Name, "--help"})
	}
	attempt("eval", append(calls["eval"], "--json"))
	attempt("inspect", []string{"inspect", "--json", m})
	attempt("tokenize", append(calls["tokenize"], "--ids"))
}

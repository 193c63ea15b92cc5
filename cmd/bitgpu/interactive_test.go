package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu"
	"bitgpu/io/memory"
	"bitgpu/nn/storage/public/publictest"

	"github.com/peterh/liner"
)

// script is a person who types lines; an empty error means a line.
type script struct {
	lines   []string
	aborts  int // presses Ctrl-C so many times before the first line
	history []string
}

func (s *script) Prompt(string) (string, error) {
	if s.aborts > 0 {
		s.aborts--
		return "", liner.ErrPromptAborted
	}
	if len(s.lines) == 0 {
		return "", io.EOF
	}
	line := s.lines[0]
	s.lines = s.lines[1:]
	return line, nil
}

func (s *script) AppendHistory(line string) { s.history = append(s.history, line) }
func (s *script) Close() error              { return nil }

// talk lets the script talk to a model and returns stdout, stderr and the session's position.
func talk(t *testing.T, person *script, seed uint64) (out, warn string, position int64) {
	t.Helper()
	m, err := bitgpu.Load(model("d32-none"), bitgpu.WithBackend(bitgpu.CPU))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	return talkTo(t, m, person, seed)
}

func talkTo(t *testing.T, m *bitgpu.Model, person *script, seed uint64) (out, warn string, position int64) {
	t.Helper()
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	given := func(string) bool { return true }
	_, err = answering{call: &call{out: &stdout, log: &stderr, given: given}}.converse(
		t.Context(), s, bitgpu.Options{MaxTokens: 10, Temperature: 1, Seed: seed}, person)
	if err != nil {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), s.Position()
}

// A context that is full is no end of the conversation.
func TestContextIsRaisedInAConversation(t *testing.T) {
	m, err := bitgpu.Load(publictest.File(t, "qwen3"), bitgpu.WithBackend(bitgpu.CPU), bitgpu.WithContext(20))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	long := strings.Repeat("a", 30)
	_, warn, position := talkTo(t, m, &script{lines: []string{long, "/context 1000", "/context 40", long, "/context"}}, 1)
	for _, want := range []string{
		"got 30 tokens, want 20 at most; /reset begins anew, /context N makes room for more, up to 64", "context: got 1000 tokens, want 64 at most",
		"there is room for 40 tokens", "/context needs N after it",
	} {
		if !strings.Contains(warn, want) {
			t.Errorf("want %q in %q", want, warn)
		}
	}
	if position < 30 || strings.Count(warn, "too short") != 1 {
		t.Errorf("got %d tokens read, %q, want 30 and more", position, warn)
	}
}

func TestConversation(t *testing.T) {
	file := filepath.Join(t.TempDir(), "m.soul")
	person := &script{aborts: 1, lines: []string{"/stats", "/nonsense", "", "one two", "/save " + file, "/temp hot", "/temp 0", "/help", "/load", "/load no/such", "/quit", "never read"}}
	out, warn, position := talk(t, person, 1)
	if out == "" || position < 2 {
		t.Errorf("no answer, %d tokens", position)
	}
	for _, want := range []string{
		"/quit or Ctrl-D leaves", "no command /nonsense", "the prompt is empty", `/temp: got "hot", want a number from 0 to 100`,
		"/reset          forget", "/load needs FILE after it", "no/such", "device  CPU",
	} {
		if !strings.Contains(warn, want) {
			t.Errorf("want %q in %q", want, warn)
		}
	}
	if len(person.lines) != 1 || len(person.history) != 10 {
		t.Errorf("%d lines left, history %q", len(person.lines), person.history)
	}
	saved, err := memory.Read(file)
	if err != nil || saved.Tokens != position {
		t.Errorf("got %v, want memory of %d tokens (%v)", saved, position, err)
	}

	again, _, _ := talk(t, &script{lines: []string{"three", "/reset", "one two"}}, 1)
	if !strings.HasSuffix(again, out) {
		t.Errorf("after /reset: want %q at the end of %q", out, again)
	}
	_, _, loaded := talk(t, &script{lines: []string{"/load " + file, "/temp 0"}}, 1)
	if loaded != position {
		t.Errorf("/load: got position %d, want %d", loaded, position)
	}
}

// The settings change what is written as the flags do, and a wrong one says so and changes nothing.
func TestConversationSettings(t *testing.T) {
	first := func(lines ...string) (out, warn string) {
		out, warn, _ = talk(t, &script{lines: append(lines, "one two")}, 1)
		return out, warn
	}
	plain, warn := first()
	if !strings.Contains(warn, "[10 tokens are the limit: an empty line goes on, /n changes it]") {
		t.Errorf("no hint at the limit: %q", warn)
	}
	if again, _ := first("/seed", "/n -1", "/top-k x", "/seed 1.5", "/temp 101", "/seed 1", "/?"); again != plain {
		t.Errorf("got %q, want %q", again, plain)
	}
	other, _ := first("/seed 2")
	greedy, _ := first("/temp 0")
	if largest, _ := first("/top-k 1", "/seed 2"); largest != greedy || other == plain || greedy == plain {
		t.Errorf("plain %q, other %q, greedy %q, of the largest %q", plain, other, greedy, largest)
	}
	if short, _ := first("/n 3"); len(short) >= len(plain) || !strings.HasPrefix(plain, strings.TrimSpace(short)) {
		t.Errorf("got %q, want the beginning of %q", short, plain)
	}
	stop := string([]rune(greedy)[1:3])
	stopped, warn := first("/temp 0", "/stop never", "/stop "+stop)
	if want := greedy[:strings.Index(greedy, stop)]; stopped != want || strings.Contains(warn, "limit") {
		t.Errorf("got %q, want %q: %s", stopped, want, warn)
	}
	if all, _ := first("/temp 0", "/stop "+stop, "/stop"); all != greedy {
		t.Errorf("got %q, want %q", all, greedy)
	}
	_, warn = first("/n", "/n many", "/top-k -1", "/seed x", "/quit now", "/Help")
	for _, want := range []string{
		"/n needs N after it", `/n: got "many", want a whole number from 0`, `/top-k: got "-1"`, `/seed: got "x"`, `/quit: got "now", want nothing after it`,
		"no command /Help",
	} {
		if !strings.Contains(warn, want) {
			t.Errorf("want %q in %q", want, warn)
		}
	}
	for _, leave := range []string{"/quit", "/exit", "/bye", "/bye "} {
		person := &script{lines: []string{leave, "left"}}
		if talk(t, person, 1); len(person.lines) != 1 {
			t.Errorf("%q did not leave", leave)
		}
	}
}

// What is said in pieces is what is said at once, and a loaded memory goes on.
func TestConversationGoesOn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "m.memory")
	whole, _, _ := talk(t, &script{lines: []string{"/temp 0", "/n 40", "one two"}}, 1)
	lines := []string{"/temp 0", "/n 1", "one two"}
	for range 38 {
		lines = append(lines, "")
	}
	pieces, _, _ := talk(t, &script{lines: append(lines, "/save "+file, "")}, 1)
	if pieces != whole {
		t.Errorf("got %q, want %q", pieces, whole)
	}
	loaded, _, _ := talk(t, &script{lines: []string{"/temp 0", "/n 1", "/load " + file, ""}}, 1)
	if loaded == "" || !strings.HasSuffix(whole, loaded) {
		t.Errorf("got %q, want the end of %q", loaded, whole)
	}
}

func TestCompleteCommands(t *testing.T) {
	for line, want := range map[string]string{
		"/s": "/save |/stop |/seed |/stats", "/r": "/reset", "/n": "/n ", "text": "", "": "", "/x": "", "/save f": "", "/top": "/top-k ",
	} {
		if got := strings.Join(completeLine(commandsOfTalk(), line), "|"); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

func TestPlainLines(t *testing.T) {
	var prompts bytes.Buffer
	l := newLineReader(&call{in: strings.NewReader("one\r\ntwo"), out: io.Discard, log: &prompts}, nil)
	defer l.Close()
	for _, want := range []string{"one", "two"} {
		if got, err := l.Prompt("> "); got != want || err != nil {
			t.Errorf("got %q, want %q (%v)", got, want, err)
		}
	}
	if _, err := l.Prompt("> "); !errors.Is(err, io.EOF) || prompts.String() != "> > > " {
		t.Errorf("%v, %q", err, prompts.String())
	}
}

func TestHistoryIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bitgpu", "history")
	l := &terminalLines{State: &liner.State{}, history: path}
	l.State.AppendHistory("a secret")
	if err := l.saveHistory(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

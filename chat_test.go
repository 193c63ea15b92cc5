package bitgpu

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"bitgpu/io/chat"
	"bitgpu/io/memory"
)

// Templates with the structure of those that models ship: turns closed by a token, turns of text alone, and one that leaves out
// the thoughts of earlier answers.
const (
	closedTurns = "{% for m in messages %}<|endoftext|>{{ m.role }}\n{{ m.content }}<|endoftext|>\n{% endfor %}{% if add_generation_prompt %}<|endoftext|>assistant\n{% endif %}"
	plainTurns  = "{% for m in messages %}{{ m.role | capitalize + ': ' + m.content | trim + '\n' }}{% endfor %}{% if add_generation_prompt %}Assistant: {% endif %}"
	thoughtless = "{% for m in messages %}<|endoftext|>{{ m.role }}\n{% if m.reasoning_content and loop.last %}<think>\n{{ m.reasoning_content }}\n</think>\n{% endif %}" +
		"{{ m.content }}<|endoftext|>\n{% endfor %}{% if add_generation_prompt %}<|endoftext|>assistant\n<think>\n{% endif %}"
)

// chatModels are models to chat with: ours in the test data, and the public ones where the environment says where they are.
func chatModels(t *testing.T) []string {
	paths := []string{"testdata/reference/d32-none/model.bitt", "testdata/reference/d32-delta/model.bitt"}
	if dir := os.Getenv("BITGPU_PUBLIC_MODELS"); dir != "" {
		for _, name := range []string{"a_qwen3/model-PQ2_0.gguf", "b_qwen35/model-PQ2_0.gguf", "a_bitnet_packed", "f_gguf/llama_tq2_0.gguf"} {
			paths = append(paths, filepath.Join(dir, name))
		}
	}
	return paths
}

func loadCPU(t *testing.T, path string, opts ...Option) *Model {
	t.Helper()
	m, err := Load(path, append(opts, WithBackend(CPU))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// newChat begins a chat by a template, "" for the model's own.
func newChat(t *testing.T, m *Model, source string, o ChatOptions) *Chat {
	t.Helper()
	if source != "" {
		// The token that ends a text stands for the tokens of turns.
		if len(m.ends) > 0 {
			end, _ := m.tok.Token(m.ends[0])
			source = strings.ReplaceAll(source, "<|endoftext|>", end)
		}
		var err error
		if o.Template, err = chat.Parse(source); err != nil {
			t.Fatal(err)
		}
	}
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewChat(s, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// checkHeld compares what a chat's session predicts with what a fresh one does over the same tokens.
func checkHeld(t *testing.T, c *Chat, about string) {
	t.Helper()
	if int64(len(c.held.ids)) != c.s.Position() {
		t.Fatalf("%s: got %d tokens in the memory, want the %d of the chat", about, c.s.Position(), len(c.held.ids))
	}
	fresh, err := c.s.model.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	want, err := fresh.Forward(c.held.ids)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.s.Forward(nil)
	if err != nil {
		t.Fatal(err)
	}
	off, size := 0.0, 0.0
	for i := range want {
		off += math.Pow(float64(got[i]-want[i]), 2)
		size += math.Pow(float64(want[i]), 2)
	}
	// Inputs that are rounded to 8 bits may be rounded to the other side.
	if off > 1e-3*size {
		t.Fatalf("%s: the logits are off by %g of those of a fresh session", about, math.Sqrt(off/size))
	}
}

// Whatever is taken back, changed or answered again, the session remembers what the template renders and no more.
func TestChatKeepsItsMemory(t *testing.T) {
	for _, path := range chatModels(t) {
		m := loadCPU(t, path)
		for name, source := range map[string]string{"closed": closedTurns, "plain": plainTurns, "thoughtless": thoughtless} {
			c := newChat(t, m, source, ChatOptions{System: "Be brief."})
			o := Options{MaxTokens: 6, Temperature: 1, Seed: 3}
			step := func(about string, keeps bool, f func() (Reply, error)) {
				t.Helper()
				about = fmt.Sprintf("%s, %s, %s", path, name, about)
				before := c.s.Position()
				r, err := f()
				if err != nil {
					t.Fatalf("%s: %v", about, err)
				}
				checkHeld(t, c, about)
				prompt, err := c.render(c.conversation(c.messages[:len(c.messages)-1]))
				if err != nil || !strings.HasPrefix(c.held.text, prompt.text) {
					t.Errorf("%s: the session holds %q, want the prompt %q first (%v)", about, c.held.text, prompt.text, err)
				}
				if read := r.Kept + r.PromptTokens; int64(read+r.Tokens) != c.s.Position() || keeps != (r.Kept > 0) || r.Kept > int(before) {
					t.Errorf("%s: got %d tokens kept of %d, %d read and %d written, want %d in all, some kept: %v", about, r.Kept, before, r.PromptTokens, r.Tokens, c.s.Position(), keeps)
				}
			}
			send := func(text string) func() (Reply, error) {
				return func() (Reply, error) { return c.Send(t.Context(), text, o, nil) }
			}
			step("first", false, send("one two three"))
			step("second", true, send("four"))
			step("third", true, send("five"))
			step("again", true, func() (Reply, error) { return c.Again(t.Context(), o, nil) })
			for range 2 {
				if err := c.Undo(); err != nil {
					t.Fatal(err)
				}
			}
			step("after undo", true, send("six"))
			c.SetSystem("Be long.")
			if _, err := c.Send(t.Context(), "seven", o, nil); err != nil {
				t.Fatal(err)
			}
			checkHeld(t, c, path+", system")
			c.Clear()
			if err := c.Undo(); !errors.Is(err, ErrNoTurn) {
				t.Errorf("got %v, want ErrNoTurn", err)
			}
			for i := range 2 * mostMarks {
				if _, err := c.Send(t.Context(), fmt.Sprint("turn ", i), o, nil); err != nil {
					t.Fatal(err)
				}
			}
			if len(c.marks) > mostMarks || len(c.marks) == 0 != c.s.run.Cuts() {
				t.Errorf("%s: got %d marks, want 1 to %d where the states need them", path, len(c.marks), mostMarks)
			}
		}
	}
}

// A saved conversation goes on where it was, and nothing is read again.
func TestChatFile(t *testing.T) {
	for _, path := range chatModels(t) {
		m := loadCPU(t, path)
		file := filepath.Join(t.TempDir(), "chat.memory")
		o := Options{MaxTokens: 9, Seed: 3}
		first := newChat(t, m, closedTurns, ChatOptions{System: "Be brief."})
		if err := first.Save(file); err != nil {
			t.Fatal(err)
		}
		if err := first.Load(file); err != nil { // of nothing
			t.Fatal(err)
		}
		if _, err := first.Send(t.Context(), "one two three <|endoftext|>", o, nil); err != nil {
			t.Fatal(err)
		}
		if err := first.Save(file); err != nil {
			t.Fatal(err)
		}
		second := newChat(t, m, closedTurns, ChatOptions{})
		if err := second.Load(file); err != nil {
			t.Fatal(err)
		}
		want, err := first.Send(t.Context(), "four", o, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := second.Send(t.Context(), "four", o, nil)
		if err != nil || got.Answer.Content != want.Answer.Content || got.Kept < len(second.held.ids)-got.PromptTokens-got.Tokens {
			t.Errorf("%s: got %+v (%v), want %+v", path, got, err, want)
		}
		if len(second.Messages()) != 4 || second.Options().System != "Be brief." {
			t.Errorf("%s: got %+v", path, second.Messages())
		}
		s, err := m.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Learn(t.Context(), "text"); err != nil {
			t.Fatal(err)
		}
		if err := s.SaveMemory(file); err != nil {
			t.Fatal(err)
		}
		if err := second.Load(file); err == nil || !strings.Contains(err.Error(), "got a memory without a conversation, want one that a chat has saved") {
			t.Errorf("%s: got %v", path, err)
		}
		checkHeld(t, second, path)
	}
}

// A saved conversation has the last border of turns: where the template renders the last answer in another way, what comes
// before is not read again.
func TestChatFileMarks(t *testing.T) {
	for _, path := range chatModels(t) {
		m := loadCPU(t, path)
		file := filepath.Join(t.TempDir(), "chat.memory")
		first := newChat(t, m, thoughtless, ChatOptions{})
		for _, text := range []string{"one two three", "four"} {
			if _, err := first.Send(t.Context(), text, Options{MaxTokens: 9, Temperature: 1, Seed: 3}, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := first.Save(file); err != nil {
			t.Fatal(err)
		}
		second := newChat(t, m, thoughtless, ChatOptions{})
		if err := second.Load(file); err != nil {
			t.Fatal(err)
		}
		r, err := second.Send(t.Context(), "five", Options{MaxTokens: 3, Temperature: 1}, nil)
		if err != nil || r.Kept < 10 {
			t.Errorf("%s: got %+v (%v), want more kept", path, r, err)
		}
		damaged, err := memory.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		if len(damaged.Mark) > 0 {
			damaged.Mark = nil
			if err := memory.WriteFile(file, damaged); err != nil {
				t.Fatal(err)
			}
			before := second.Messages()
			if err := second.Load(file); err == nil || !strings.Contains(err.Error(), file+": mark: ") {
				t.Errorf("%s: without the mark: got %v, want it named", path, err)
			}
			if !reflect.DeepEqual(second.Messages(), before) {
				t.Errorf("%s: a file that was refused changed the conversation", path)
			}
		}
		checkHeld(t, second, path)
	}
}

// What a user types is text: control tokens in it end no turn.
func TestChatControlTokens(t *testing.T) {
	m := loadCPU(t, "testdata/reference/d32-none/model.bitt")
	c := newChat(t, m, closedTurns, ChatOptions{})
	end, _ := m.tok.ID("<|endoftext|>")
	count := func(text string) (n int) {
		p, err := c.render(c.conversation([]ChatMessage{{Role: "user", Content: text}}))
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range p.ids {
			if id == end {
				n++
			}
		}
		if got := m.tok.Decode(p.ids, false); got != p.text {
			t.Errorf("got %q, want %q", got, p.text)
		}
		return n
	}
	if plain, typed := count("hello"), count("hello<|endoftext|>\n<|endoftext|>assistant\n"); plain != typed {
		t.Errorf("got %d control tokens, want %d", typed, plain)
	}
}

// An answer that is stopped stays in the conversation, without one that nothing was written of.
func TestChatStopped(t *testing.T) {
	m := loadCPU(t, "testdata/reference/d32-none/model.bitt")
	c := newChat(t, m, plainTurns, ChatOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	r, err := c.Send(ctx, "one", Options{MaxTokens: 1000, Temperature: 1}, func(chat.Delta) bool { cancel(); return true })
	if !errors.Is(err, context.Canceled) || r.Reason != EndCancelled || len(c.Messages()) != 2 {
		t.Errorf("got %+v, %v, %+v", r, err, c.Messages())
	}
	checkHeld(t, c, "stopped")
	if _, err := c.Send(ctx, "two", Options{MaxTokens: 5}, nil); !errors.Is(err, context.Canceled) || len(c.Messages()) != 2 {
		t.Errorf("got %v, %+v", err, c.Messages())
	}
	if r, err := c.Send(t.Context(), "two", Options{MaxTokens: 5, Temperature: 1}, func(chat.Delta) bool { return false }); err != nil || r.Reason != EndRefused || r.Kept == 0 {
		t.Errorf("got %+v, %v", r, err)
	}
	checkHeld(t, c, "refused")
}

// Without a template there is no chat, and one that cannot be used is named with its line.
func TestChatTemplates(t *testing.T) {
	m := loadCPU(t, "testdata/reference/d32-none/model.bitt")
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := NewChat(s, ChatOptions{}); !errors.Is(err, ErrNoTemplate) || !strings.HasPrefix(err.Error(), "testdata/") {
		t.Errorf("got %v, want ErrNoTemplate", err)
	}
	c := newChat(t, m, "{% for m in messages %}\n{{ raise_exception('no ' + m.role) }}\n{% endfor %}", ChatOptions{})
	if _, err := c.Send(t.Context(), "one", Options{}, nil); !errors.Is(err, ErrTemplate) || !strings.Contains(err.Error(), "line 2: no user") || len(c.Messages()) != 0 {
		t.Errorf("got %v", err)
	}
}

// The end of the context is a reason, and a conversation that does not fit is refused and changes nothing.
func TestChatContext(t *testing.T) {
	dir := os.Getenv("BITGPU_PUBLIC_MODELS")
	if dir == "" {
		t.Skip("BITGPU_PUBLIC_MODELS is not set")
	}
	m := loadCPU(t, filepath.Join(dir, "a_qwen3/model-PQ2_0.gguf"), WithContext(64))
	c := newChat(t, m, "", ChatOptions{})
	long := Options{Temperature: 1, Seed: 1}
	for seed := range uint64(20) { // until no end token comes before
		long.Seed = seed
		c.Clear()
		if r, err := c.Send(t.Context(), "Hi", long, nil); err != nil {
			t.Fatal(err)
		} else if r.Reason == EndContext {
			break
		} else if seed == 19 {
			t.Fatalf("got %+v, want the end of the context", r)
		}
	}
	if _, err := c.Send(t.Context(), "more", long, nil); !errors.Is(err, ErrContext) || len(c.Messages()) != 2 {
		t.Errorf("got %v, want ErrContext", err)
	}
	checkHeld(t, c, "full")
	if err := c.Undo(); err != nil {
		t.Fatal(err)
	}
	if r, err := c.Send(t.Context(), "Hi", Options{MaxTokens: 3, Temperature: 1}, nil); err != nil || r.Kept == 0 {
		t.Errorf("got %+v, %v", r, err)
	}
}

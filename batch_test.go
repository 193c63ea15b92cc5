package bitgpu_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"bitgpu"
	"bitgpu/demo"
)

// told is a text of a batch as its user sees it.
type told struct {
	*bitgpu.Sequence
	text   strings.Builder
	reason bitgpu.Reason
	want   string
	why    bitgpu.Reason
}

// steps takes steps until every sequence of a batch that is not stopped has ended.
func steps(t *testing.T, b *bitgpu.Batch, texts ...*told) {
	t.Helper()
	for b.Writing() > 0 {
		step(t, b, texts)
	}
}

func step(t *testing.T, b *bitgpu.Batch, texts []*told) {
	t.Helper()
	steps, err := b.Step()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		i := slices.IndexFunc(texts, func(w *told) bool { return w.Sequence == s.Sequence })
		if s.Err != nil || i < 0 {
			t.Fatalf("got %+v, want a step of a text that was begun", s)
		}
		if texts[i].reason != "" {
			t.Fatalf("got %q after the end", s.Text)
		}
		texts[i].text.WriteString(s.Text)
		texts[i].reason = s.Reason
	}
}

// Texts of a batch that begin, stop, go on and end at random are each what a session writes alone, with its own rules, limit,
// stop texts and reason.
func TestBatch(t *testing.T) {
	m, err := bitgpu.LoadBytes(demo.Name, demo.Model, bitgpu.WithBackend(bitgpu.CPU))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	b, err := m.NewBatch(2)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	begin := func() *told {
		prompt := "ROMEO:" + strings.Repeat(" What is this", rng.IntN(20))
		if rng.IntN(6) == 0 {
			prompt = strings.Repeat(prompt, 12) // several pieces
		}
		o := bitgpu.Options{
			MaxTokens: rng.IntN(12), Temperature: float64(rng.IntN(2)), TopK: rng.IntN(30), RepeatPenalty: 1.1, Seed: rng.Uint64(),
			Stop: []string{" the", "e"}[rng.IntN(2):],
		}
		if rng.IntN(2) == 0 {
			o.Stop = nil
		}
		w := &told{}
		session, err := m.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		result, err := session.Stream(t.Context(), prompt, o, func(piece string) bool {
			w.want += piece
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		w.why = result.Reason
		if w.Sequence, err = b.Start(prompt, o); err != nil {
			t.Fatal(err)
		}
		return w
	}
	var live []*told
	for ended := 0; ended < 60; {
		for len(live) < 10 && rng.IntN(3) > 0 {
			live = append(live, begin())
		}
		for _, w := range live {
			if w.Resume(); rng.IntN(3) == 0 {
				w.Stop()
			}
		}
		step(t, b, live)
		live = slices.DeleteFunc(live, func(w *told) bool {
			if w.reason == "" {
				if got := w.text.String(); !strings.HasPrefix(w.want, got) {
					t.Fatalf("wrote %q among others, want %q as alone", got, w.want)
				}
				return false
			}
			ended++
			if got := w.text.String(); got != w.want || w.reason != w.why || w.Ended() != w.why {
				t.Fatalf("wrote %q (%s) among others, want %q (%s) as alone", got, w.reason, w.want, w.why)
			}
			w.Close()
			return true
		})
	}
}

// A fork goes on with the text of the one that it came from, and a snapshot of it does too, in another batch.
func TestBatchForks(t *testing.T) {
	m, err := bitgpu.LoadBytes(demo.Name, demo.Model, bitgpu.WithBackend(bitgpu.CPU))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	b, err := m.NewBatch(0)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	first, second := bitgpu.Options{MaxTokens: 8, Temperature: 0.8, Seed: 1}, bitgpu.Options{MaxTokens: 9, Temperature: 0.8, Seed: 2}
	session, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	want, err := session.Generate(t.Context(), "ROMEO:", first)
	if err != nil {
		t.Fatal(err)
	}
	more, err := session.Generate(t.Context(), "", second)
	if err != nil {
		t.Fatal(err)
	}
	third, err := session.Generate(t.Context(), " And then", second)
	if err != nil {
		t.Fatal(err)
	}

	origin := &told{}
	if origin.Sequence, err = b.Start("ROMEO:", first); err != nil {
		t.Fatal(err)
	}
	steps(t, b, origin)
	if got := origin.text.String(); got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	snapshot, err := origin.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	fork := &told{}
	if fork.Sequence, err = origin.Fork(second); err != nil {
		t.Fatal(err)
	}
	origin.Close()
	steps(t, b, fork)
	if got := fork.text.String(); got != more {
		t.Errorf("the fork: got %q, want %q", got, more)
	}
	if err := fork.Write(" And then", second); err != nil {
		t.Fatal(err)
	}
	fork.text.Reset()
	fork.reason = ""
	steps(t, b, fork)
	if got := fork.text.String(); got != third {
		t.Errorf("written on: got %q, want %q", got, third)
	}
	other, err := m.NewBatch(1)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	restored := &told{}
	if restored.Sequence, err = other.StartFrom(snapshot, "", second); err != nil {
		t.Fatal(err)
	}
	steps(t, other, restored)
	if got := restored.text.String(); got != more {
		t.Errorf("the snapshot: got %q, want %q", got, more)
	}
}

// What cannot be is an error that says so, and leaves the others alone.
func TestBatchRefuses(t *testing.T) {
	m, err := bitgpu.LoadBytes(demo.Name, demo.Model, bitgpu.WithBackend(bitgpu.CPU))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.NewBatch(-1); !errors.Is(err, bitgpu.ErrOption) {
		t.Errorf("got %v, want an invalid option", err)
	}
	b, err := m.NewBatch(1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Start("", bitgpu.Options{MaxTokens: 1}); !errors.Is(err, bitgpu.ErrEmptyPrompt) {
		t.Errorf("got %v, want an empty prompt", err)
	}
	if _, err := b.Start("a", bitgpu.Options{TopP: 2}); !errors.Is(err, bitgpu.ErrOption) {
		t.Errorf("got %v, want an invalid option", err)
	}
	if n := len(b.Sequences()); n != 0 {
		t.Errorf("got %d sequences of texts that were refused", n)
	}
	w := &told{}
	if w.Sequence, err = b.Start("a", bitgpu.Options{MaxTokens: 2}); err != nil {
		t.Fatal(err)
	}
	steps(t, b, w)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Step(); !errors.Is(err, bitgpu.ErrClosed) {
		t.Errorf("got %v, want a closed batch", err)
	}
	if _, err := w.Fork(bitgpu.Options{}); !errors.Is(err, bitgpu.ErrClosed) {
		t.Errorf("got %v, want a closed batch", err)
	}
	if err := errors.Join(w.Close(), b.Close()); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

func ExampleModel_NewBatch() {
	model, err := bitgpu.Load(path, bitgpu.WithBackend(bitgpu.CPU))
	if err != nil {
		panic(err)
	}
	defer model.Close()
	batch, err := model.NewBatch(2)
	if err != nil {
		panic(err)
	}
	defer batch.Close()
	for i, prompt := range []string{"ROMEO:", "JULIET: O"} {
		if _, err := batch.Start(prompt, bitgpu.Options{MaxTokens: 5 + i, Temperature: 0.8, Seed: uint64(i)}); err != nil {
			panic(err)
		}
	}
	texts := map[*bitgpu.Sequence]string{}
	for batch.Writing() > 0 { // more may be started, forked, stopped and closed at any time
		steps, err := batch.Step()
		if err != nil {
			panic(err)
		}
		for _, s := range steps {
			texts[s.Sequence] += s.Text
			if s.Reason != "" {
				fmt.Println(s.Sequence.Tokens(), "tokens:", s.Reason)
			}
		}
	}
	fmt.Println(len(texts), "texts")
	// Output:
	// 5 tokens: length
	// 6 tokens: length
	// 2 texts
}

package bitgpu

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"bitgpu/nn/storage"
	"bitgpu/nn/storage/public/publictest"
)

// A context is what the model was made for, or what half of the free memory holds; one that is asked for may take all of it.
func TestContextFitsTheMemory(t *testing.T) {
	path := publictest.File(t, "qwen35")
	need := func(context int) int64 {
		l, err := storage.Load(path, storage.Options{Context: context})
		if err != nil {
			t.Fatal(err)
		}
		f := l.Config.Footprint(1, 1)
		return f.Workspace + f.Session
	}
	for _, c := range []struct {
		asked int
		free  int64
		want  int // 0: refused
	}{
		{0, 0, 64}, {0, 2 * need(64), 64}, {0, 2*need(64) - 2, 63}, {0, 2 * need(20), 20}, {0, 2*need(16) - 2, 0},
		{30, 0, 30}, {30, need(30), 30}, {30, need(30) - 1, 0}, {100, need(64), 64},
	} {
		l, err := storage.Load(path, storage.Options{Context: c.asked})
		if err != nil {
			t.Fatal(err)
		}
		m := &Model{config: l.Config, name: path}
		err = m.fitContext(l, c.asked, 1, c.free)
		switch {
		case c.want == 0 && (err == nil || !strings.Contains(err.Error(), path+": a context of ")):
			t.Errorf("%+v: got %v, want a refusal", c, err)
		case c.want > 0 && (err != nil || m.Context() != c.want || l.Config.Capacity() != c.want || m.TrainedContext() != publictest.Context):
			t.Errorf("%+v: got %d of %d, %v", c, m.Context(), m.TrainedContext(), err)
		}
	}
}

// A text that does not fit is refused before its first pieces are read.
func TestWhatDoesNotFitIsNotBegun(t *testing.T) {
	m, err := Load(publictest.File(t, "qwen3"), WithBackend(CPU))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s := begin(t, m)
	if n, err := s.ReadTokens(t.Context(), make([]uint32, 2*m.PieceTokens())); n != 0 || !errors.Is(err, ErrContext) || s.Position() != 0 {
		t.Errorf("got %d tokens read, %v, want none and %v", n, err, ErrContext)
	}
	if n, err := s.ReadTokens(t.Context(), make([]uint32, publictest.Context)); n != publictest.Context || err != nil {
		t.Errorf("got %d tokens read, %v, want %d", n, err, publictest.Context)
	}
	b, err := m.NewBatch(2)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	long, err := b.Start(strings.Repeat("a ", 2*m.PieceTokens()), Options{MaxTokens: 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := b.Step(); err != nil {
			t.Fatal(err)
		}
	}
	if got := long.session.run.Position(); got != 0 || !errors.Is(long.Err(), ErrContext) {
		t.Errorf("in a batch: got %d tokens read, %v, want none and %v", got, long.Err(), ErrContext)
	}
}

// A session whose context is full goes on after it was raised, as one does that had the room from the start.
func TestRaiseContext(t *testing.T) {
	path := publictest.File(t, "qwen35")
	var sessions []*Session
	for _, context := range []int{20, 40} {
		m, err := Load(path, WithBackend(CPU), WithContext(context))
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		sessions = append(sessions, begin(t, m))
		if _, err := sessions[len(sessions)-1].Forward(make([]uint32, 20)); err != nil {
			t.Fatal(err)
		}
	}
	m := sessions[0].Model()
	if _, err := sessions[0].Forward([]uint32{1}); !errors.Is(err, ErrContext) {
		t.Errorf("the context is full: got %v, want %v", err, ErrContext)
	}
	if err := m.RaiseContext(publictest.Context + 1); !errors.Is(err, ErrOption) || m.Context() != 20 {
		t.Errorf("got %v and room for %d tokens, want %v and room for 20", err, m.Context(), ErrOption)
	}
	for _, tokens := range []int{40, 10} {
		if err := m.RaiseContext(tokens); err != nil || m.Context() != 40 || m.Config().Capacity() != 40 {
			t.Errorf("raised to %d: got %v and room for %d tokens, want 40", tokens, err, m.Context())
		}
	}
	var logits [2][]float32
	for i, s := range sessions {
		var err error
		if logits[i], err = s.Forward(make([]uint32, 15)); err != nil || s.Left() != 5 {
			t.Fatalf("got %v, %d tokens left, want 5", err, s.Left())
		}
	}
	if !slices.Equal(logits[0], logits[1]) {
		t.Error("after raising the context: got another prediction than with the room from the start")
	}
}

package bitgpu

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitgpu/nn/op"
	"bitgpu/nn/storage"
)

// Calls joined are one call, also where they cut a character; a new prompt, Reset and LoadMemory drop what is left of it.
func TestCallsGoOn(t *testing.T) {
	m := open(t, "d32-none")
	memory := filepath.Join(t.TempDir(), "memory")
	cut := 0
	for _, prompt := range []string{"hi", "one", "日本", "zebra", "\x01", "Q"} {
		const tokens = 40
		write := func(s *Session, prompt string, n int) string {
			t.Helper()
			text, err := s.Generate(t.Context(), prompt, Options{MaxTokens: n})
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		want := write(begin(t, m), prompt, tokens)
		for _, n := range []int{1, 3, 7} {
			s := begin(t, m)
			got := write(s, prompt, n)
			for at := n; at < tokens; at += n {
				if n == 3 { // a fork goes on as its origin would
					f, err := s.Fork()
					if err != nil {
						t.Fatal(err)
					}
					s.Close()
					s = f
				}
				got += write(s, "", min(n, tokens-at))
			}
			if got != want {
				t.Errorf("%q, calls of %d tokens: got %q, want %q", prompt, n, got, want)
			}
		}
		// One token at a time, until one ends inside a character.
		s := begin(t, m)
		write(s, prompt, 1)
		for range tokens {
			if held := s.text.clone().stream.Flush(); held != "" {
				cut++
				break
			}
			write(s, "", 1)
		}
		f, err := s.Fork()
		if err != nil {
			t.Fatal(err)
		}
		g, err := s.Fork()
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.SaveMemory(memory), f.LoadMemory(memory), g.Reset()); err != nil {
			t.Fatal(err)
		}
		write(s, "A", 0)
		for about, s := range map[string]*Session{"prompt": s, "load": f, "reset": g} {
			if s.text != nil && s.text.stream.Clone().Flush() != "" {
				t.Errorf("%q, %s: something is left of the text before", prompt, about)
			}
		}
		f.Close()
		g.Close()
	}
	if cut == 0 {
		t.Error("no call cut a character")
	}
}

// Numbers that are not finite end every way to use a session with the token, and leave it as it says.
func TestNotFinite(t *testing.T) {
	l, err := storage.Load(filepath.Join(reference, "d32-none"), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	good := open(t, "d32-none")
	ids, err := good.Encode("never Z", false)
	if err != nil {
		t.Fatal(err)
	}
	bad, word := ids[len(ids)-1], "Z"
	l.Weights.Embed().F32 = slices.Clone(l.Weights.Embed().F32)
	l.Weights.Embed().F32[int(bad)*l.Config.Width] = float32(math.NaN())
	m, err := newModel(l, options{backend: CPU})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	path := filepath.Join(t.TempDir(), "memory")
	saved := begin(t, m)
	if _, err := saved.Learn(t.Context(), "one two"); err != nil {
		t.Fatal(err)
	}
	if err := saved.SaveMemory(path); err != nil {
		t.Fatal(err)
	}
	start, _ := good.Encode("one ", true)
	token := int64(len(start)) + 1
	use := map[string]func(s *Session) error{
		"generate": func(s *Session) error {
			_, err := s.Generate(t.Context(), "one "+word, Options{MaxTokens: 5})
			return err
		},
		"read":    func(s *Session) error { _, err := s.Generate(t.Context(), "one "+word, Options{}); return err },
		"learn":   func(s *Session) error { _, err := s.Learn(t.Context(), "one "+word+" two"); return err },
		"forward": func(s *Session) error { _, err := s.Forward(append(slices.Clone(start), bad)); return err },
		"all": func(s *Session) error {
			return s.ForwardAll(append(slices.Clone(start), bad, 1), func(from int, logits []float32) error {
				if op.FirstNotFinite(logits) >= 0 {
					t.Error("they are shown")
				}
				return nil
			})
		},
	}
	for about, f := range use {
		s := begin(t, m)
		var at *NotFiniteError
		if err := f(s); !errors.As(err, &at) || !errors.Is(err, ErrNotFinite) || at.From > token || at.To < token || at.To > token+1 {
			t.Errorf("%s: got %v, want not finite after token %d", about, err, token)
			continue
		}
		for next, f := range use {
			if err := f(s); !errors.Is(err, ErrNotFinite) || !strings.Contains(err.Error(), at.Error()) || !strings.Contains(err.Error(), "reset") {
				t.Errorf("%s, then %s: %v", about, next, err)
			}
		}
		if _, err := s.Fork(); !errors.Is(err, ErrNotFinite) {
			t.Errorf("%s, then fork: %v", about, err)
		}
		if err := s.SaveMemory(path); !errors.Is(err, ErrNotFinite) {
			t.Errorf("%s, then save: %v", about, err)
		}
		mend := s.Reset
		if about == "learn" {
			mend = func() error { return s.LoadMemory(path) }
		}
		if err := mend(); err != nil {
			t.Errorf("%s: %v", about, err)
		}
		if _, err := s.Generate(t.Context(), "one", Options{MaxTokens: 3}); err != nil {
			t.Errorf("%s, then another memory: %v", about, err)
		}
	}
}

// After an error that is the caller's, a session is what it was, or goes on from what it had read.
func TestSessionsAfterErrors(t *testing.T) {
	m := open(t, "d32-none")
	failed := errors.New("enough")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for about, f := range map[string]func(s *Session) (read []uint32, err error){
		"token":   func(s *Session) ([]uint32, error) { _, err := s.Forward([]uint32{3, 300}); return nil, err },
		"tokens":  func(s *Session) ([]uint32, error) { return nil, s.ForwardAll([]uint32{3, 300}, nil) },
		"context": func(s *Session) ([]uint32, error) { _, err := s.Learn(cancelled, "text"); return nil, err },
		"prompt": func(s *Session) ([]uint32, error) {
			_, err := s.Generate(cancelled, "text", Options{MaxTokens: 2})
			return nil, err
		},
		"option": func(s *Session) ([]uint32, error) {
			_, err := s.Generate(t.Context(), "a", Options{TopP: 2})
			return nil, err
		},
		"memory": func(s *Session) ([]uint32, error) { return nil, s.LoadMemory("no such") },
		"visit": func(s *Session) ([]uint32, error) {
			tokens := make([]uint32, 600)
			err := s.ForwardAll(tokens, func(from int, _ []float32) error { return failed })
			return tokens[:s.Position()-3], err
		},
	} {
		s, plain := begin(t, m), begin(t, m)
		s.Forward([]uint32{1, 2, 3})
		read, err := f(s)
		if err == nil {
			t.Errorf("%s: no error", about)
		}
		want, _ := plain.Forward(append([]uint32{1, 2, 3}, read...))
		got, err := s.Forward(nil)
		if err != nil || distance(got, want) > 1e-5 || s.Position() != plain.Position() {
			t.Errorf("%s: got position %d, want %d; logits off by %g (%v)", about, s.Position(), plain.Position(), distance(got, want), err)
		}
	}
}

package bitgpu

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"bitgpu/demo"
)

// What is written token by token on the host is what the device writes, with the text of every token and the logits that
// it was drawn from.
func TestStreamTokensWritesWhatStreamWrites(t *testing.T) {
	m, err := LoadBytes(demo.Name, demo.Model, WithBackend(CPU))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for seed, o := range []Options{
		{Temperature: 1}, {Temperature: 0}, {Temperature: 0.8, TopK: 20}, {Temperature: 0.9, TopP: 0.8}, {Temperature: 1.2, MinP: 0.05},
		{Temperature: 0.7, RepeatPenalty: 1.2}, {Temperature: 1, Stop: []string{"the"}},
	} {
		o.MaxTokens, o.Seed = 60, uint64(seed)
		want, err := m.Generate(t.Context(), "ROMEO:", o)
		if err != nil {
			t.Fatal(err)
		}
		s := begin(t, m)
		ids, err := m.Encode("ROMEO:", true)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := s.ReadTokens(t.Context(), ids); n != len(ids) || err != nil {
			t.Fatalf("got %d and %v, want %d tokens", n, err, len(ids))
		}
		var got strings.Builder
		tokens := 0
		r, err := s.StreamTokens(t.Context(), TokenOptions{Options: o}, func(token Token) bool {
			got.WriteString(token.Text)
			if token.Logits == nil {
				return true
			}
			tokens++
			if len(token.Logits) != m.Config().Vocab || o.Temperature == 0 && token.Logits[token.ID] != slices.Max(token.Logits) {
				t.Errorf("%+v: token %d was not drawn from its logits", o, tokens)
			}
			return true
		})
		if err != nil || got.String() != want || tokens != r.Tokens {
			t.Errorf("%+v: got %q, %d tokens, %+v and %v, want %q", o, got.String(), tokens, r, err, want)
		}
	}
}

// Adjust decides which tokens can be drawn, and sees those that were.
func TestStreamTokensAdjusts(t *testing.T) {
	m := open(t, "d32-delta")
	s := begin(t, m)
	if _, err := s.StreamTokens(t.Context(), TokenOptions{}, nil); !errors.Is(err, ErrEmptyPrompt) {
		t.Errorf("got %v, want ErrEmptyPrompt", err)
	}
	if _, err := s.ReadTokens(t.Context(), []uint32{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	var ids []uint32
	_, err := s.StreamTokens(t.Context(), TokenOptions{Options: Options{MaxTokens: 3}, Adjust: func(logits []float32, written []uint32) error {
		logits[40+len(written)] = 1e6
		return nil
	}}, func(token Token) bool {
		if token.Logits != nil {
			ids = append(ids, token.ID)
		}
		return true
	})
	if want := []uint32{40, 41, 42}; err != nil || !slices.Equal(ids, want) {
		t.Errorf("got %d and %v, want %d", ids, err, want)
	}
}

// Whoever waits for a prompt of a large model waits for a part of a second or a few, and texts that were cut elsewhere agree.
func TestPiecesOfLargeModelsAreShorter(t *testing.T) {
	for _, c := range []struct {
		weights int
		backend Backend
		want    int
	}{{4e6, CPU, 256}, {500e6, CPU, 256}, {501e6, CPU, 128}, {1.7e9, CPU, 64}, {27e9, CPU, 64}, {27e9, GPU, 256}} {
		if got := pieceTokens(c.weights, c.backend); got != c.want {
			t.Errorf("%d weights on the %v: got pieces of %d, want %d", c.weights, c.backend, got, c.want)
		}
	}
}

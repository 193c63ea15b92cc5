package bitgpu

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"bitgpu/io/safetensors"
	"bitgpu/nn"
)

const reference = "testdata/reference"

func open(t testing.TB, path string, opts ...Option) *Model {
	t.Helper()
	m, err := Load(filepath.Join(reference, path), append([]Option{WithBackend(CPU)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func begin(t testing.TB, m *Model, opts ...SessionOption) *Session {
	t.Helper()
	s, err := m.NewSession(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func distance(a, b []float32) float64 {
	off, size := 0.0, 0.0
	for i := range a {
		off += math.Pow(float64(a[i]-b[i]), 2)
		size += math.Pow(float64(b[i]), 2)
	}
	return math.Sqrt(off / size)
}

// Logits and states are those of the independent program, by both rules and at any chunk.
func TestForwardEqualsTheReference(t *testing.T) {
	for _, name := range []string{"d32-none", "d36-absmean", "d32-delta"} {
		expected, err := safetensors.Open(filepath.Join(reference, name, "expected.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		defer expected.Close()
		m := open(t, name)
		for _, c := range []struct {
			rule, suffix string
			chunk        int
		}{{"sequential", "sequential", 1}, {"sequential", "sequential", 7}, {"sequential", "sequential", 0}, {"minibatch", "minibatch16", 16}} {
			want, ok := expected.Tensor("logits." + c.suffix)
			if !ok {
				continue
			}
			tokens, _ := expected.Tensor("tokens")
			ids, _ := tokens.Int32s()
			time := tokens.Shape[1] - 1
			s := begin(t, m, WithRule(c.rule, c.chunk))
			input := make([]uint32, time)
			for i := range input {
				input[i] = uint32(ids[i])
			}
			got := make([]float32, time*m.Config().Vocab)
			err := s.ForwardAll(input, func(from int, logits []float32) error {
				copy(got[from*m.Config().Vocab:], logits)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			values, _ := want.Float32s()
			if d := distance(got, values[:len(got)]); d > 1e-5 {
				t.Errorf("%s: %s, chunk %d: logits off by %g", name, c.rule, c.chunk, d)
			}
			layers, err := s.Memory()
			if err != nil {
				t.Fatal(err)
			}
			state, _ := expected.Tensor("state." + c.suffix + ".1")
			values, _ = state.Float32s()
			if d := distance(layers[1].W, values[:len(layers[1].W)]); d > 1e-5 {
				t.Errorf("%s: %s, chunk %d: state of layer 1 off by %g", name, c.rule, c.chunk, d)
			}
			last, err := begin(t, m, WithRule(c.rule, c.chunk)).Forward(input)
			if err != nil {
				t.Fatal(err)
			}
			if d := distance(last, got[len(got)-len(last):]); d > 1e-6 {
				t.Errorf("%s: %s, chunk %d: Forward differs from ForwardAll by %g", name, c.rule, c.chunk, d)
			}
		}
	}
}

func TestEveryWayToLoadIsTheSameModel(t *testing.T) {
	path := filepath.Join(reference, "d36-absmean", "model.bitt")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fromBytes, err := LoadBytes("bytes", data, WithBackend(CPU))
	if err != nil {
		t.Fatal(err)
	}
	defer fromBytes.Close()
	fromReader, err := LoadReader("reader", bytes.NewReader(data), int64(len(data)), WithBackend(CPU))
	if err != nil {
		t.Fatal(err)
	}
	defer fromReader.Close()
	o := Options{MaxTokens: 30, Temperature: 1, Seed: 7}
	want, err := open(t, "d36-absmean").Generate(t.Context(), "the", o)
	if err != nil || want == "" {
		t.Fatalf("%q, %v", want, err)
	}
	for _, m := range []*Model{open(t, "d36-absmean/model.bitt"), open(t, "d36-absmean/model.safetensors"), fromBytes, fromReader} {
		if got, err := m.Generate(t.Context(), "the", o); err != nil || got != want || m.ID() != fromBytes.ID() {
			t.Errorf("%s: got %q, want %q (%v)", m.ID(), got, want, err)
		}
	}
}

func TestErrorsCanBeToldApart(t *testing.T) {
	m := open(t, "d32-none")
	ctx := t.Context()
	closed := begin(t, m)
	closed.Close()
	dead := open(t, "d32-none")
	orphan := begin(t, dead)
	dead.Close()
	stream := func(s *Session, prompt string, o Options) error {
		_, err := s.Generate(ctx, prompt, o)
		return err
	}
	forward := func(s *Session, ids ...uint32) error {
		_, err := s.Forward(ids)
		return err
	}
	memory := filepath.Join(t.TempDir(), "other.soul")
	if err := begin(t, open(t, "d36-absmean")).SaveMemory(memory); err != nil {
		t.Fatal(err)
	}
	load := func(opts ...Option) error {
		_, err := Load(filepath.Join(reference, "d32-none"), opts...)
		return err
	}
	rule := func(rule string, chunk int) error {
		_, err := m.NewSession(WithRule(rule, chunk))
		return err
	}
	for about, c := range map[string]struct{ err, want error }{
		"empty prompt":       {stream(begin(t, m), "", Options{MaxTokens: 1}), ErrEmptyPrompt},
		"nothing read":       {forward(begin(t, m)), ErrEmptyPrompt},
		"token":              {forward(begin(t, m), 3, 300), ErrTokenRange},
		"closed session":     {forward(closed, 1), ErrClosed},
		"closed model":       {forward(orphan, 1), ErrClosed},
		"temperature":        {stream(begin(t, m), "a", Options{Temperature: -1}), ErrOption},
		"empty stop":         {stream(begin(t, m), "a", Options{Stop: []string{""}}), ErrOption},
		"max-tokens":         {stream(begin(t, m), "a", Options{MaxTokens: -1}), ErrOption},
		"rule":               {rule("fast", 0), ErrOption},
		"chunk":              {rule("sequential", -1), ErrOption},
		"other model":        {begin(t, m).LoadMemory(memory), ErrOtherModel},
		"no such adapter":    {load(WithAdapter("no such adapter")), ErrNoGPU},
		"backend":            {load(WithBackend("tpu")), ErrOption},
		"missing file":       {func() error { _, err := Load("no/such/model"); return err }(), os.ErrNotExist},
		"missing memory":     {begin(t, m).LoadMemory("no/such/memory"), os.ErrNotExist},
		"a reader too short": {func() error { _, err := LoadReader("r", strings.NewReader("BITT"), 1<<60); return err }(), nil},
	} {
		if c.err == nil || c.want != nil && !errors.Is(c.err, c.want) {
			t.Errorf("%s: got %v, want %v", about, c.err, c.want)
		}
		if c.err != nil && strings.Contains(c.err.Error(), "\n") {
			t.Errorf("%s: got %q, want one sentence", about, c.err)
		}
	}
	if err := m.Close(); err != nil || m.Close() != nil {
		t.Error("closing twice failed")
	}
}

func TestSeedsAndGreedyText(t *testing.T) {
	m := open(t, "d32-none")
	text := func(o Options) string {
		t.Helper()
		got, err := m.Generate(t.Context(), "the", o)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	warm := Options{MaxTokens: 40, Temperature: 1, Seed: 3}
	other := warm
	other.Seed = 4
	if a, b := text(warm), text(warm); a != b {
		t.Errorf("one seed, two texts: %q and %q", a, b)
	}
	if text(warm) == text(other) {
		t.Error("two seeds, one text")
	}
	if a, b := text(Options{MaxTokens: 40, Seed: 1}), text(Options{MaxTokens: 40, Temperature: 2, TopK: 1}); a != b {
		t.Errorf("greedy %q differs from top-k 1 %q", a, b)
	}
}

func TestTheTextEnds(t *testing.T) {
	m := open(t, "d32-none")
	o := Options{MaxTokens: 60, Temperature: 1, Seed: 5}
	full, err := m.Generate(t.Context(), "the", o)
	if err != nil || utf8.RuneCountInString(full) < 20 {
		t.Fatalf("%q, %v", full, err)
	}
	runes := []rune(full)
	stop := string(runes[9:13])
	o.Stop = []string{"\x00 never", stop}
	var got strings.Builder
	r, err := m.Stream(t.Context(), "the", o, func(text string) bool { got.WriteString(text); return true })
	if want := full[:strings.Index(full, stop)]; err != nil || got.String() != want || r.Reason != EndStop {
		t.Errorf("stop: got %q, want %q (%v, %v)", got.String(), want, r.Reason, err)
	}

	o.Stop = nil
	calls := 0
	r, err = m.Stream(t.Context(), "the", o, func(string) bool { calls++; return calls < 3 })
	if err != nil || r.Reason != EndRefused || calls != 3 {
		t.Errorf("refused: %v after %d calls (%v)", r.Reason, calls, err)
	}

	r, err = m.Stream(t.Context(), "the", Options{MaxTokens: 4}, func(string) bool { return true })
	if err != nil || r.Reason != EndLength || r.Tokens != 4 || r.PromptTokens == 0 {
		t.Errorf("length: %+v (%v)", r, err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	calls = 0
	r, err = m.Stream(ctx, "the", o, func(string) bool { calls++; cancel(); return true })
	if !errors.Is(err, context.Canceled) || r.Reason != EndCancelled || calls != 1 {
		t.Errorf("cancelled: %+v after %d calls (%v)", r, calls, err)
	}
	if _, err := begin(t, m).Learn(ctx, "text"); !errors.Is(err, context.Canceled) {
		t.Errorf("learning under a cancelled context: %v", err)
	}
}

// What a session goes on from is what was read and written, whether one by one, at once, forked, or from a file.
func TestMemoryGoesOn(t *testing.T) {
	for _, name := range []string{"d32-none", "d32-delta"} {
		m := open(t, name)
		path := filepath.Join(t.TempDir(), "memory.soul")
		first := begin(t, m)
		if n, err := first.Learn(t.Context(), strings.Repeat("one two three ", 60)); err != nil || int64(n) != first.Position() || n == 0 {
			t.Fatalf("%d tokens learnt (%v)", n, err)
		}
		if err := first.SaveMemory(path); err != nil {
			t.Fatal(err)
		}
		fork, err := first.Fork()
		if err != nil {
			t.Fatal(err)
		}
		defer fork.Close()
		second := begin(t, m)
		if err := second.LoadMemory(path); err != nil {
			t.Fatal(err)
		}
		if second.Position() != first.Position() {
			t.Errorf("%s: got position %d, want %d", name, second.Position(), first.Position())
		}
		predicted, errA := first.Forward(nil)
		loaded, errB := second.Forward(nil)
		if err := errors.Join(errA, errB); err != nil || !slices.Equal(predicted, loaded) {
			t.Errorf("%s: a loaded memory predicts something else (%v)", name, err)
		}
		o := Options{MaxTokens: 20, Temperature: 1, Seed: 4, RepeatPenalty: 3}
		third := begin(t, m)
		if err := third.LoadMemory(path); err != nil {
			t.Fatal(err)
		}
		went, err := first.Fork()
		if err != nil {
			t.Fatal(err)
		}
		defer went.Close()
		wrote, errA := went.Generate(t.Context(), "", o)
		again, errB := third.Generate(t.Context(), "", o)
		if err := errors.Join(errA, errB); err != nil || wrote != again {
			t.Errorf("%s: after an empty prompt: got %q, want %q (%v)", name, again, wrote, err)
		}
		a, errA := first.Forward([]uint32{40, 41})
		b, errB := second.Forward([]uint32{40, 41})
		c, errC := fork.Forward([]uint32{40, 41})
		if err := errors.Join(errA, errB, errC); err != nil || !slices.Equal(a, b) || !slices.Equal(a, c) {
			t.Errorf("%s: logits differ (%v)", name, err)
		}
		if err := second.Reset(); err != nil {
			t.Fatal(err)
		}
		fresh, errA := begin(t, m).Forward([]uint32{40, 41})
		after, errB := second.Forward([]uint32{40, 41})
		if err := errors.Join(errA, errB); err != nil || !slices.Equal(fresh, after) || second.Position() != 2 {
			t.Errorf("%s: a reset session is not a new one (%v)", name, err)
		}
	}
}

// Sessions of one model, each on a goroutine, write what they write alone.
func TestManySessionsAtOnce(t *testing.T) {
	m := open(t, "d32-none")
	prompts := []string{"one", "two", "three", "four", "five", "six"}
	o := Options{MaxTokens: 50, Temperature: 1, Seed: 11}
	want := make([]string, len(prompts))
	for i, p := range prompts {
		var err error
		if want[i], err = m.Generate(t.Context(), p, o); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for i, p := range prompts {
		all.Go(func() {
			for range 3 {
				if got, err := m.Generate(t.Context(), p, o); err != nil || got != want[i] {
					t.Errorf("%s: got %q, want %q (%v)", p, got, want[i], err)
				}
			}
		})
	}
	all.Wait()
}

func TestTheModelIsFreeWhileTextIsHandedOn(t *testing.T) {
	m := open(t, "d32-none")
	s, other := begin(t, m), begin(t, m)
	_, err := s.Stream(t.Context(), "the", Options{MaxTokens: 5}, func(string) bool {
		if _, err := other.Forward([]uint32{1}); err != nil {
			t.Errorf("another session: %v", err)
		}
		if _, err := s.Forward([]uint32{1}); !errors.Is(err, ErrBusy) {
			t.Errorf("the session itself: got %v, want %v", err, ErrBusy)
		}
		if err := s.Close(); !errors.Is(err, ErrBusy) {
			t.Errorf("closing the session itself: got %v, want %v", err, ErrBusy)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Stream(t.Context(), "the", Options{MaxTokens: 50}, func(string) bool {
		m.Close()
		return true
	})
	if !errors.Is(err, ErrClosed) || m.engine != nil {
		t.Errorf("got %v and no engine, want %v", err, ErrClosed)
	}
}

func TestAPanicInTheStreamLeavesTheModelUsable(t *testing.T) {
	m := open(t, "d32-none")
	func() {
		defer func() { recover() }()
		m.Stream(t.Context(), "the", Options{MaxTokens: 5}, func(string) bool { panic("caller") })
	}()
	if _, err := m.Generate(t.Context(), "the", Options{MaxTokens: 1}); err != nil {
		t.Fatal(err)
	}
}

func TestConfig(t *testing.T) {
	m := open(t, "d32-delta")
	if c := m.Config(); c.Width != 32 || c.Heads != 2 || c.Mixer != nn.MixerDelta {
		t.Errorf("%+v", c)
	}
	if m.PeakDeviceBytes() != 0 {
		t.Errorf("got %d bytes of a GPU, want 0", m.PeakDeviceBytes())
	}
	if m.Backend() != CPU || !strings.HasPrefix(m.Device(), "CPU (") || m.WeightBytes() < 1000 {
		t.Errorf("%s, %s, %d", m.Backend(), m.Device(), m.WeightBytes())
	}
}

package bitgpu

import (
	"cmp"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"bitgpu/gpu"
	"bitgpu/nn/webgpu"
)

// openOnGPU loads a reference model onto the software adapter, or the one that BITGPU_ADAPTER names.
func openOnGPU(t *testing.T, name string) *Model {
	t.Helper()
	m, err := Load(reference+"/"+name, WithBackend(GPU), WithAdapter(cmp.Or(os.Getenv("BITGPU_ADAPTER"), "software")))
	if errors.Is(err, ErrNoGPU) && os.Getenv("BITGPU_REQUIRE_GPU") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// Greedy text, and text with a seed, are the same on both engines.
func TestGPUWritesWhatTheCPUWrites(t *testing.T) {
	for _, name := range []string{"d32-none", "d36-absmean", "d32-delta", "d32-tied-head"} {
		cpu, gpu := open(t, name), openOnGPU(t, name)
		for _, o := range []Options{{MaxTokens: 50}, {MaxTokens: 50, Temperature: 1, TopK: 40, TopP: 0.95, RepeatPenalty: 1.2, Seed: 3}} {
			want, err := cpu.Generate(t.Context(), "the ship", o)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := gpu.Generate(t.Context(), "the ship", o); err != nil || got != want {
				t.Errorf("%s, %+v: got %q, want %q (%v)", name, o, got, want, err)
			}
		}
		tokens := []uint32{40, 41, 41, 41, 200, 3}
		want, errA := begin(t, cpu).Forward(tokens)
		got, errB := begin(t, gpu).Forward(tokens)
		if err := errors.Join(errA, errB); err != nil || distance(got, want) > 1e-4 {
			t.Errorf("%s: logits off by %g (%v)", name, distance(got, want), err)
		}
		if gpu.Backend() != GPU || gpu.Device() == "" || gpu.ID() != cpu.ID() {
			t.Errorf("%s, %s, %s", gpu.Backend(), gpu.Device(), gpu.ID())
		}
	}
}

// Streams and texts of a batch that a GPU writes at the same time are each what it writes alone, and are read together.
func TestGPUWritesTogether(t *testing.T) {
	for _, name := range []string{"d36-absmean", "d32-delta"} {
		m := openOnGPU(t, name)
		const n = 4
		prompt := func(i int) string { return "the ship" + strings.Repeat(" and so on", i) }
		options := func(i int) Options {
			return Options{MaxTokens: 8 + 7*i, Temperature: 1, TopK: 40, RepeatPenalty: 1.2, Seed: uint64(i)}
		}
		var want [n]string
		for i := range n {
			var err error
			if want[i], err = m.Generate(t.Context(), prompt(i), options(i)); err != nil {
				t.Fatal(err)
			}
		}
		before, _ := m.Batches()
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() {
				if got, err := m.Generate(t.Context(), prompt(i), options(i)); err != nil || got != want[i] {
					t.Errorf("%s: stream %d: got %q (%v), want %q", name, i, got, err, want[i])
				}
			})
		}
		all.Wait()
		if passes, _ := m.Batches(); passes == before {
			t.Logf("%s: the streams never met", name) // a busy machine may run one after the other
		}
		b, err := m.NewBatch(0)
		if err != nil {
			t.Fatal(err)
		}
		texts := map[*Sequence]int{}
		for i := range n {
			s, err := b.Start(prompt(i), options(i))
			if err != nil {
				t.Fatal(err)
			}
			texts[s] = i
		}
		var got [n]string
		for b.Writing() > 0 {
			steps, err := b.Step()
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range steps {
				got[texts[s.Sequence]] += s.Text
			}
		}
		if got != want {
			t.Errorf("%s: a batch: got %q, want %q", name, got, want)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A text that ends while more tokens are under way on the device leaves the memory at the token before its end.
func TestGPUMemoryAfterARefusal(t *testing.T) {
	cpu, gpu := open(t, "d32-none"), openOnGPU(t, "d32-none")
	o := Options{MaxTokens: 40, Temperature: 1, Seed: 5}
	for pieces := 1; pieces < 20; pieces += 3 {
		a, b := begin(t, cpu), begin(t, gpu)
		for _, s := range []*Session{a, b} {
			n := 0
			if _, err := s.Stream(t.Context(), "the", o, func(string) bool { n++; return n < pieces }); err != nil {
				t.Fatal(err)
			}
		}
		want, errA := a.Forward(nil)
		got, errB := b.Forward(nil)
		if err := errors.Join(errA, errB); err != nil || distance(got, want) > 1e-4 || a.Position() != b.Position() {
			t.Errorf("%d pieces: logits off by %g, position %d and %d (%v)", pieces, distance(got, want), a.Position(), b.Position(), err)
		}
	}
}

// Sessions that write at the same time, one even within the other's stream, do not disturb each other.
func TestGPUSessionsTakeTurns(t *testing.T) {
	m := openOnGPU(t, "d32-none")
	o := Options{MaxTokens: 30, Temperature: 1, Seed: 11}
	want, err := m.Generate(t.Context(), "one", o)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := m.Generate(t.Context(), "two", o)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	first := true
	_, err = begin(t, m).Stream(t.Context(), "one", o, func(text string) bool {
		got.WriteString(text)
		if first {
			first = false
			if again, err := m.Generate(t.Context(), "two", o); err != nil || again != inner {
				t.Errorf("within a stream: got %q, want %q (%v)", again, inner, err)
			}
		}
		return true
	})
	if err != nil || got.String() != want {
		t.Errorf("around another: got %q, want %q (%v)", got.String(), want, err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if got, err := m.Generate(t.Context(), "one", o); err != nil || got != want {
				t.Errorf("got %q, want %q (%v)", got, want, err)
			}
		})
	}
	all.Wait()
}

func TestGPUSessionsLeaveMemoryFlat(t *testing.T) {
	m := openOnGPU(t, "d32-none")
	inUse := func() int { return m.engine.(*typedEngine[*webgpu.Tensor]).model.Backend.(*webgpu.Ops).BytesInUse() }
	use := func(n int) {
		for range n {
			if _, err := m.Generate(t.Context(), "one", Options{MaxTokens: 2}); err != nil {
				t.Fatal(err)
			}
		}
	}
	use(3)
	before := inUse()
	if peak := m.PeakDeviceBytes(); peak < int64(before) {
		t.Errorf("got a peak of %d bytes, want at least the %d in use", peak, before)
	}
	use(30)
	if after := inUse(); after > before {
		t.Errorf("%d bytes before, %d after", before, after)
	}
}

func TestGPUModelClosedInItsStream(t *testing.T) {
	m := openOnGPU(t, "d32-none")
	_, err := m.Stream(t.Context(), "one", Options{MaxTokens: 100, Temperature: 1}, func(string) bool {
		m.Close()
		return true
	})
	if !errors.Is(err, ErrClosed) || m.engine != nil {
		t.Errorf("got %v and no engine, want %v", err, ErrClosed)
	}
}

func TestParseBackend(t *testing.T) {
	for name, want := range map[string]struct {
		backend Backend
		adapter string
	}{
		"": {Auto, ""}, "auto": {Auto, ""}, "cpu": {CPU, ""}, "gpu": {GPU, ""}, "cuda": {GPU, ""}, "cuda:0": {GPU, "0"}, "cuda:12": {GPU, "12"},
	} {
		if b, adapter, err := ParseBackend(name); b != want.backend || adapter != want.adapter || err != nil {
			t.Errorf("%q: got %s, %q, %v, want %s, %q", name, b, adapter, err, want.backend, want.adapter)
		}
	}
	for _, name := range []string{"cuda:", "cuda:x", "cuda:-1", "CUDA:0", "cpu:0", "tpu"} {
		if _, _, err := ParseBackend(name); !errors.Is(err, ErrOption) || !strings.Contains(err.Error(), name) {
			t.Errorf("%q: got %v, want %v", name, err, ErrOption)
		}
	}
}

// Who asks for a GPU and gets a software driver is told, unless it was named; so is who asks for nothing and gets the CPU.
func TestTheDeviceThatSurprisesIsExplained(t *testing.T) {
	openOnGPU(t, "d32-none") // skips where there is no adapter
	if gpu.HasHardware() {
		t.Skip("there is a hardware GPU")
	}
	for _, c := range []struct {
		name, adapter, note string
	}{
		{"gpu", "", "software driver"}, {"cuda", "", "software driver"}, {"cuda:0", "", "software driver"}, {"gpu", "software", ""},
		{"auto", "software", ""}, {"auto", "", "no hardware GPU"}, {"cpu", "", ""},
	} {
		m, err := Load(reference+"/d32-none", WithBackend(Backend(c.name)), WithAdapter(c.adapter))
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if note := m.DeviceNote(); !strings.Contains(note, c.note) || (note == "") != (c.note == "") {
			t.Errorf("%s, adapter %q: got the note %q, want %q", c.name, c.adapter, note, c.note)
		}
	}
	if _, err := Load(reference+"/d32-none", WithBackend("cuda:99")); !errors.Is(err, ErrNoGPU) {
		t.Errorf("cuda:99: got %v, want %v", err, ErrNoGPU)
	}
}

package corpus

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func newSampler(t testing.TB, tokens *Tokens, batch, time int, order Order, seed uint64) *Sampler {
	t.Helper()
	s, err := NewSampler(tokens, batch, time, order, seed)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// starts takes rows windows, one a batch, checks each, and returns where they begin; the tokens count from 0.
func starts(t testing.TB, s *Sampler, rows int) []int {
	t.Helper()
	inputs, targets := make([]uint32, s.batch*s.time), make([]uint32, s.batch*s.time)
	var begins []int
	for len(begins) < rows {
		if err := s.Next(inputs, targets); err != nil {
			t.Fatal(err)
		}
		for row := range s.batch {
			begin := inputs[row*s.time]
			for i := range s.time {
				if at := row*s.time + i; inputs[at] != begin+uint32(i) || targets[at] != inputs[at]+1 {
					t.Fatalf("window at %d: input %d, target %d at %d", begin, inputs[at], targets[at], i)
				}
			}
			begins = append(begins, int(begin))
		}
	}
	return begins
}

// TestSequential compares with the rule in words: after each row the cursor goes on by the context, and back to 0
// when fewer than context + 2 tokens are left.
func TestSequential(t *testing.T) {
	const time = 5
	for n := time + 1; n < 40; n++ {
		s := newSampler(t, count(t, "a.u16", n), 1, time, Sequential, 0)
		var want []int
		cursor := 0
		for range 20 {
			want = append(want, cursor)
			if cursor += time; n-cursor < time+2 {
				cursor = 0
			}
		}
		if diff := cmp.Diff(want, starts(t, s, 20)); diff != "" {
			t.Errorf("%d tokens: %s", n, diff)
		}
	}
}

func TestShuffle(t *testing.T) {
	const time = 5
	for _, n := range []int{6, 7, 10, 11, 15, 16, 23, 99, 1000} {
		tokens := count(t, "a.u32", n)
		s := newSampler(t, tokens, 1, time, Shuffle, 42)
		windows := int(s.Windows())
		if n >= 2*time && windows != n/time-1 && windows != 1 {
			t.Errorf("%d tokens: %d windows", n, windows)
		}
		phases := map[int]bool{}
		for epoch := range 30 {
			begins := starts(t, s, windows)
			if windows > 50 && slices.IsSorted(begins) {
				t.Errorf("%d tokens, epoch %d: not shuffled", n, epoch)
			}
			slices.Sort(begins)
			for i, begin := range begins {
				if begin != begins[0]+i*time || begin%time != begins[0]%time {
					t.Fatalf("%d tokens, epoch %d: windows at %v", n, epoch, begins)
				}
			}
			if last := begins[windows-1]; begins[0] >= time || last+time+1 > n {
				t.Fatalf("%d tokens, epoch %d: windows from %d to %d", n, epoch, begins[0], last)
			}
			phases[begins[0]] = true
		}
		if room := min(time, n-windows*time); len(phases) != room {
			t.Errorf("%d tokens: the windows began at %d of %d places in 30 epochs", n, len(phases), room)
		}
	}
}

func TestSeedsAndEpochsDiffer(t *testing.T) {
	tokens := count(t, "a.u32", 2000)
	first := newSampler(t, tokens, 1, 4, Shuffle, 1)
	windows := int(first.Windows())
	a, b := starts(t, first, windows), starts(t, first, windows)
	c := starts(t, newSampler(t, tokens, 1, 4, Shuffle, 2), windows)
	for name, pair := range map[string][2][]int{"epochs": {a, b}, "seeds": {a, c}} {
		same := 0
		for i := range pair[0] {
			if pair[0][i]/4 == pair[1][i]/4 {
				same++
			}
		}
		// Two random orders of any length agree in one place on average.
		if same > 10 {
			t.Errorf("%s: %d of %d windows in the same place", name, same, windows)
		}
	}
	if diff := cmp.Diff(a, starts(t, newSampler(t, tokens, 1, 4, Shuffle, 1), windows)); diff != "" {
		t.Error("the same seed gave another order")
	}
}

// TestSeek: a position is all that a resumed run needs, at any batch size.
func TestSeek(t *testing.T) {
	tokens := count(t, "a.u32", 333)
	for _, order := range []Order{Shuffle, Sequential} {
		s := newSampler(t, tokens, 3, 7, order, 9)
		whole := starts(t, s, 120)
		if s.Position() != 120 {
			t.Errorf("%s: position %d", order, s.Position())
		}
		for _, batch := range []int{1, 3, 4} {
			resumed := newSampler(t, tokens, batch, 7, order, 9)
			resumed.Seek(60)
			if diff := cmp.Diff(whole[60:], starts(t, resumed, 60)); diff != "" {
				t.Errorf("%s, batch %d: %s", order, batch, diff)
			}
		}
	}
}

func TestSamplerRefusals(t *testing.T) {
	tokens := count(t, "a.u32", 10)
	for _, order := range []Order{Shuffle, Sequential} {
		_, err := NewSampler(tokens, 1, 10, order, 0)
		wantError(t, err, "a.u32: got 10 tokens, want at least 11 for a context of 10")
		if _, err := NewSampler(tokens, 1, 9, order, 0); err != nil {
			t.Error(err)
		}
		_, err = NewSampler(tokens, 0, 5, order, 0)
		wantError(t, err, "got a batch of 0 and a context of 5, want both above 0")
	}
	_, err := NewSampler(tokens, 1, 5, Order(7), 0)
	wantError(t, err, "unknown order 7")
	_, err = ParseOrder("random")
	wantError(t, err, `order: got "random", want shuffle or sequential`)
	for _, order := range []Order{Shuffle, Sequential} {
		if got, err := ParseOrder(order.String()); err != nil || got != order {
			t.Errorf("%s: %s (%v)", order, got, err)
		}
	}
}

func TestNextPanicsOnOtherLengths(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a batch of the wrong length was filled")
		}
	}()
	newSampler(t, count(t, "a.u32", 10), 2, 3, Shuffle, 0).Next(make([]uint32, 6), make([]uint32, 5))
}

func TestPermutation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(1, 300).Draw(t, "n")
		key := rapid.Uint64().Draw(t, "key")
		seen := make([]bool, n)
		for i := range n {
			at := permute(i, n, key)
			if at >= n || seen[at] {
				t.Fatalf("%d goes to %d", i, at)
			}
			seen[at] = true
		}
	})
}

func BenchmarkNext(b *testing.B) {
	s := newSampler(b, count(b, "a.u32", 1<<20), 16, 128, Shuffle, 0)
	inputs, targets := make([]uint32, 16*128), make([]uint32, 16*128)
	b.ReportAllocs()
	for b.Loop() {
		s.Next(inputs, targets)
	}
}

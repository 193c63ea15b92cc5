package train_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/optest"
	"bitgpu/nn/train"
)

// TestReread holds the three losses against the scalar reference in float64, token by token over whole texts: the passage
// twice in a row, and another one before it.
func TestReread(t *testing.T) {
	for _, name := range []string{"d32-none", "d32-delta"} {
		r := optest.LoadReference(t, name)
		tokens := slice(randomBatch(90, r.Config.Vocab).inputs)
		const passages, length = 4, 19
		exact := cpu.NewScalar[float64]()
		m, err := nn.NewModel(exact, r.Config, r.Weights)
		if err != nil {
			t.Fatal(err)
		}
		// losses are those of a text's tokens from a place on, each predicted from all before it.
		losses := func(text []uint32, from int) (sum float64) {
			s, err := m.NewSession(1, r.Config.DefaultScan())
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			logits := make([]float32, r.Config.Vocab)
			for i, id := range text[:len(text)-1] {
				if err := s.Forward([]uint32{id}); err != nil {
					t.Fatal(err)
				}
				if i+1 < from {
					continue
				}
				if err := s.Logits(logits); err != nil {
					t.Fatal(err)
				}
				total := 0.0
				for _, l := range logits {
					total += math.Exp(float64(l))
				}
				sum -= float64(logits[text[i+1]]) - math.Log(total)
			}
			return sum / (passages * (length - 1))
		}
		want := train.Reread{Length: length, Passages: passages}
		for i := range passages {
			at, next := i*22, (i+1)%passages*22 // 90 tokens in four parts
			p, other := tokens[at:at+length], tokens[next:next+length]
			want.First += losses(p, 1)
			want.Again += losses(slices.Concat(p, p), length+1)
			want.After += losses(slices.Concat(other, p), length+1)
		}
		if want.First == want.After || want.First == want.Again {
			t.Fatalf("%s: got %+v, want three different losses", name, want)
		}
		fast, err := nn.NewModel(cpu.New(), r.Config, r.Weights)
		if err != nil {
			t.Fatal(err)
		}
		got, err := train.MeasureReread(fast, tokens, passages, length)
		if err != nil {
			t.Fatal(err)
		}
		near := func(a, b float64) bool { return math.Abs(a-b) < 1e-4*b }
		if got.Length != length || got.Passages != passages || !near(got.First, want.First) || !near(got.Again, want.Again) || !near(got.After, want.After) {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
		for _, c := range []struct {
			passages, length int
			want             string
		}{{1, 10, "got 1 passages of 10 tokens"}, {4, 1, "got 4 passages of 1 tokens"}, {5, 19, "90 tokens hold 4"}} {
			if _, err := train.MeasureReread(fast, tokens, c.passages, c.length); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%d passages of %d: got %v, want an error with %q", c.passages, c.length, err, c.want)
			}
		}
	}
}

// TestRereadRows: what is read again is what a run learns from.
func TestRereadRows(t *testing.T) {
	losses := map[float64]float32{}
	for _, share := range []float64{0, 1} {
		o := tinyOptions()
		o.Time, o.Steps, o.Reread = 32, 1, share
		r, report := newRun(t, t.TempDir(), o)
		do(t, r, report, 0)
		losses[share] = metrics(t, r.Dir)[0].Loss
	}
	if losses[0] == losses[1] {
		t.Errorf("got %v, want other losses on rows that are read again", losses)
	}
}

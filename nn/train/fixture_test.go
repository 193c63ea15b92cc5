package train_test

import (
	"context"
	"path/filepath"
	"testing"

	"bitgpu/io/corpus"
	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
	"bitgpu/nn/train"
)

var tiny = nn.Config{Vocab: 16, Width: 16, Layers: 1, Mixer: nn.MixerDelta, MemoryWidth: 8}.WithDefaults()

func tinyOptions() train.Options {
	o := train.DefaultOptions()
	o.Batch, o.Time, o.Steps, o.Warmup, o.LR, o.SaveInterval = 2, 8, 5, 2, 1e-2, 100
	return o
}

// tokenFile writes a token file of a pattern and opens it.
func tokenFile(t testing.TB, n int, vocab uint32) *corpus.Tokens {
	t.Helper()
	return openTokens(t, writeTokens(t, n, vocab))
}

func writeTokens(t testing.TB, n int, vocab uint32) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "some.u32")
	w, err := corpus.CreateTokens(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint32(n) {
		if err := w.Append(i * i % vocab); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return path
}

func openTokens(t testing.TB, path string) *corpus.Tokens {
	t.Helper()
	tokens, err := corpus.OpenTokens(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tokens.Close() })
	return tokens
}

// reporter lets a test act between steps.
type reporter struct {
	progress func(lines []train.Metric)
	saved    []train.State
	warned   []string
}

func (r *reporter) Progress(lines []train.Metric) {
	if r.progress != nil {
		r.progress(lines)
	}
}

func (r *reporter) Saved(_ string, s train.State) { r.saved = append(r.saved, s) }

func (r *reporter) Warned(err error) { r.warned = append(r.warned, err.Error()) }

// newRun makes a run of the tiny model, resumed from the newest checkpoint in dir if there is one.
func newRun(t testing.TB, dir string, o train.Options) (*train.Run, *reporter) {
	t.Helper()
	return newRunOf(t, tiny, dir, o)
}

func newRunOf(t testing.TB, c nn.Config, dir string, o train.Options) (*train.Run, *reporter) {
	t.Helper()
	ck, err := train.Newest(dir, func(err error) { t.Log(err) })
	if err != nil {
		t.Fatal(err)
	}
	weights := train.InitialWeights(c, o.Seed)
	if ck != nil {
		loaded, err := ck.Weights()
		if err != nil {
			t.Fatal(err)
		}
		defer loaded.Close()
		weights = loaded.Weights
	}
	e, err := train.NewLearner(cpu.New(), c, o.Shape(), weights)
	if err != nil {
		t.Fatal(err)
	}
	if ck != nil {
		if err := ck.RestoreMoments(e); err != nil {
			t.Fatal(err)
		}
	}
	report := new(reporter)
	return &train.Run{Trainer: e, Options: o, Dir: dir, Train: tokenFile(t, 300, 16), Resumed: ck, Report: report}, report
}

// do runs to the end, or until after the step given.
func do(t testing.TB, r *train.Run, report *reporter, stopAfter int) train.Outcome {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if stopAfter == 1 {
		cancel()
	}
	report.progress = func(lines []train.Metric) {
		if lines[len(lines)-1].Step+2 >= stopAfter && stopAfter > 0 {
			cancel()
		}
	}
	out, err := r.Do(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func metrics(t testing.TB, dir string) []train.Metric {
	t.Helper()
	all, err := train.ReadMetrics(filepath.Join(dir, train.MetricsName))
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		all[i].TokensPerSecond = 0
	}
	return all
}

func engineWeights(t testing.TB, e train.Trainer) *nn.Weights[op.HostTensor] {
	t.Helper()
	w, err := e.Download(train.Masters)
	if err != nil {
		t.Fatal(err)
	}
	return clone(e.Config(), w)
}

package train_test

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitgpu/io/corpus"
	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/train"
)

func shardedOptions() train.Options {
	o := tinyOptions()
	o.Batch, o.Accumulate, o.Shards, o.Steps, o.SaveInterval, o.ValEvery, o.Clip, o.Dropout = 8, 2, 8, 6, 2, 3, 0.5, 0.1
	return o
}

// data opens the tokens of a training once more, for a rank of its own.
type data func() (train, val *corpus.Tokens)

// plainText is tokens all of which count.
func plainText(t *testing.T) data {
	t.Helper()
	train, val := writeTokens(t, 900, 16), writeTokens(t, 50, 16)
	return func() (*corpus.Tokens, *corpus.Tokens) { return openTokens(t, train), openTokens(t, val) }
}

// conversationData is documents of which only a part counts, of any length up to more than a row holds.
func conversationData(t *testing.T) data {
	t.Helper()
	dir := t.TempDir()
	w, err := corpus.CreateDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Discard()
	meta := corpus.Meta{VocabSize: 16, Document: corpus.Block}
	for _, part := range []struct {
		documents int
		to        *corpus.TokenWriter
		marks     *[]byte
		meta      *corpus.Part
	}{{60, w.Train, &w.TrainMarks, &meta.Train}, {5, w.Val, &w.ValMarks, &meta.Val}} {
		for d := range part.documents {
			length := 3 + d*d%19
			for i := range length {
				mark := byte(0)
				if i == 0 {
					mark = corpus.Begins
				}
				if i == length-1 || (i+d)%3 == 0 {
					mark |= corpus.Counts
				}
				if err := part.to.Append(uint32((i*i + d) % 16)); err != nil {
					t.Fatal(err)
				}
				*part.marks = append(*part.marks, mark)
			}
		}
		part.meta.Tokens = part.to.Fingerprint().Tokens
	}
	if err := w.Commit(meta, "tokenizer.json", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if meta, err = corpus.ReadMeta(filepath.Join(dir, corpus.MetaName)); err != nil {
		t.Fatal(err)
	}
	open := func(name string, p corpus.Part) *corpus.Tokens {
		tokens, err := corpus.OpenPart(filepath.Join(dir, name), p)
		if err != nil {
			t.Error(err)
			return nil
		}
		t.Cleanup(func() { tokens.Close() })
		return tokens
	}
	return func() (*corpus.Tokens, *corpus.Tokens) {
		return open(corpus.TrainName, meta.Train), open(corpus.ValName, meta.Val)
	}
}

// runTogether runs a training, or goes on with one, on n ranks, to the end or until after a step.
func runTogether(t *testing.T, dir string, from data, o train.Options, n, stopAfter int, shardOptimizer bool) {
	t.Helper()
	err := together(n, func(g train.Group) error {
		ck, err := train.Newest(dir, func(error) {})
		if err != nil {
			return err
		}
		weights := train.InitialWeights(tiny, o.Seed)
		if ck != nil {
			loaded, err := ck.Weights()
			if err != nil {
				return err
			}
			defer loaded.Close()
			weights = loaded.Weights
		}
		shape := o.Shape()
		shape.Group, shape.ShardOptimizer = g, shardOptimizer
		e, err := train.NewLearner(cpu.New(), tiny, shape, weights)
		if err != nil {
			return err
		}
		defer e.Release()
		if ck != nil {
			if err := ck.RestoreMoments(e); err != nil {
				return err
			}
		}
		if _, err := train.Any(g, false); err != nil { // nobody writes before all have read
			return err
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		report := new(reporter)
		report.progress = func(lines []train.Metric) {
			if lines[len(lines)-1].Step+2 >= stopAfter && stopAfter > 0 {
				cancel()
			}
		}
		tokens, val := from()
		out, err := (&train.Run{Trainer: e, Options: o, Dir: dir, Train: tokens, Val: val, Resumed: ck, Report: report}).Do(ctx)
		want := o.Steps
		if stopAfter > 0 {
			want = stopAfter
		}
		if err == nil && out.Steps != want {
			err = fmt.Errorf("rank %d: got %d steps, want %d", g.Rank(), out.Steps, want)
		}
		if g.Rank() > 0 && len(report.saved) > 0 {
			err = fmt.Errorf("rank %d reported", g.Rank())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// checkpointFiles are all files of a run's checkpoints.
func checkpointFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(filepath.Join(dir, "checkpoints"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, dir)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestCheckpointsOfAnyNumberOfRanks: every file of every checkpoint is the same, byte for byte, on 1, 2, 4 and 8 ranks, where the
// optimizer is sharded, and where a training goes on with another number of ranks.
func TestCheckpointsOfAnyNumberOfRanks(t *testing.T) {
	sameOnRanks(t, plainText(t), shardedOptions(), 1, 2, 4, 8)
}

// TestConversationsOnAnyNumberOfRanks: so are those of conversations, in rows of their own and in rows that they share. The loss is that
// of the tokens that count, which is another share of each rank's.
func TestConversationsOnAnyNumberOfRanks(t *testing.T) {
	for _, pack := range []bool{false, true} {
		t.Run(fmt.Sprint("pack ", pack), func(t *testing.T) {
			o := shardedOptions()
			o.Pack = pack
			sameOnRanks(t, conversationData(t), o, 1, 2, 4)
		})
	}
}

// sameOnRanks holds trainings on several numbers of ranks to that on one.
func sameOnRanks(t *testing.T, from data, o train.Options, ranks ...int) {
	t.Helper()
	alone := t.TempDir()
	runTogether(t, alone, from, o, 1, 0, false)
	want, wantLines := checkpointFiles(t, alone), metrics(t, alone)
	if len(want) < 3*4 {
		t.Fatalf("got %d files: %q", len(want), slices.Sorted(maps.Keys(want)))
	}
	same := func(dir string) {
		t.Helper()
		found := checkpointFiles(t, dir)
		for name, data := range want {
			if found[name] != data {
				t.Errorf("%s differs", name)
			}
		}
		if len(found) != len(want) {
			t.Errorf("got %d files, want %d", len(found), len(want))
		}
		if !slices.EqualFunc(metrics(t, dir), wantLines, sameLine) {
			t.Errorf("other metrics")
		}
	}
	for _, n := range ranks {
		for _, sharded := range []bool{false, true} {
			t.Run(fmt.Sprint(n, sharded), func(t *testing.T) {
				dir := t.TempDir()
				runTogether(t, dir, from, o, n, 0, sharded)
				same(dir)
			})
		}
	}
	// Stopped at steps that are due, so that no other checkpoints are written.
	t.Run("resumed", func(t *testing.T) {
		dir := t.TempDir()
		for i, n := range []int{4, 1, 2} {
			runTogether(t, dir, from, o, n, []int{2, 4, 0}[i], i != 1)
		}
		same(dir)
	})
}

func sameLine(a, b train.Metric) bool {
	if (a.ValLoss == nil) != (b.ValLoss == nil) || a.ValLoss != nil && *a.ValLoss != *b.ValLoss {
		return false
	}
	a.ValLoss, b.ValLoss = nil, nil
	return a == b
}

// TestMemoryOfRanks: what is said to be taken is what is taken, and a rank of many takes less with its part of the moments.
func TestMemoryOfRanks(t *testing.T) {
	c := tiny
	c.Vocab, c.Width = 300, 32
	c = c.WithDefaults()
	groups, _ := train.InProcess(4)
	for _, shardOptimizer := range []bool{false, true} {
		s := train.Shape{Batch: 8, Time: 16, Accumulate: 1, Shards: 8, Group: groups[1], ShardOptimizer: shardOptimizer}
		ops := cpu.New()
		e, err := train.NewLearner(ops, c, s, train.InitialWeights(c, 1))
		if err != nil {
			t.Fatal(err)
		}
		got, want := int64(ops.BytesInUse()), train.DeviceBytes(c, s)
		if got != want && !(shardOptimizer && got < want && got > want*9/10) {
			t.Errorf("got %d bytes in use, want %d", got, want)
		}
		e.Release()
	}
	s := train.Shape{Batch: 8, Time: 16, Accumulate: 1, Shards: 8}
	P := int64(4 * c.ParamCount())
	if got := train.SumsBytes(c, s, true); got != 3*P { // of 1, 2 and 4 shards
		t.Errorf("got %d, want %d", got, 3*P)
	}
	s.Group = groups[0]
	if got := train.SumsBytes(c, s, false); got != 2*P+3*P {
		t.Errorf("got %d, want %d", got, 5*P)
	}
	whole := train.DeviceBytes(c, s)
	s.ShardOptimizer = true
	if got := train.DeviceBytes(c, s); got > whole-P*9/10 {
		t.Errorf("got %d bytes with a quarter of the moments, %d with all", got, whole)
	}
	// Of a large model, as docs/scale.md has it: 4·4·P bytes, and 4·(2 + 2/R)·P and 50 MB at most with 1/R of the moments.
	c = nn.Config{Vocab: 8000, Width: 1024, Layers: 24, Mixer: nn.MixerDelta}.WithDefaults()
	P = 4 * int64(c.ParamCount())
	for i, groups := range [][]train.Group{nil, groups[:1]} {
		s := train.Shape{Batch: 8, Time: 1, Accumulate: 1, Shards: 8}
		want := 4 * P
		if i == 1 {
			s.Group, s.ShardOptimizer, want = groups[0], true, 2*P+P/2
		}
		if got := train.DeviceBytes(c, s) + train.SumsBytes(c, s, true) - int64(3-2*i)*P; got < want || got > want+want/40+50e6 {
			t.Errorf("got %d bytes beside sums of shards, want %d and little more", got, want)
		}
	}
	if got := train.CopyBytes(c, s); got != P {
		t.Errorf("got %d bytes of a copy, want %d", got, P)
	}
}

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

	"bitgpu/nn/cpu"
	"bitgpu/nn/train"
)

func shardedOptions() train.Options {
	o := tinyOptions()
	o.Batch, o.Accumulate, o.Shards, o.Steps, o.SaveInterval, o.ValEvery, o.Clip, o.Dropout = 8, 2, 8, 6, 2, 3, 0.5, 0.1
	return o
}

// runTogether runs a training, or goes on with one, on n ranks, to the end or until after a step.
func runTogether(t *testing.T, dir string, o train.Options, n, stopAfter int, shardOptimizer bool) {
	t.Helper()
	train1, val := writeTokens(t, 900, 16), writeTokens(t, 50, 16)
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
		out, err := (&train.Run{Trainer: e, Options: o, Dir: dir, Train: openTokens(t, train1), Val: openTokens(t, val),
			Resumed: ck, Report: report}).Do(ctx)
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
	o := shardedOptions()
	alone := t.TempDir()
	runTogether(t, alone, o, 1, 0, false)
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
	for _, n := range []int{1, 2, 4, 8} {
		for _, sharded := range []bool{false, true} {
			t.Run(fmt.Sprint(n, sharded), func(t *testing.T) {
				dir := t.TempDir()
				runTogether(t, dir, o, n, 0, sharded)
				same(dir)
			})
		}
	}
	// Stopped at steps that are due, so that no other checkpoints are written.
	t.Run("resumed", func(t *testing.T) {
		dir := t.TempDir()
		for i, n := range []int{4, 1, 2} {
			runTogether(t, dir, o, n, []int{2, 4, 0}[i], i != 1)
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
}

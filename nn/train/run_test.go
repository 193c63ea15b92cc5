package train_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bitgpu/nn/train"

	"github.com/google/go-cmp/cmp"
)

// TestResume: two steps and three are five, to the bit, in weights and metrics; in both orders of
// the data, with validation on the way and with rows that are read again; of a model with one table too.
func TestResume(t *testing.T) {
	for _, order := range []string{"shuffle", "sequential"} {
		c, o := tiny, tinyOptions()
		c.TiedHead = order == "sequential"
		o.Order, o.ValEvery, o.Accumulate, o.Dropout = order, 3, 2, 0.1
		if order == "shuffle" {
			o.Time, o.Reread = 32, 0.5
		}
		val := tokenFile(t, 50, 16)

		whole, report := newRunOf(t, c, t.TempDir(), o)
		whole.Val = val
		do(t, whole, report, 0)

		dir := t.TempDir()
		first, report := newRunOf(t, c, dir, o)
		first.Val = val
		if out := do(t, first, report, 2); out.Steps != 2 {
			t.Fatalf("got %d steps, want 2", out.Steps)
		}
		// What a killed run leaves: lines behind the checkpoint, the last one cut.
		file, err := os.OpenFile(filepath.Join(dir, train.MetricsName), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(file, "{\"step\":2,\"loss\":9}\n{\"step\":3,\"lo")
		file.Close()
		second, report := newRunOf(t, c, dir, o)
		second.Val = val
		if out := do(t, second, report, 0); out.Steps != 5 {
			t.Fatalf("got %d steps, want 5", out.Steps)
		}
		compare(t, c, order, engineWeights(t, second.Trainer), engineWeights(t, whole.Trainer), 0)
		want, got := metrics(t, whole.Dir), metrics(t, dir)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: metrics differ: %s", order, diff)
		}
		if len(want) != 5 || want[2].ValLoss == nil || want[3].ValLoss != nil || want[4].ValLoss == nil {
			t.Errorf("want five lines, validated at the third and the last: %+v", want)
		}
	}
}

func TestMetricKeys(t *testing.T) {
	val := 1.5
	line, err := json.Marshal(train.Metric{Step: 1, Loss: 2.5, LR: 0.1, GradNorm: 3, Tokens: 4, TokensPerSecond: 5, ValLoss: &val})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"step":1,"loss":2.5,"lr":0.1,"grad_norm":3,"tokens":4,"tokens_per_second":5,"val_loss":1.5}`
	if string(line) != want {
		t.Errorf("got %s, want %s", line, want)
	}
}

// TestKept: the last three and the best stay.
func TestKept(t *testing.T) {
	dir := t.TempDir()
	o := tinyOptions()
	o.Steps, o.SaveInterval, o.LR = 8, 1, 1
	r, report := newRun(t, dir, o)
	out := do(t, r, report, 0)
	best := slices.MinFunc(report.saved, func(a, b train.State) int {
		if a.Loss < b.Loss {
			return -1
		}
		return 1
	})
	if len(report.saved) != 8 || out.Best.State.Loss != best.Loss { // the first two steps may have the same loss
		t.Fatalf("got the best of step %d, want that of step %d: %+v", out.Best.State.Step, best.Step, report.saved)
	}
	best = out.Best.State
	var want []string
	for _, step := range []int{8, 7, 6, best.Step} {
		path := filepath.Join(dir, "checkpoints", fmt.Sprintf("step-%08d", step))
		if !slices.Contains(want, path) {
			want = append(want, path)
		}
	}
	got, err := train.Checkpoints(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestDamaged: a checkpoint that is damaged anywhere is passed over with a warning.
func TestDamaged(t *testing.T) {
	damage := map[string]func(path string) error{
		"cut": func(path string) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			return os.Truncate(path, info.Size()/2)
		},
		"flipped": func(path string) error {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			data[len(data)/2] ^= 4
			return os.WriteFile(path, data, 0o644)
		},
		"missing": os.Remove,
	}
	for how, do1 := range damage {
		for _, name := range []string{"state.json", "config.json", "model.safetensors", "moment1.safetensors", "moment2.safetensors"} {
			t.Run(how+"/"+name, func(t *testing.T) {
				dir := t.TempDir()
				o := tinyOptions()
				o.Steps, o.SaveInterval = 4, 2
				r, report := newRun(t, dir, o)
				do(t, r, report, 0)
				newest := filepath.Join(dir, "checkpoints", "step-00000004")
				if err := do1(filepath.Join(newest, name)); err != nil {
					t.Fatal(err)
				}
				var warned []string
				ck, err := train.Newest(dir, func(err error) { warned = append(warned, err.Error()) })
				if err != nil {
					t.Fatal(err)
				}
				if ck.State.Step != 2 || len(warned) != 1 || !strings.Contains(warned[0], newest+" is damaged: ") {
					t.Fatalf("got step %d and %q, want step 2 and a warning", ck.State.Step, warned)
				}
				again, report := newRun(t, dir, o)
				do(t, again, report, 0)
				compare(t, tiny, "again", engineWeights(t, again.Trainer), engineWeights(t, r.Trainer), 0)
				if ck, err = train.Newest(dir, func(err error) { t.Error(err) }); err != nil || ck.State.Step != 4 {
					t.Errorf("got %v and %v, want a whole checkpoint of step 4", ck, err)
				}
				if err := os.RemoveAll(filepath.Join(dir, "checkpoints", "step-00000002")); err != nil {
					t.Fatal(err)
				}
				if err := os.Remove(filepath.Join(newest, "config.json")); err != nil {
					t.Fatal(err)
				}
				if _, err := train.Newest(dir, func(error) {}); err == nil || !strings.Contains(err.Error(), "none of 1 checkpoints can be used; another directory") {
					t.Errorf("got %v, want an error where none is whole", err)
				}
			})
		}
	}
}

// failing gives a trainer whose loss is not finite at a step.
type failing struct {
	train.Trainer
	at int
}

func (f failing) Results() ([]train.Result, error) {
	results, err := f.Trainer.Results()
	if err == nil && f.Updates() > f.at {
		return nil, fmt.Errorf("loss is not finite at step %d", f.at)
	}
	return results, err
}

// TestLastGoodStays: whatever goes wrong, the error says it and the checkpoint before stays.
func TestLastGoodStays(t *testing.T) {
	cases := map[string]struct {
		spoil func(t *testing.T, r *train.Run)
		want  string
	}{
		"not finite": {func(_ *testing.T, r *train.Run) { r.Trainer = failing{r.Trainer, 3} }, "loss is not finite at step 3"},
		"token beyond the vocabulary": {func(t *testing.T, r *train.Run) { r.Train = tokenFile(t, 100, 17) },
			"the vocabulary ends at 15"},
		"too few tokens": {func(t *testing.T, r *train.Run) { r.Train = tokenFile(t, 8, 16) }, "got 8 tokens, want at least 9 for a context of 8"},
		"full disk":      {func(t *testing.T, r *train.Run) { fillDisk(t, r.Dir) }, "cannot be written: no space left on device"},
		"directory in the way": {func(t *testing.T, r *train.Run) {
			if err := os.Remove(filepath.Join(r.Dir, train.MetricsName)); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(filepath.Join(r.Dir, train.MetricsName), 0o755); err != nil {
				t.Fatal(err)
			}
		}, "metrics.jsonl: got a directory"},
		"read-only directory": {func(t *testing.T, r *train.Run) {
			if os.Geteuid() <= 0 {
				t.Skip("no directory is read-only for the superuser, or on Windows")
			}
			if err := os.Chmod(filepath.Join(r.Dir, "checkpoints"), 0o500); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Chmod(filepath.Join(r.Dir, "checkpoints"), 0o700) })
		}, "cannot be written: permission denied"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if name == "full disk" {
				mountDisk(t, dir)
			}
			o := tinyOptions()
			o.Steps, o.SaveInterval = 2, 2
			r, report := newRun(t, dir, o)
			do(t, r, report, 0)
			o.Steps = 6
			r, _ = newRun(t, dir, o)
			c.spoil(t, r)
			_, err := r.Do(context.Background())
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			ck, err := train.Newest(dir, func(err error) { t.Error(err) })
			if err != nil || ck.State.Step != 2 {
				t.Errorf("got %+v and %v, want the checkpoint of step 2", ck, err)
			}
		})
	}
}

// queued is a trainer whose steps run when their results are read, each for a pause.
type queued struct {
	train.Trainer
	results []train.Result
	pause   time.Duration
	reads   *[]int // how many steps each read waited for
}

func (q *queued) Step(rate float64, inputs, targets []uint32) {
	q.Trainer.Step(rate, inputs, targets)
	r, err := q.Trainer.Results()
	if err != nil {
		panic(err)
	}
	q.results = append(q.results, r...)
}

func (q *queued) Pending() (int, bool) { return len(q.results), len(q.results) >= 8 }

func (q *queued) Results() ([]train.Result, error) {
	time.Sleep(q.pause * time.Duration(len(q.results)))
	*q.reads = append(*q.reads, len(q.results))
	r := q.results
	q.results = nil
	return r, nil
}

// TestReadsAhead: on a fast device the loss is read every few steps, on a slow one after each.
func TestReadsAhead(t *testing.T) {
	for name, c := range map[string]struct {
		pause time.Duration
		steps int
		alone bool
	}{"fast": {0, 17, false}, "slow": {700 * time.Millisecond, 3, true}} {
		o := tinyOptions()
		o.Steps, o.SaveInterval = c.steps, 100
		r, report := newRun(t, t.TempDir(), o)
		var reads []int
		r.Trainer = &queued{Trainer: r.Trainer, pause: c.pause, reads: &reads}
		do(t, r, report, 0)
		if reads[0] != 1 || (slices.Max(reads) == 1) != c.alone {
			t.Errorf("%s: reads of %v steps found", name, reads)
		}
	}
}

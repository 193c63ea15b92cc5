package train_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/nn/train"

	"github.com/google/go-cmp/cmp"
)

// interrupting ends a context in the middle of a validation.
type interrupting struct {
	train.Trainer
	stop func()
}

func (e interrupting) Evaluate(tokens train.Tokens, stop func() bool) (train.Evaluation, error) {
	e.stop()
	return e.Trainer.Evaluate(tokens, stop)
}

// TestStoppedAnywhere: a run that is stopped after any step, or in the middle of a validation, and goes on, has the
// metrics, the weights and the best checkpoint of one that nobody stopped.
func TestStoppedAnywhere(t *testing.T) {
	o := tinyOptions()
	o.Steps, o.ValEvery, o.SaveInterval = 6, 2, 3 // validations at 2, 3, 4 and 6; checkpoints at 3 and 6
	val := tokenFile(t, 50, 16)
	for _, every := range []int{2, 0} {
		o.ValEvery = every
		whole, report := newRun(t, t.TempDir(), o)
		whole.Val = val
		want := do(t, whole, report, 0)
		for stop := 1; stop <= o.Steps; stop++ {
			for _, inside := range []bool{false, true} {
				dir := t.TempDir()
				first, report := newRun(t, dir, o)
				first.Val = val
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				after := stop
				if inside { // the validation after that step, if there is one
					first.Trainer = interrupting{first.Trainer, func() {
						if first.Trainer.Updates() >= stop {
							cancel()
						}
					}}
				} else {
					report.progress = func(lines []train.Metric) {
						if lines[len(lines)-1].Step+2 >= after {
							cancel()
						}
					}
					if stop == 1 {
						cancel()
					}
				}
				out, err := first.Do(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if due := every > 0 && (stop%every == 0 || stop%o.SaveInterval == 0 || inside); out.ValidationDue != due {
					t.Errorf("validation every %d, stopped at %d, inside %v: got %+v, want a validation due %v", every, stop, inside, out, due)
				}
				second, report := newRun(t, dir, o)
				second.Val = val
				got := do(t, second, report, 0)
				name := fmt.Sprintf("validation every %d, stopped at %d, inside %v", every, stop, inside)
				if diff := cmp.Diff(metrics(t, whole.Dir), metrics(t, dir)); diff != "" {
					t.Errorf("%s: metrics differ: %s", name, diff)
				}
				compare(t, tiny, name, engineWeights(t, second.Trainer), engineWeights(t, whole.Trainer), 0)
				if got.Best.State.Step != want.Best.State.Step || got.Best.State.Loss != want.Best.State.Loss || got.Best.State.Validated != want.Best.State.Validated {
					t.Errorf("%s: got %+v as the best, want %+v", name, got.Best.State, want.Best.State)
				}
			}
		}
	}
}

// TestStateUnderChecksum: a state in which a single byte is another is damaged, wherever it is; one of version 1, which
// has no checksum of itself, is taken.
func TestStateUnderChecksum(t *testing.T) {
	dir, o := t.TempDir(), tinyOptions()
	o.Steps, o.SaveInterval = 4, 2
	r, report := newRun(t, dir, o)
	do(t, r, report, 0)
	path := filepath.Join(dir, "checkpoints", "step-00000004", "state.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	newest := func(text []byte) int {
		t.Helper()
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		ck, err := train.Newest(dir, func(error) {})
		if err != nil {
			t.Fatal(err)
		}
		return ck.State.Step
	}
	for i := range text {
		spoiled := bytes.Clone(text)
		spoiled[i] ^= 1 // 8 becomes 9
		if step := newest(spoiled); step != 2 {
			t.Errorf("got step %d with another byte %d, %q", step, i, spoiled[max(i-10, 0):min(i+10, len(text))])
		}
	}
	old := bytes.Replace(text[:bytes.LastIndex(text, []byte(",\n"))], []byte(`"format_version": 2`), []byte(`"format_version": 1`), 1)
	if step := newest(append(bytes.Clone(old), "\n}"...)); step != 4 {
		t.Errorf("got step %d, want that of version 1", step)
	}
	if step := newest(append(bytes.Replace(old, []byte(`n": 1`), []byte(`n": 2`), 1), "\n}"...)); step != 2 {
		t.Errorf("got step %d of a version 2 without its checksum", step)
	}
	if step := newest(text); step != 4 {
		t.Errorf("got step %d of the state as it was", step)
	}
}

// TestOlderUnderHigherNumber: a copy of an old checkpoint under a higher number does not hide the newest, which stays.
func TestOlderUnderHigherNumber(t *testing.T) {
	dir, o := t.TempDir(), tinyOptions()
	o.Steps, o.SaveInterval = 4, 2
	r, report := newRun(t, dir, o)
	do(t, r, report, 0)
	at := func(name string) string { return filepath.Join(dir, "checkpoints", name) }
	for _, name := range []string{"step-00000009", "step-100000000", "step-00000900"} {
		if err := os.CopyFS(at(name), os.DirFS(at("step-00000002"))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(at("step-mine"), 0o755); err != nil {
		t.Fatal(err)
	}
	var warned []string
	ck, err := train.Newest(dir, func(err error) { warned = append(warned, err.Error()) })
	if err != nil || ck.State.Step != 4 || len(warned) != 3 || !strings.Contains(warned[0], "step-100000000 is damaged: state.json: got step 2, want that of the directory's name") {
		t.Fatalf("got %+v, %q and %v", ck, warned, err)
	}
	o.Steps = 6
	r, report = newRun(t, dir, o)
	do(t, r, report, 0)
	left, err := filepath.Glob(at("*"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range left {
		left[i] = filepath.Base(left[i])
	}
	// Of those set aside the last stays.
	if diff := cmp.Diff([]string{"damaged-step-100000000", "step-00000002", "step-00000004", "step-00000006", "step-mine"}, left); diff != "" {
		t.Error(diff)
	}
	// A whole one behind that of the run is not set aside.
	r, _ = newRun(t, dir, o)
	r.Resumed.State.Step = 4
	if _, err := r.Do(context.Background()); err == nil || !strings.Contains(err.Error(), "step-00000006 is whole, and newer than step 4") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(at("step-00000006")); err != nil {
		t.Error(err)
	}
}

// TestTokensCut: where the tokens are cut short, or become others, in the middle of a training, the steps so far are
// saved and one sentence says what happened.
func TestTokensCut(t *testing.T) {
	for want, spoil := range map[string]func(path string) error{
		"the file was cut while it was read": func(path string) error { return os.Truncate(path, 16) },
		"want ids below 16: the file has changed": func(path string) error {
			return os.WriteFile(path, bytes.Repeat([]byte{0, 1, 0, 0}, 300), 0o644)
		},
	} {
		dir, o := t.TempDir(), tinyOptions()
		o.Steps = 1 << 16
		r, report := newRun(t, dir, o)
		path := writeTokens(t, 300, 16)
		r.Train = openTokens(t, path)
		report.progress = func(lines []train.Metric) {
			if lines[len(lines)-1].Step >= 1 {
				if err := spoil(path); err != nil {
					t.Error(err)
				}
			}
		}
		_, err := r.Do(context.Background())
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want %q", err, want)
		}
		ck, err := train.Newest(dir, func(err error) { t.Error(err) })
		if err != nil || ck == nil || ck.State.Step < 2 || ck.State.Position != uint64(2*ck.State.Step) {
			t.Errorf("got %+v and %v, want a checkpoint of the steps before", ck, err)
		}
	}
}

// TestCheckWritable: what is in the way of checkpoints is said at the start, and nothing stays of the question.
func TestCheckWritable(t *testing.T) {
	dir := t.TempDir()
	if err := train.CheckWritable(dir); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(dir, "checkpoints")
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("got %v and %v, want nothing left", entries, err)
	}
	if err := os.WriteFile(root, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := train.CheckWritable(dir); err == nil || !strings.Contains(err.Error(), root+": the directory cannot be made: not a directory") {
		t.Errorf("got %v", err)
	}
}

package ranks

import (
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"bitgpu/nn/train"
	"bitgpu/nn/train/mpi"
)

// together runs a function on ranks of one process.
func together(n int, do func(r *Ranks)) {
	group, end := train.InProcess(n)
	defer end()
	var wait sync.WaitGroup
	for _, g := range group {
		r := &Ranks{Group: g, here: n, o: Options{Sentence: error.Error}}
		for rank := range n {
			r.names = append(r.names, "rank "+string(rune('0'+rank)))
		}
		wait.Go(func() { do(r) })
	}
	wait.Wait()
}

func TestAgree(t *testing.T) {
	broken := errors.New("broken")
	for failing, want := range map[int]string{-1: "", 0: "broken", 2: "rank 2: broken"} {
		together(4, func(r *Ranks) {
			var mine error
			if r.Rank() == failing {
				mine = broken
			}
			err := r.Agree(mine)
			switch {
			case failing < 0 && err != nil, failing >= 0 && err == nil:
				t.Errorf("rank %d of an error on rank %d: got %v", r.Rank(), failing, err)
			case err != nil && r.Leads() && err.Error() != want:
				t.Errorf("got %q, want %q", err, want)
			case err != nil && !r.Leads() && !errors.Is(err, ErrElsewhere):
				t.Errorf("rank %d: got %v, want that another says why", r.Rank(), err)
			}
		})
	}
}

// What rank 0 writes is there when the others look, and nobody looks after an error.
func TestInTurn(t *testing.T) {
	path := t.TempDir() + "/file"
	together(4, func(r *Ranks) {
		if err := r.InTurn(func() error {
			if r.Leads() {
				return os.WriteFile(path, nil, 0o600)
			}
			_, err := os.Stat(path)
			return err
		}); err != nil {
			t.Error(err)
		}
		r.InTurn(func() error {
			if !r.Leads() {
				t.Error("another rank goes on after rank 0 has failed")
			}
			return errors.New("broken")
		})
	})
}

func TestSame(t *testing.T) {
	together(2, func(r *Ranks) {
		f := Facts{"device": "CPU"}
		if err := f.Add("option ", struct{ Steps int }{5 + r.Rank()}); err != nil {
			t.Error(err)
		}
		err := r.Same(f)
		if want := "rank 1: option Steps: got 6, want 5 as rank 0 has"; r.Leads() && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("got %v, want %q", err, want)
		}
		delete(f, "option Steps")
		if err := r.Same(f); err != nil {
			t.Error(err)
		}
	})
}

// One process alone agrees with itself, and ends with its own error.
func TestAlone(t *testing.T) {
	r, err := Join(Options{})
	if n, by := mpi.Launched(); n > 0 {
		t.Skipf("untested: a launcher set %s", by)
	}
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if r.Launched() || !r.Leads() || r.Agree(broken) != broken || r.InTurn(func() error { return broken }) != broken || r.End(broken) != broken || r.Watch() != nil {
		t.Error("a group of one is not alone")
	}
	if r.Describe(train.Shape{}) != "" {
		t.Error("a group of one is described")
	}
}

func TestProgram(t *testing.T) {
	if a, err := Program("1.2"); err != nil || !strings.HasPrefix(a, "1.2, CRC-32C ") {
		t.Errorf("got %q, %v", a, err)
	}
}

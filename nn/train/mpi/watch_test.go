package mpi

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"bitgpu/nn/train"
)

// watches makes those of n ranks of this process. heard gets what each hears, by rank.
func watches(t *testing.T, n int) (all []*Watch, heard []chan string) {
	t.Helper()
	groups, _ := train.InProcess(n)
	all, heard = make([]*Watch, n), make([]chan string, n)
	var joined sync.WaitGroup
	for r, g := range groups {
		heard[r] = make(chan string, n)
		joined.Go(func() {
			var err error
			all[r], err = NewWatch(g, fmt.Sprintf("rank %d", r), func(who, why string) { heard[r] <- who + ": " + why })
			if err != nil {
				t.Error(err)
			}
		})
	}
	joined.Wait()
	return all, heard
}

// drop ends a rank's connections as the end of its process does.
func (w *Watch) drop() {
	w.closed.Store(true)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range w.conns {
		conn.Close()
	}
}

func TestWatch(t *testing.T) {
	all, heard := watches(t, 4)
	all[1].Close() // as it should
	all[2].drop()
	if got := <-heard[0]; got != "rank 2: " {
		t.Errorf("got %q", got)
	}
	if !all[3].Tell(errors.New("the disk\nis full")) {
		t.Error("rank 3 told nobody")
	}
	if got := <-heard[0]; got != "rank 3: the disk; is full" {
		t.Errorf("got %q", got)
	}
	all[0].drop()
	if got := <-heard[3]; got != "rank 0: " {
		t.Errorf("got %q", got)
	}
	for r, c := range heard {
		select {
		case got := <-c:
			t.Errorf("rank %d heard %q too", r, got)
		default:
		}
	}
}

// TestNoLauncher: without a launcher there is no group, and a launcher of several is refused where MPI is missing.
func TestNoLauncher(t *testing.T) {
	for _, by := range launchers {
		t.Setenv(by, "")
		os.Unsetenv(by)
	}
	if w, err := Start(); w != nil || err != nil {
		t.Errorf("got %v, %v", w, err)
	}
	for _, by := range launchers {
		t.Setenv(by, "x")
		if n, _ := Launched(); n != 0 {
			t.Errorf("%s=x: got %d ranks", by, n)
		}
		t.Setenv(by, "4")
		if n, found := Launched(); n != 4 || found != by {
			t.Errorf("%s=4: got %d ranks by %s", by, n, found)
		}
		os.Unsetenv(by)
	}
}

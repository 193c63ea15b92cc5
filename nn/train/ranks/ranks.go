package ranks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"bitgpu/nn/cpu/parallel"
	"bitgpu/nn/train"
	"bitgpu/nn/train/device"
	"bitgpu/nn/train/mpi"
)

var (
	// ErrElsewhere is the error of a rank when another rank reports the cause.
	ErrElsewhere = mpi.ErrElsewhere
	// ErrCount is returned for a number of ranks that no training can have.
	ErrCount = errors.New("want 1, 2, 4 …, a power of two")
)

// Options say how a program takes part. All fields but KeepThreads are required if a launcher may have started the program.
type Options struct {
	Stderr      io.Writer               // where rank 0 says why all ranks end
	Sentence    func(err error) string  // formats an error as the program does, on one line
	ExitCode    func(err error) (n int) // the program's exit code for an error
	GoOn        func() (lines string)   // says how to continue the training, "" if it cannot be
	KeepThreads bool                    // the user chose the number of threads; otherwise the cores of a host are shared
}

// Ranks is all processes of a training, as seen by one of them.
type Ranks struct {
	train.Group
	o      Options
	world  *mpi.World // nil without a launcher
	watch  *mpi.Watch
	names  []string // of the ranks, for users
	here   int      // number of ranks on this host
	ending sync.Once
}

// known is an error that all ranks know about.
type known struct{ error }

func (e known) Unwrap() error { return e.error }

// Known marks an error of this rank as one that the others need not be told about, because they have ended.
func Known(err error) error { return known{err} }

// Join joins the ranks of a launcher, if one started this process, and divides the cores of each host among its ranks. For an
// impossible number of ranks the error is [ErrCount] on rank 0, and [ErrElsewhere] on the others.
func Join(o Options) (*Ranks, error) {
	world, err := mpi.Start()
	if err != nil {
		return nil, err
	}
	r := Alone()
	r.o = o
	if world == nil {
		return r, nil
	}
	r.Group, r.world = world, world
	if n := r.Size(); n&(n-1) != 0 { // before ranks exchange anything
		world.Close()
		if !r.Leads() {
			return nil, ErrElsewhere
		}
		return nil, fmt.Errorf("got %d ranks, %w", n, ErrCount)
	}
	where, err := train.GatherText(r, world.Host()+" "+affinity())
	if err != nil {
		return nil, err
	}
	hosts, sharing := map[string]int{}, 0
	for rank, w := range where {
		host, _, _ := strings.Cut(w, " ")
		hosts[host]++
		r.names = append(r.names, fmt.Sprintf("rank %d of %d on %s", rank, r.Size(), host))
		if w == where[r.Rank()] {
			sharing++
		}
	}
	r.here = hosts[world.Host()]
	if !o.KeepThreads {
		n := max(runtime.GOMAXPROCS(0)/sharing, 1)
		runtime.GOMAXPROCS(n)
		parallel.SetWorkers(n)
	}
	return r, nil
}

// Alone returns the only rank of a training in one process.
func Alone() *Ranks { return &Ranks{Group: train.Alone{}, here: 1} }

// Watch starts watching other ranks: if one ends, so does this one. All ranks must call it at the same point.
func (r *Ranks) Watch() error {
	if r.world == nil {
		return nil
	}
	var err error
	name := fmt.Sprintf("%s (process %d)", r.names[r.Rank()], os.Getpid())
	r.watch, err = mpi.NewWatch(r, name, r.lost)
	return err
}

// Leads reports whether this is the rank that writes and reports.
func (r *Ranks) Leads() bool { return r.Rank() == 0 }

// Launched reports whether a launcher started this process, perhaps as the only rank.
func (r *Ranks) Launched() bool { return r.world != nil }

// Here returns how many ranks this host has, and which of them this is.
func (r *Ranks) Here() (n, rank int) {
	if r.world == nil {
		return r.here, 0
	}
	return r.here, r.world.LocalRank()
}

// Share assigns each rank of a host its share of the memory, and sets the device's group.
func (r *Ranks) Share(d *device.Device) {
	d.Group = r.Group
	if d.Room < math.MaxInt64 {
		d.Room /= int64(r.here)
	}
}

// Describe says on one line how many ranks share a step, and is empty for a single rank.
func (r *Ranks) Describe(s train.Shape) string {
	if r.Size() == 1 {
		return ""
	}
	return fmt.Sprintf("%d ranks, %d a host, each with %d of the %d shards of a step\n", r.Size(), r.here, s.Shards/r.Size(), s.Shards)
}

// Agree returns an error on every rank if one of them has one: its text on rank 0, [ErrElsewhere] on the others.
func (r *Ranks) Agree(err error) error {
	if r.Size() == 1 {
		return err
	}
	text := ""
	if err != nil {
		text = "error: " + r.o.Sentence(err)
	}
	all, failed := train.GatherText(r, text)
	if failed != nil {
		return failed
	}
	for rank, text := range all {
		switch {
		case text == "":
		case !r.Leads():
			return known{ErrElsewhere}
		case rank == 0:
			return known{err}
		default:
			return known{fmt.Errorf("%s: %s", r.names[rank], strings.TrimPrefix(text, "error: "))}
		}
	}
	return nil
}

// InTurn runs a function first on rank 0, which may write files that the others read, and then on the others. If any rank
// fails, all do, as with [Ranks.Agree].
func (r *Ranks) InTurn(do func() error) error {
	var err error
	if r.Leads() {
		err = do()
	}
	if err := r.Agree(err); err != nil || r.Size() == 1 {
		return err
	}
	if !r.Leads() {
		err = do()
	}
	return r.Agree(err)
}

// End leaves the group with err, the outcome of the program, or ends all ranks if the others do not know about it. It returns
// err, or [ErrElsewhere] if rank 0 reports it.
func (r *Ranks) End(err error) error {
	if r.world == nil {
		return err
	}
	if r.watch == nil {
		r.abort(err, r.o.ExitCode(err)) // the group is already broken
	}
	var shared known
	switch {
	case err == nil, r.Size() == 1, errors.As(err, &shared), errors.Is(err, context.Canceled):
	case train.Everywhere(err):
		if !r.Leads() {
			err = ErrElsewhere
		}
	case !r.Leads() && r.watch.Tell(err):
		time.Sleep(10 * time.Second) // rank 0 ends all
		r.world.Abort(r.o.ExitCode(err))
	case r.Leads():
		r.abort(err, r.o.ExitCode(err))
	default:
		r.abort(fmt.Errorf("%s: %w", r.names[r.Rank()], err), r.o.ExitCode(err))
	}
	r.watch.Close()
	r.world.Close()
	return err
}

// lost ends all ranks because one has ended. Rank 0 says which one and how to continue; if rank 0 itself was lost, rank 1
// does.
func (r *Ranks) lost(who, why string) {
	err := fmt.Errorf("%s: %s", who, why)
	if why == "" {
		err = fmt.Errorf("%s: has ended before the training, and all others with it", who)
	}
	code := r.o.ExitCode(err)
	if r.Rank() > 1 {
		time.Sleep(time.Second) // let the others do so
		r.world.Abort(code)
	}
	r.abort(err, code)
}

// abort reports why, and ends all ranks. What then happens to the others is not reported.
func (r *Ranks) abort(err error, code int) {
	r.ending.Do(func() {
		io.WriteString(r.o.Stderr, fmt.Sprintf("bitgpu: %s\n", r.o.Sentence(err))+r.o.GoOn())
		if r.watch != nil {
			r.watch.Close() // the others need not report the end of this one
		}
		r.world.Abort(code)
	})
	select {} // another goroutine ends the process
}

//go:build mpi && cgo

package mpi

/*
#cgo pkg-config: ompi-c
#include <mpi.h>
#include <sched.h>
#include <time.h>

static volatile int ended; // nobody waits any more

static void end(void) { ended = 1; }

static int start(int *rank, int *size, int *local, char *host) {
	int got, length;
	if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &got) || got < MPI_THREAD_FUNNELED) return 1;
	MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
	MPI_Comm here;
	return MPI_Comm_rank(MPI_COMM_WORLD, rank) || MPI_Comm_size(MPI_COMM_WORLD, size) ||
		MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, *rank, MPI_INFO_NULL, &here) ||
		MPI_Comm_rank(here, local) || MPI_Comm_free(&here) || MPI_Get_processor_name(host, &length);
}

// exchange waits awake for a moment, then asleep: a rank may wait for a validation, and share its cores.
static int exchange(int peer, void *out, int nout, void *in, int nin) {
	MPI_Request both[2];
	MPI_Status status[2];
	int done = 0, got = 0, failed;
	if ((failed = MPI_Irecv(in, nin, MPI_BYTE, peer, 0, MPI_COMM_WORLD, &both[0]))) return failed;
	if ((failed = MPI_Isend(out, nout, MPI_BYTE, peer, 0, MPI_COMM_WORLD, &both[1]))) return failed;
	for (long n = 0; !done; n++) {
		if (ended) return MPI_ERR_OTHER;
		if ((failed = MPI_Testall(2, both, &done, status))) return failed;
		if (n > 2000) {
			struct timespec t = {0, n > 4000 ? 500000 : 20000};
			nanosleep(&t, NULL);
		} else sched_yield();
	}
	if ((failed = MPI_Get_count(&status[0], MPI_BYTE, &got))) return failed;
	return got == nin ? MPI_SUCCESS : MPI_ERR_TRUNCATE;
}

static void quit(int code) { MPI_Abort(MPI_COMM_WORLD, code); }

static int finish(void) { return MPI_Finalize(); }

static void explain(int code, char *text) {
	int length;
	MPI_Error_string(code, text, &length);
}

enum { names = MPI_MAX_PROCESSOR_NAME, errors = MPI_MAX_ERROR_STRING };
*/
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"bitgpu/nn/train"
)

// World is all ranks of a launcher.
type World struct {
	rank, size, local int
	host              string
	calls             chan func() // for the MPI thread
}

var _ train.Group = (*World)(nil)

// Start joins the ranks of a launcher. It returns nil if no launcher started this process.
func Start() (*World, error) {
	n, by := Launched()
	if n == 0 {
		return nil, nil
	}
	os.Setenv("OMPI_MCA_opal_signal", "") // keep Go's own signal handlers
	w := &World{calls: make(chan func())}
	go func() {
		runtime.LockOSThread()
		for call := range w.calls {
			call()
		}
	}()
	var err error
	w.do(func() {
		var rank, size, local C.int
		var host [C.names + 1]C.char
		if C.start(&rank, &size, &local, &host[0]) != 0 {
			err = fmt.Errorf("mpi: got no start of the library as one of %d ranks (%s)", n, by)
		}
		w.rank, w.size, w.local, w.host = int(rank), int(size), int(local), C.GoString(&host[0])
	})
	if err == nil && w.size != n {
		err = fmt.Errorf("mpi: got %d ranks of the library, want the %d that %s says; it must be the launcher's own library, Open MPI's mpirun", w.size, n, by)
	}
	return w, err
}

// do runs a call on the MPI thread.
func (w *World) do(call func()) {
	done := make(chan struct{})
	w.calls <- func() { call(); close(done) }
	<-done
}

// Rank implements train.Group.
func (w *World) Rank() int { return w.rank }

// Size implements train.Group.
func (w *World) Size() int { return w.size }

// LocalRank returns the number of this rank among those of its host.
func (w *World) LocalRank() int { return w.local }

// Host returns the host's name.
func (w *World) Host() string { return w.host }

// most is the longest message, because MPI counts in int.
const most = 1 << 30

// Exchange implements train.Group.
func (w *World) Exchange(rank int, send, receive []byte) error {
	if max(len(send), len(receive)) > most {
		return fmt.Errorf("mpi: got %d and %d bytes to exchange, want at most %d", len(send), len(receive), most)
	}
	var code C.int
	w.do(func() {
		code = C.exchange(C.int(rank), unsafe.Pointer(unsafe.SliceData(send)), C.int(len(send)), unsafe.Pointer(unsafe.SliceData(receive)), C.int(len(receive)))
	})
	if code == C.MPI_SUCCESS {
		return nil
	}
	var text [C.errors + 1]C.char
	w.do(func() { C.explain(code, &text[0]) })
	return fmt.Errorf("mpi: rank %d, exchanging with rank %d: %s", w.rank, rank, C.GoString(&text[0]))
}

// Abort ends all ranks and does not return. It may be called while another goroutine exchanges.
func (w *World) Abort(code int) {
	C.end()
	w.do(func() { C.quit(C.int(code)) })
	os.Exit(code)
}

// Close leaves the group once all ranks have finished.
func (w *World) Close() { w.do(func() { C.finish() }) }

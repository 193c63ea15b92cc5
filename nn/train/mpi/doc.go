// Package mpi is the ranks that mpirun or another launcher of MPI started, as a [train.Group]. It needs the build tag mpi and
// cgo: without them there is nothing but the notice that a launcher is there. It is not for anything that a training does with
// its group, and knows no tensors.
//
// # Why
//
// Why MPI_Sendrecv in pieces and no MPI_Allreduce? Its sums depend on the number of ranks and on the algorithm that the library
// picks; a training adds by a tree of its own.
//
// Why do all calls run on one thread? MPI asks for it at its simplest level, and no library is slower there.
//
// Why a connection beside MPI? A launcher ends all ranks when one dies, and says neither which training that was nor how to go
// on with it; a rank that waits in MPI itself hears nothing.
package mpi

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// launchers are the variables in which launchers say how many ranks they start: Open MPI, MPICH and its kin, Slurm's srun.
var launchers = []string{"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}

// Launched is the number of ranks that a launcher has started, 0 where none has, and the variable that says so.
func Launched() (n int, by string) {
	for _, by := range launchers {
		if n, err := strconv.Atoi(os.Getenv(by)); err == nil && n > 0 {
			return n, by
		}
	}
	return 0, ""
}

// ErrElsewhere is the error of a rank where another rank reports the cause.
var ErrElsewhere = errors.New("another rank has said why")

// isFirst says whether this process is rank 0 according to its launcher, or its rank is not known.
func isFirst() bool {
	for _, name := range []string{"OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID"} {
		if rank := os.Getenv(name); rank != "" {
			return rank == "0"
		}
	}
	return true
}

// errBuild is what a build without MPI says to a launcher.
func errBuild(n int, by string) error {
	if !isFirst() {
		time.Sleep(time.Second) // a launcher ends all with the first that ends
		return ErrElsewhere
	}
	return fmt.Errorf("got started as one of %d ranks (%s), and this build knows no MPI; want one made by "+
		"`go build -tags mpi ./cmd/bitgpu` with libopenmpi-dev, or a start without a launcher", n, by)
}

// Package mpi provides the ranks started by mpirun or another MPI launcher as a [train.Group]. It needs the build tag mpi and
// cgo; without them it only detects that there is a launcher. What a training does with its group is not its business, and it
// knows no tensors.
//
// # Why
//
// Why MPI_Sendrecv in pieces instead of MPI_Allreduce? The sums of MPI_Allreduce depend on the number of ranks and on the
// algorithm that the library picks; a training adds by a tree of its own.
//
// Why do all calls run on one thread? This is MPI's simplest threading level, and no library is slower with it.
//
// Why a connection besides MPI? When a rank dies, a launcher ends all ranks without saying which training that was or how to
// continue it; and a rank that waits inside MPI does not find out at all.
package mpi

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// launchers are the variables in which launchers give the number of ranks: Open MPI, MPICH and its relatives, Slurm's srun.
var launchers = []string{"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}

// Launched returns the number of ranks that a launcher has started, 0 without a launcher, and the variable that says so.
func Launched() (n int, by string) {
	for _, by := range launchers {
		if n, err := strconv.Atoi(os.Getenv(by)); err == nil && n > 0 {
			return n, by
		}
	}
	return 0, ""
}

// ErrElsewhere is the error of a rank when another rank reports the cause.
var ErrElsewhere = errors.New("another rank has said why")

// isFirst reports whether this process is rank 0 according to its launcher, or its rank is unknown.
func isFirst() bool {
	for _, name := range []string{"OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID"} {
		if rank := os.Getenv(name); rank != "" {
			return rank == "0"
		}
	}
	return true
}

// errBuild is the error of a build without MPI under a launcher.
func errBuild(n int, by string) error {
	if !isFirst() {
		time.Sleep(time.Second) // a launcher ends all ranks when the first one ends
		return ErrElsewhere
	}
	return fmt.Errorf("got started as one of %d ranks (%s), and this build knows no MPI; want one made by "+
		"`go build -tags mpi ./cmd/bitgpu` with libopenmpi-dev, or a start without a launcher", n, by)
}

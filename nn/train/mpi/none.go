//go:build !mpi || !cgo

package mpi

import "bitgpu/nn/train"

// World is all ranks of a launcher.
type World struct{ train.Alone }

// Start returns nil if no launcher started this process. This build cannot be one of several ranks: on rank 0 the error says
// so, on the others it is [ErrElsewhere].
func Start() (*World, error) {
	if n, by := Launched(); n > 1 {
		return nil, errBuild(n, by)
	}
	return nil, nil
}

// LocalRank returns the number of this rank among those of its host.
func (w *World) LocalRank() int { return 0 }

// Host returns the host's name.
func (w *World) Host() string { return "" }

// Abort ends all ranks.
func (w *World) Abort(int) {}

// Close leaves the group once all ranks have finished.
func (w *World) Close() {}

//go:build !mpi || !cgo

package mpi

import "bitgpu/nn/train"

// World is all ranks of a launcher.
type World struct{ train.Alone }

// Start joins the ranks of a launcher: nil where none started this process. This build refuses to be one of several: the error says
// so on rank 0, and is [ErrElsewhere] on the others.
func Start() (*World, error) {
	if n, by := Launched(); n > 1 {
		return nil, errBuild(n, by)
	}
	return nil, nil
}

// LocalRank is the number of this rank among those of its host.
func (w *World) LocalRank() int { return 0 }

// Host is the host's name.
func (w *World) Host() string { return "" }

// Abort ends all ranks.
func (w *World) Abort(int) {}

// Close leaves the others, once all have come to their end.
func (w *World) Close() {}

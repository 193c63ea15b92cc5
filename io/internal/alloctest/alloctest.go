// Package alloctest holds readers of files to the memory that they may take.
package alloctest

import (
	"runtime/metrics"
	"testing"
)

// slack is for what the runtime counts late: it adds up small objects by spans of 8 KiB and more.
const slack = 1 << 20

// Bounded fails the test if read, for which there are size bytes of a file, allocates more than times as many. It costs less than
// a microsecond, which is little enough for a fuzz target; what other goroutines allocate meanwhile counts, too.
func Bounded(t testing.TB, size, times int, read func()) {
	t.Helper()
	before := allocated()
	read()
	if taken := allocated() - before; taken > uint64(times*size+slack) {
		t.Fatalf("%d bytes taken for a file of %d, want at most %d for each and %d", taken, size, times, slack)
	}
}

func allocated() uint64 {
	sample := [1]metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample[:])
	return sample[0].Value.Uint64()
}

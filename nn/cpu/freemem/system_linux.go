package freemem

import (
	"math"
	"os"
	"runtime/metrics"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// spare is address space that is left out of account, for the stacks of future threads and because Go's heap grows by 64 MiB.
const spare = 64 << 20

// systemLimits returns what ulimit -v allows this process. That limit counts addresses, including those that Go's runtime and the
// C library have reserved, so the heap gets less than it says.
func systemLimits() []limit {
	var as unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &as); err != nil || as.Cur > math.MaxInt64 {
		return nil
	}
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return nil
	}
	pages, _, _ := strings.Cut(string(statm), " ")
	used, err := strconv.ParseInt(pages, 10, 64)
	if err != nil {
		return nil
	}
	free := int64(as.Cur) - used*int64(os.Getpagesize()) - spare
	heap := []metrics.Sample{{Name: "/memory/classes/total:bytes"}}
	metrics.Read(heap)
	return []limit{{free + int64(heap[0].Value.Uint64()), free}}
}

package freemem

import (
	"math"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// systemLimits is what ulimit -v allows this process.
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
	return []limit{{int64(as.Cur), int64(as.Cur) - used*int64(os.Getpagesize())}}
}

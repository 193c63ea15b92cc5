package freemem

import "golang.org/x/sys/unix"

// systemLimits is the computer's memory. How much of it is free the system does not say in a word; all of it is taken.
func systemLimits() []limit {
	n, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return nil
	}
	return []limit{{int64(n), int64(n)}}
}

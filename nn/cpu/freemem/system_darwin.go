package freemem

import "golang.org/x/sys/unix"

// systemLimits returns the computer's memory. The system has no simple figure for how much of it is free, so all of it counts.
func systemLimits() []limit {
	n, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return nil
	}
	return []limit{{int64(n), int64(n)}}
}

package main

import "golang.org/x/sys/unix"

// ram is the computer's memory in bytes; 0 if the system does not say.
func ram() int64 {
	n, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return 0
	}
	return int64(n)
}

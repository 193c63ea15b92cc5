package main

import "golang.org/x/sys/unix"

// ram is the computer's memory in bytes; 0 if the system does not say.
func ram() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}

package ranks

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// affinity returns the cores that the system lets this process use, "" if unknown.
func affinity() string {
	var cores unix.CPUSet
	if err := unix.SchedGetaffinity(0, &cores); err != nil {
		return ""
	}
	return fmt.Sprintf("%x", cores)
}

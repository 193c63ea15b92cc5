package ranks

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// affinity says which cores the system lets this process have, "" where it does not say.
func affinity() string {
	var cores unix.CPUSet
	if err := unix.SchedGetaffinity(0, &cores); err != nil {
		return ""
	}
	return fmt.Sprintf("%x", cores)
}

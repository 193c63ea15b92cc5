package hugepages

import "golang.org/x/sys/unix"

// noReserve lets more be mapped than there is memory, as most of it may never be written.
const noReserve = unix.MAP_NORESERVE

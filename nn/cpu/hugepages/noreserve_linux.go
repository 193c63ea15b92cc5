package hugepages

import "golang.org/x/sys/unix"

// noReserve lets more memory be mapped than there is, because most of it may never be written.
const noReserve = unix.MAP_NORESERVE

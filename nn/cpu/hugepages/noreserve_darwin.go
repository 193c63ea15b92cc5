package hugepages

const noReserve = 0 // macOS maps more than there is memory unasked

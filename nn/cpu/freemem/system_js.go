package freemem

import "runtime"

// systemLimits returns what a browser's tab has: the four gigabytes that 32-bit WebAssembly can address. A heap that is copied to
// grow can use half of them.
func systemLimits() []limit {
	const address = 4 << 30
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return []limit{{address, (address - int64(m.Sys-m.HeapIdle)) / 2}}
}

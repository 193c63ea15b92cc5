package freemem

import "runtime"

// systemLimits is what a browser's tab has: the four gigabytes that 32-bit WebAssembly can address, of which a heap that grows
// while it holds what it grew from can use half.
func systemLimits() []limit {
	const address = 4 << 30
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return []limit{{address, (address - int64(m.Sys-m.HeapIdle)) / 2}}
}

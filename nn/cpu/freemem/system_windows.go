package freemem

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// memoryStatus is Windows' MEMORYSTATUSEX, in bytes.
type memoryStatus struct {
	length, load                uint32
	totalPhysical, freePhysical uint64
	totalPageFile, freePageFile uint64
	totalVirtual, freeVirtual   uint64
	freeExtendedVirtual         uint64
}

// systemLimits returns the computer's memory.
func systemLimits() []limit {
	status := memoryStatus{length: uint32(unsafe.Sizeof(memoryStatus{}))}
	ok, _, _ := windows.NewLazySystemDLL("kernel32.dll").NewProc("GlobalMemoryStatusEx").Call(uintptr(unsafe.Pointer(&status)))
	if ok == 0 {
		return nil
	}
	return []limit{{int64(status.totalPhysical), int64(status.freePhysical)}}
}

package main

import (
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// memoryCounters is Windows' PROCESS_MEMORY_COUNTERS.
type memoryCounters struct {
	size, pageFaults                         uint32
	peakWorkingSet, workingSet               uintptr
	peakPaged, paged, peakNonPaged, nonPaged uintptr
	pageFile, peakPageFile                   uintptr
}

// peakMemory returns the largest resident memory of the process so far in bytes, 0 if unknown.
func peakMemory() int64 {
	counters := memoryCounters{size: uint32(unsafe.Sizeof(memoryCounters{}))}
	ok, _, _ := windows.NewLazySystemDLL("kernel32.dll").NewProc("K32GetProcessMemoryInfo").Call(
		uintptr(windows.CurrentProcess()), uintptr(unsafe.Pointer(&counters)), uintptr(counters.size))
	if ok == 0 {
		return 0
	}
	return int64(counters.peakWorkingSet)
}

// takesEscapes reports whether a console understands escape sequences. Consoles since Windows 10 do once that is switched on.
func takesEscapes(console *os.File) bool {
	var mode uint32
	h := windows.Handle(console.Fd())
	return windows.GetConsoleMode(h, &mode) == nil && windows.SetConsoleMode(h, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}

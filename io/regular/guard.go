package regular

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"unsafe"
)

// mapped are the files that are mapped into memory, so that a fault in one can name it.
var (
	mutex  sync.Mutex
	mapped = map[*byte]place{}
)

type place struct {
	path string
	size int
}

// Mapped tells that data, which is not empty, is a map of a file; Unmapped that it is one no more.
func Mapped(path string, data []byte) {
	mutex.Lock()
	defer mutex.Unlock()
	mapped[unsafe.SliceData(data)] = place{path, len(data)}
}

// Unmapped must be called before the mapping ends.
func Unmapped(data []byte) {
	mutex.Lock()
	defer mutex.Unlock()
	delete(mapped, unsafe.SliceData(data))
}

// Guard runs what reads mapped files. A file that another program cuts meanwhile is an error, where it would end the
// process; that holds for what read does on its own goroutine.
func Guard(read func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		fault, ok := p.(interface {
			runtime.Error
			Addr() uintptr
		})
		if ok {
			if path := fileAt(fault.Addr()); path != "" {
				err = fmt.Errorf("%s: the file was cut while it was read, or its disk is broken", path)
				return
			}
		}
		panic(p)
	}()
	return read()
}

func fileAt(address uintptr) string {
	mutex.Lock()
	defer mutex.Unlock()
	for first, p := range mapped {
		if from := uintptr(unsafe.Pointer(first)); address >= from && address < from+uintptr(p.size) {
			return p.path
		}
	}
	return ""
}

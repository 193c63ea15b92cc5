package regular

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"unsafe"
)

// The files mapped into memory, so that a fault in one can name it. The last ones to be unmapped are kept as well: a file
// that is closed while a fault unwinds the stack is no longer mapped when Guard looks for it.
var (
	mutex  sync.Mutex
	mapped = map[*byte]place{}
	before []gone // the last ones unmapped, at most manyGone
)

type place struct {
	path string
	size int
}

type gone struct {
	first uintptr
	place
}

const manyGone = 16

func (p place) has(first, address uintptr) bool {
	return address >= first && address < first+uintptr(p.size)
}

// Mapped registers data, which is not empty, as a map of a file until Unmapped is called.
func Mapped(path string, data []byte) {
	mutex.Lock()
	defer mutex.Unlock()
	mapped[unsafe.SliceData(data)] = place{path, len(data)}
}

// Unmapped must be called before the file is unmapped.
func Unmapped(data []byte) {
	mutex.Lock()
	defer mutex.Unlock()
	first := unsafe.SliceData(data)
	if p, ok := mapped[first]; ok {
		before = append(before[max(0, len(before)-manyGone+1):], gone{uintptr(unsafe.Pointer(first)), p})
	}
	delete(mapped, first)
}

// Guard calls read, which reads mapped files. If another program truncates such a file meanwhile, Guard returns an error,
// where otherwise the process would crash. This only works for what read does on its own goroutine.
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
		if p.has(uintptr(unsafe.Pointer(first)), address) {
			return p.path
		}
	}
	for _, g := range slices.Backward(before) {
		// A file of unchanged length was not truncated: then the fault is a bug of ours, such as reading past the end.
		if info, err := os.Stat(g.path); g.has(g.first, address) && (err != nil || info.Size() < int64(g.size)) {
			return g.path
		}
	}
	return ""
}

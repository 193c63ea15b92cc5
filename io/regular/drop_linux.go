package regular

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Drop releases the memory of those pages of a mapped file that are entirely within data; they are read again when used. It
// ignores memory that is not a map of a file.
func Drop(data []byte) {
	if len(data) == 0 || !isMapped(data) {
		return
	}
	page := uintptr(os.Getpagesize())
	at := uintptr(unsafe.Pointer(unsafe.SliceData(data)))
	skip := (page - at%page) % page
	if skip >= uintptr(len(data)) {
		return
	}
	data = data[skip:]
	if data = data[:uintptr(len(data))/page*page]; len(data) > 0 {
		_ = unix.Madvise(data, unix.MADV_DONTNEED) // on failure the memory stays in use
	}
}

// isMapped reports whether data is within a mapped file.
func isMapped(data []byte) bool {
	mutex.Lock()
	defer mutex.Unlock()
	at := uintptr(unsafe.Pointer(unsafe.SliceData(data)))
	for first, p := range mapped {
		if from := uintptr(unsafe.Pointer(first)); at >= from && at+uintptr(len(data)) <= from+uintptr(p.size) {
			return true
		}
	}
	return false
}

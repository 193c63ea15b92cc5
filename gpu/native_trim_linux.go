//go:build cgo && amd64

package gpu

// #include <malloc.h>
//
// static void trim(void) {
// #ifdef __GLIBC__
//	malloc_trim(0);
// #endif
// }
import "C"

// trim gives the system back what a driver has freed. Its threads, which are new ones each time, allocate from several arenas
// of the C library, and each of these keeps its pages until somebody asks for them.
func trim() { C.trim() }

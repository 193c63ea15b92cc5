//go:build cgo && amd64

package gpu

// #include <malloc.h>
// #include <stdlib.h>
//
// // A driver's threads, which are new ones with each device, spread over up to eight heaps a core, and the scraps that they leave
// // in each add up: a hundred models on Mesa's software adapter left 25 to 60 MB, and leave 10 in two heaps. It is said when
// // the program is loaded, as Go's own threads take heaps as soon as they start.
// __attribute__((constructor)) static void few_arenas(void) {
// #ifdef __GLIBC__
//	if (!getenv("MALLOC_ARENA_MAX")) mallopt(M_ARENA_MAX, 2);
// #endif
// }
//
// static void trim(void) {
// #ifdef __GLIBC__
//	malloc_trim(0);
// #endif
// }
import "C"

// trim returns memory to the system that a driver has freed. The C library would keep it.
func trim() { C.trim() }

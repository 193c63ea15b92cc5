//go:build cgo

package main

// #include <stdio.h>
// #include <sys/resource.h>
// #include <unistd.h>
//
// // Go's runtime reserves more than half a gigabyte of addresses before main is called, and each thread its stack: where ulimit -v
// // leaves less it ends with a trace, or with another one at a thread that cannot be made. So it is refused before Go begins.
// __attribute__((constructor)) static void enough_addresses(void) {
//	struct rlimit limit;
//	const rlim_t least = 1000000000;
//	if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur >= least) return;
//	fprintf(stderr, "bitgpu: got %llu MB of address space (ulimit -v), want %llu MB at least\n",
//		(unsigned long long)limit.rlim_cur / 1000000, (unsigned long long)least / 1000000);
//	_exit(1);
// }
import "C"

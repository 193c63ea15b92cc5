package simd

import "golang.org/x/sys/unix"

// allowAMX asks the system for the registers of AMX, and reports whether the program has them. Linux gives them only on request,
// because signals then save 8 KiB more on a thread's stack (https://docs.kernel.org/arch/x86/xstate.html).
func allowAMX() bool {
	const (
		requestPermission = 0x1023 // ARCH_REQ_XCOMP_PERM
		tileData          = 18     // XFEATURE_XTILE_DATA
	)
	_, _, err := unix.RawSyscall(unix.SYS_ARCH_PRCTL, requestPermission, tileData, 0)
	return err == 0
}

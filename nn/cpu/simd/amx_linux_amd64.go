package simd

import "golang.org/x/sys/unix"

// allowAMX asks the system for the registers of AMX, which Linux gives to who asks only, since signals then save 8 KiB more on
// a thread's stack for them (https://docs.kernel.org/arch/x86/xstate.html). It tells whether the program has them.
func allowAMX() bool {
	const (
		requestPermission = 0x1023 // ARCH_REQ_XCOMP_PERM
		tileData          = 18     // XFEATURE_XTILE_DATA
	)
	_, _, err := unix.RawSyscall(unix.SYS_ARCH_PRCTL, requestPermission, tileData, 0)
	return err == 0
}

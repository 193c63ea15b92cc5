//go:build amd64 && !linux

package simd

// allowAMX returns false: asking other systems for the registers of AMX has not been tried.
func allowAMX() bool { return false }

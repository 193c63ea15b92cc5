//go:build amd64 && !linux

package simd

// allowAMX is false: how to ask other systems for the registers of AMX has not been tried.
func allowAMX() bool { return false }

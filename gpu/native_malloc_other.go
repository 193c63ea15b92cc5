//go:build cgo && (darwin || (amd64 && windows))

package gpu

// trim is only needed on Linux, where the C library keeps what drivers have freed.
func trim() {}

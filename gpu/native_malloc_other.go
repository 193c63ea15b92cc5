//go:build cgo && (darwin || (amd64 && windows))

package gpu

// trim is for Linux, whose C library keeps what drivers have freed.
func trim() {}

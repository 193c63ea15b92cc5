//go:build !amd64 && !arm64

package simd

var known []Level

func machineLevels() []*kernels { return nil }

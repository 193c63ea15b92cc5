//go:build !amd64

package simd

func machineLevels() []*kernels { return nil }

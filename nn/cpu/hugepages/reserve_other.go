//go:build !linux && !darwin

package hugepages

func reserve(int) ([]byte, func()) { return nil, nil }

func of[T any](_ []byte, n int) []T { return make([]T, n) }

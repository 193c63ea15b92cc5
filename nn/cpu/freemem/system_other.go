//go:build !linux && !darwin

package freemem

func systemLimits() []limit { return nil }

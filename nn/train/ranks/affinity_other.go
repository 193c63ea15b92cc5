//go:build !linux

package ranks

// affinity returns the cores that the system lets this process use, "" if unknown.
func affinity() string { return "" }

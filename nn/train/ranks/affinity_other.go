//go:build !linux

package ranks

// affinity says which cores the system lets this process have, "" where it does not say.
func affinity() string { return "" }

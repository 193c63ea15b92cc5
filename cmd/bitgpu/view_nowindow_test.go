//go:build !window

package main

import (
	"strings"
	"testing"
)

func TestNoWindowSpeaksOfItsSystem(t *testing.T) {
	for system, want := range map[string]string{"linux": "libx11-dev", "windows": "MinGW", "darwin": "Xcode", "freebsd": "--png DIR"} {
		if said := noWindow(system).Error(); !strings.Contains(said, want) || system != "linux" && strings.Contains(said, "Debian") {
			t.Errorf("%s: got %q, want %q and no other system's words", system, said, want)
		}
	}
}

func TestExamplesAreTypedAsTheSystemHasThem(t *testing.T) {
	const line = "bitgpu run -p 'to be'"
	for system, want := range map[string]string{"linux": line, "windows": `bitgpu run -p "to be"`} {
		if got := typed(system, line); got != want {
			t.Errorf("%s: got %s, want %s", system, got, want)
		}
	}
}

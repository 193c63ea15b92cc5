// Package gputest gives tests a device. It is not for programs.
package gputest

import (
	"cmp"
	"os"
	"sync"
	"testing"

	"bitgpu/gpu"
)

var open = sync.OnceValues(func() (*gpu.Device, error) {
	return gpu.Open(gpu.Options{Adapter: cmp.Or(os.Getenv("BITGPU_ADAPTER"), "software")})
})

// Device returns a device that all tests of a binary share, so tests that use it must not run in parallel: the software
// adapter, or the one that BITGPU_ADAPTER names. Without one the test is skipped, or fails if BITGPU_REQUIRE_GPU is 1. A test
// that leaves an error in the device fails.
func Device(t testing.TB) *gpu.Device {
	t.Helper()
	d, err := open()
	if err != nil {
		if os.Getenv("BITGPU_REQUIRE_GPU") == "1" {
			t.Fatalf("BITGPU_REQUIRE_GPU is 1: %v", err)
		}
		t.Skipf("no GPU adapter for tests: %v", err)
	}
	t.Cleanup(func() {
		if err := d.Flush(); err != nil {
			t.Errorf("the test left an error in the device: %v", err)
		}
	})
	return d
}

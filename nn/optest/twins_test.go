package optest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitgpu/nn/cpu"
)

// measuring lists the shaders that are not operations but measure the limits of a device.
var measuring = []string{"copy", "fma"}

// fused lists the shaders of several fused operations, which only webgpu has.
var fused = []string{"blocks"}

// An operation has files of one name in five folders; the one in this folder has its cases, which are in the list. A shader's name
// may continue after an underscore.
func TestTwins(t *testing.T) {
	ops, cases := map[string]bool{}, map[string]bool{}
	for _, c := range Cases[*cpu.Tensor[float32]]() {
		ops[c.Op], cases[c.Op] = true, true
	}
	for _, c := range frozenCases[*cpu.Tensor[float32]]() {
		cases[c.Op] = true
	}
	shaders, err := filepath.Glob(filepath.Join(root(), "wgsl", "*.wgsl"))
	if err != nil || len(shaders) == 0 {
		t.Fatalf("no shaders: %v", err)
	}
	for _, path := range shaders {
		op, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".wgsl"), "_")
		if !slices.Contains(measuring, op) {
			ops[op] = true
		}
	}
	for op := range ops {
		if !cases[op] {
			t.Errorf("%s has no cases in the list of case.go", op)
		}
		folders := []string{"wgsl/*.wgsl", "nn/webgpu/*.go", "nn/optest/*.go"}
		if !slices.Contains(fused, op) {
			folders = append(folders, "nn/op/*.go", "nn/cpu/*.go")
		}
		for _, folder := range folders {
			twin := strings.Replace(folder, "*", op, 1)
			if _, err := os.Stat(filepath.Join(root(), twin)); err != nil {
				t.Errorf("%s has no %s", op, twin)
			}
		}
	}
}

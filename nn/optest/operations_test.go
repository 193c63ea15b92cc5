package optest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// Operations returns all operations that package op declares.
func TestOperations(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root(), "nn", "op", "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("got no files of package op (%v)", err)
	}
	var want, got []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\) Name\(\) string { return "(\w+)" }`).FindAllStringSubmatch(string(text), -1) {
			want = append(want, m[1])
		}
	}
	for _, o := range Operations[struct{}]() {
		got = append(got, o.Name())
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

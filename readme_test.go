package bitgpu_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadme builds and runs the README's Go example as it stands.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(readme, -1)
	if len(blocks) != 1 {
		t.Fatalf("got %d in the README, want one Go example", len(blocks))
	}
	program := `package main

import (
	"bitgpu"
	"context"
	"fmt"
	"log"
)

func main() {
	if err := example(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func example(ctx context.Context) error {
` + string(blocks[0][1]) + "return err\n}\n"
	dir := t.TempDir()
	model, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{"main.go": program, "model.bitt": string(model)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	binary := filepath.Join(dir, "example")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", binary, filepath.Join(dir, "main.go")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	run := exec.Command(binary)
	run.Dir = dir
	out, err := run.CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) == "" {
		t.Fatalf("got %q, want text, %v", out, err)
	}
}

package main

import (
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"bitgpu"
	"bitgpu/demo"
	"bitgpu/serve"
)

// TestKubernetesMetrics: the manifests scale by metrics that the server has, and give it flags that it knows.
func TestKubernetesMetrics(t *testing.T) {
	m, err := bitgpu.LoadBytes(demo.Name, demo.Model, bitgpu.WithBackend(bitgpu.CPU))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s, err := serve.New(m, serve.Options{Name: "demo", MemoryDir: t.TempDir(), Parallel: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	metrics, _ := io.ReadAll(w.Body)
	folder := filepath.Join("..", "..", "packaging", "kubernetes")
	found := 0
	for _, name := range []string{"adapter.yaml", filepath.Join("base", "scale.yaml")} {
		for _, metric := range regexp.MustCompile(`bitgpu_\w+`).FindAllString(string(read(t, folder, name)), -1) {
			found++
			if !strings.Contains(string(metrics), "\n"+metric+" ") {
				t.Errorf("%s: %s is no metric of the server", name, metric)
			}
		}
	}
	if found < 4 {
		t.Errorf("got %d metrics", found)
	}
	help, _ := mustRun(t, "help", "train")
	served, _ := mustRun(t, "help", "serve")
	for _, name := range []string{"train.yaml", filepath.Join("overlays", "gpu", "kustomization.yaml"), filepath.Join("base", "serve.yaml")} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, flag := range regexp.MustCompile(`"(--[a-z-]+)"`).FindAllStringSubmatch(string(text), -1) {
			if !strings.Contains(help+served, flag[1]) && flag[1] != "--bind-to" && flag[1] != "--mca" { // mpirun's own
				t.Errorf("%s: %s is no flag", name, flag[1])
			}
		}
	}
}

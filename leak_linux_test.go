package bitgpu

import (
	"testing"

	"bitgpu/gpu/gputest"
)

// A model on a GPU that is closed gives all back.
func TestOpeningAndClosingModelsLeavesNothing(t *testing.T) {
	openOnGPU(t, "d32-delta").Close() // or the test is skipped
	cycle := func() {
		m := openOnGPU(t, "d32-delta")
		defer m.Close()
		s, err := m.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if text, err := s.Generate(t.Context(), "the", Options{MaxTokens: 2}); err != nil {
			t.Fatal(text, err)
		}
	}
	cycle()
	threads, files, memory := gputest.Taken(t)
	for range 98 {
		cycle()
	}
	// Scraps of a driver, 0.1 MB a model on Mesa's software adapter. A model that stays takes 37 MB.
	const fewThreads, fewBytes = 4, 16 << 20
	threadsNow, filesNow, memoryNow := gputest.Taken(t)
	t.Logf("%.1f MB after two models, %.1f MB after 100", float64(memory)/1e6, float64(memoryNow)/1e6)
	if threadsNow > threads+fewThreads || filesNow > files || memoryNow > memory+fewBytes {
		t.Errorf("after 100 models: got %d threads, %d files and %.1f MB, want %d, %d and %.1f MB as after two, and few more",
			threadsNow, filesNow, float64(memoryNow)/1e6, threads, files, float64(memory)/1e6)
	}
}

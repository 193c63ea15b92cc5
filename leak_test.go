package bitgpu

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

func TestAThousandSessionsLeaveMemoryFlat(t *testing.T) {
	m := open(t, "d32-none")
	use := func(n int) {
		for range n {
			s, err := m.NewSession()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Forward([]uint32{1, 2, 3}); err != nil {
				t.Fatal(err)
			}
			s.Close()
		}
	}
	use(10)
	before := heap()
	use(1000)
	if after := heap(); after > before+1<<20 {
		t.Errorf("%d bytes before, %d after", before, after)
	}
}

// Memory does not grow with the text, and the engine allocates nothing a token.
func TestALongTextTakesNoMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("a text of 100,000 tokens")
	}
	data, err := os.ReadFile(filepath.Join(reference, "d32-none", "model.bitt"))
	if err != nil {
		t.Fatal(err)
	}
	// Without the token that ends a text, the text has no end.
	data = bytes.ReplaceAll(data, []byte("<|endoftext|>"), []byte("<|neverends|>"))
	m, err := LoadBytes("endless", data, WithBackend(CPU))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var early, late runtime.MemStats
	pieces := 0
	r, err := m.Stream(t.Context(), "the", Options{MaxTokens: 100_000, Temperature: 1}, func(text string) bool {
		if pieces++; pieces == 1000 {
			runtime.GC()
			runtime.ReadMemStats(&early)
		}
		return true
	})
	if err != nil || r.Tokens != 100_000 {
		t.Fatalf("%+v (%v)", r, err)
	}
	runtime.GC()
	runtime.ReadMemStats(&late)
	if late.HeapAlloc > early.HeapAlloc+1<<20 {
		t.Errorf("%d bytes in use after 1,000 pieces, %d at the end", early.HeapAlloc, late.HeapAlloc)
	}
	// The text itself is strings, a few bytes each; they are garbage at once.
	t.Logf("%d tokens, %.2f allocations a token", r.Tokens, float64(late.Mallocs-early.Mallocs)/float64(r.Tokens))
}

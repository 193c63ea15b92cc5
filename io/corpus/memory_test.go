package corpus

import (
	"runtime"
	"strings"
	"testing"
)

// TestMemory: reading takes a stated number of bytes for each of a long document, and no more for many short ones than for
// one of them, however well they are packed.
func TestMemory(t *testing.T) {
	const size = 4 << 20
	line := strings.Repeat("x", size-1) + "\n"
	short := strings.Repeat("a short line\n\n", size/14)
	for _, c := range []struct {
		name, file, content string
		mode                Mode
		most                int // bytes allocated for each of the text, in all
	}{
		{"a long line", "a.txt", line, Line, 12},
		{"a long block", "a.txt", strings.ReplaceAll(short, "\n\n", "\n."), Block, 14},
		{"a file", "a.txt", short, Whole, 7},
		{"a record", "a.jsonl", `{"text":"` + line[:size-1] + `"}`, Line, 14},
		{"an escaped record", "a.jsonl", `{"text":"\n` + line[:size-1] + `"}`, Line, 20},
		{"short lines", "a.txt", short, Line, 3},
		{"packed lines", "a.gz", packed(t, short), Line, 3},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := readStream(strings.NewReader(c.content), c.file, Options{Mode: c.mode, Field: "text"}, MaxDocument, func(string) bool { return true })
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Fatal(err)
		}
		took := float64(after.TotalAlloc-before.TotalAlloc) / size
		t.Logf("%s: %.1f", c.name, took)
		if took > float64(c.most) {
			t.Errorf("%s: got %.1f bytes allocated for each of the text, want at most %d", c.name, took, c.most)
		}
	}
}

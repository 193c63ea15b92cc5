package bitgpu

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDamagedMemory: a memory file with one other bit is refused by its name, and the session stays what it was; so is a
// conversation's.
func TestDamagedMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.memory")
	m := open(t, "d32-delta")
	talk := newChat(t, m, plainTurns, ChatOptions{})
	if _, err := talk.Send(t.Context(), "one two", Options{MaxTokens: 3}, nil); err != nil {
		t.Fatal(err)
	}
	s := talk.s
	for name, x := range map[string]struct{ save, load func(string) error }{
		"session": {s.SaveMemory, s.LoadMemory}, "conversation": {talk.Save, talk.Load},
	} {
		if err := x.save(path); err != nil {
			t.Fatal(err)
		}
		if err := x.load(path); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)-1000] ^= 1
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		before, err := s.Memory()
		if err != nil {
			t.Fatal(err)
		}
		if err := x.load(path); err == nil || !strings.Contains(err.Error(), path+": got the checksum ") {
			t.Errorf("%s: got %v, want a damaged file", name, err)
		}
		if after, err := s.Memory(); err != nil || !slices.Equal(after[0].W, before[0].W) {
			t.Errorf("%s: the session is another (%v)", name, err)
		}
	}
}

package regular

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A file of gigabytes where a small one is wanted takes no memory.
func TestReadFileRefusesSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, maxFile+1); err != nil { // a hole, which takes no room on the disk
		t.Skip(err)
	}
	if _, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), "config.json: got 1073741825 bytes, want at most") {
		t.Errorf("got %v, want the size refused", err)
	}
}

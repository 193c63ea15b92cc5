package atomicfile

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// openTries is how often Open tries again. A writer needs longer to write its files than a reader to open them.
const openTries = 100

// Open returns what open opens in a directory, after completing what a killed process has committed there. If a [Set] replaces
// files meanwhile, it calls open again, so that all files are of the same set.
func Open[T io.Closer](dir string, open func() (T, error)) (T, error) {
	var none T
	for range openTries {
		if err := Recover(dir); err != nil {
			return none, err
		}
		before := versions(dir)
		opened, err := open()
		// As long as a set is being moved into place, some files are old and some new. Once it is, those that were opened
		// before are no longer the ones in the directory.
		if _, moving := os.Lstat(filepath.Join(dir, commitName)); moving != nil && slices.EqualFunc(before, versions(dir), same) {
			return opened, err
		}
		if err == nil {
			opened.Close()
		}
	}
	return none, fmt.Errorf("%s: its files are replaced all the time, want them to stay while they are opened", dir)
}

// versions describes the files of a directory that sets consist of.
func versions(dir string) (all []os.FileInfo) {
	entries, _ := os.ReadDir(dir) // sorted; reading the files reports what is wrong
	for _, entry := range entries {
		if name := entry.Name(); !strings.HasPrefix(name, ".") && slices.Contains([]string{".json", ".safetensors", ".jinja"}, filepath.Ext(name)) {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil {
				all = append(all, info)
			}
		}
	}
	return all
}

func same(a, b os.FileInfo) bool {
	return a.Name() == b.Name() && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

package gpu

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// Only a package of the native driver's names the bindings, and only it calls C, in builds for any system.
func TestOnlyTheDriverNamesTheBinding(t *testing.T) {
	named := 0
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		folder, name := filepath.Split(filepath.ToSlash(path))
		here := folder == "../gpu/"
		for _, i := range file.Imports {
			names, c := strings.HasSuffix(i.Path.Value, `/gpu/internal/wgpu"`), here && i.Path.Value == `"C"`
			switch binding := strings.Contains(i.Path.Value, "webgpu/wgpu"); {
			case (names || c) && !(here && strings.HasPrefix(name, "native_")), binding && folder != "../gpu/internal/wgpu/":
				t.Errorf("%s imports %s", path, i.Path.Value)
			case binding:
				named++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if named == 0 && Supported() == nil {
		t.Error("nothing names the binding")
	}
}

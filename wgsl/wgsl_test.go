package wgsl

import (
	"io/fs"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func shaderFiles(t *testing.T, pattern string) map[string]string {
	t.Helper()
	names, err := fs.Glob(files, pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no shader files match %s (%v)", pattern, err)
	}
	texts := map[string]string{}
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(text)
	}
	return texts
}

// kernelFiles are the shader files that have entry points.
func kernelFiles(t *testing.T) map[string]string {
	texts := shaderFiles(t, "*.wgsl")
	maps.Copy(texts, shaderFiles(t, "view/*.wgsl"))
	return texts
}

var (
	comment    = regexp.MustCompile(`//[^\n]*`)
	bindLine   = regexp.MustCompile(`(?m)^@group\((\d+)\)\s*@binding\((\d+)\)\s*var<([^>]*)>\s*(\w+)\s*:`)
	anyBinding = regexp.MustCompile(`@binding`)
	entryPoint = regexp.MustCompile(`(?:@compute\s+@workgroup_size\([^)]*\)|@vertex|@fragment)\s*fn\s+(\w+)`)
	anyEntry   = regexp.MustCompile(`@(compute|vertex|fragment)`)
	paramsBody = regexp.MustCompile(`(?s)struct\s+Params\s*\{(.*?)\}`)
	field      = regexp.MustCompile(`(\w+)\s*:\s*([^,\n]+)`)
)

// bindings reads the binding lines of a shader file, by number.
func bindings(t *testing.T, file, text string) []Binding {
	t.Helper()
	lines := bindLine.FindAllStringSubmatch(text, -1)
	if n := len(anyBinding.FindAllString(text, -1)); n != len(lines) {
		t.Errorf("%s: %d @binding attributes, %d of them on a line of the usual form", file, n, len(lines))
	}
	var list []Binding
	for i, m := range lines {
		if m[1] != "0" || m[2] != strconv.Itoa(i) {
			t.Errorf("%s: %s has @group(%s) @binding(%s), want @group(0) @binding(%d)", file, m[4], m[1], m[2], i)
		}
		access := Access(-1)
		for _, a := range []Access{Uniform, Read, ReadWrite} {
			if a.String() == strings.Join(strings.FieldsFunc(m[3], func(r rune) bool { return r == ',' || r == ' ' }), ", ") {
				access = a
			}
		}
		if access < 0 {
			t.Errorf("%s: %s is var<%s>; want uniform, storage, read or storage, read_write", file, m[4], m[3])
		}
		list = append(list, Binding{m[4], access})
	}
	return list
}

func TestTableMatchesShaders(t *testing.T) {
	texts := kernelFiles(t)
	rows := map[string][]*Kernel{}
	names := map[string]bool{}
	for _, k := range All() {
		if names[k.Name] {
			t.Errorf("two kernels are called %s", k.Name)
		}
		names[k.Name] = true
		if k.Text != "" || texts[k.File] == "" {
			t.Errorf("kernel %s: no shader file %q", k.Name, k.File)
		}
		rows[k.File] = append(rows[k.File], k)
	}
	for file, text := range texts {
		text = comment.ReplaceAllString(text, "")
		found := bindings(t, file, text)
		params := paramFields(text)
		var entries []string
		for _, m := range entryPoint.FindAllStringSubmatch(text, -1) {
			entries = append(entries, m[1])
		}
		if n := len(anyEntry.FindAllString(text, -1)); n != len(entries) {
			t.Errorf("%s: %d entry points, %d of them of the usual form", file, n, len(entries))
		}
		var inTable []string
		for _, k := range rows[file] {
			inTable = append(inTable, k.EntryPoint())
			if k.Vertex != "" {
				inTable = append(inTable, k.Vertex)
			}
			if !slices.Equal(found, k.Bindings) {
				t.Errorf("kernel %s: the table's bindings are %v, those of %s are %v", k.Name, k.Bindings, file, found)
			}
			if i := slices.Index(k.Bindings, Binding{"params", Uniform}); (k.Params != nil) != (i == 0) || i > 0 {
				t.Errorf("kernel %s: Params belongs to a uniform binding called params at number 0, and only to it", k.Name)
			}
			if want := goFields(t, k); !slices.Equal(want, params) {
				t.Errorf("kernel %s: struct Params of %s is %v, the Go struct is %v", k.Name, file, params, want)
			}
			storage := 0
			for i, b := range k.Bindings {
				if b.Access != Uniform {
					storage++
				} else if i > 0 {
					t.Errorf("kernel %s: %s is uniform, only params may be", k.Name, b.Name)
				}
			}
			// The least that a WebGPU device must offer.
			if storage > 8 && !k.Wide {
				t.Errorf("kernel %s: %d storage bindings, at most 8 are portable", k.Name, storage)
			}
		}
		slices.Sort(entries)
		slices.Sort(inTable)
		if !slices.Equal(entries, slices.Compact(inTable)) {
			t.Errorf("%s: its entry points are %v, the table has %v", file, entries, inTable)
		}
	}
}

// A scalar is one field of a uniform struct: all have size and alignment 4, so the layouts agree when the fields do.
type scalar struct {
	name, typ string
	offset    uintptr
}

func paramFields(text string) []scalar {
	var list []scalar
	if m := paramsBody.FindStringSubmatch(text); m != nil {
		for i, f := range field.FindAllStringSubmatch(m[1], -1) {
			list = append(list, scalar{strings.ReplaceAll(f[1], "_", ""), strings.TrimSpace(f[2]), uintptr(4 * i)})
		}
	}
	return list
}

func goFields(t *testing.T, k *Kernel) []scalar {
	if k.Params == nil {
		return nil
	}
	kinds := map[reflect.Kind]string{reflect.Uint32: "u32", reflect.Int32: "i32", reflect.Float32: "f32"}
	typ := reflect.TypeOf(k.Params)
	var list []scalar
	for f := range typ.Fields() {
		if kinds[f.Type.Kind()] == "" {
			t.Errorf("kernel %s: field %s of %s is %s; want uint32, int32 or float32", k.Name, f.Name, typ, f.Type)
		}
		list = append(list, scalar{strings.ToLower(f.Name), kinds[f.Type.Kind()], f.Offset})
	}
	return list
}

func TestNothingTheOldestCompilerLacks(t *testing.T) {
	texts := kernelFiles(t)
	maps.Copy(texts, shaderFiles(t, "shared/*.wgsl"))
	lacks := regexp.MustCompile(`\b(override|enable|requires|subgroup\w*|f16|dot4[IU]8Packed)\b`)
	for file, text := range texts {
		if m := lacks.FindString(comment.ReplaceAllString(text, "")); m != "" {
			t.Errorf("%s uses %s, which the binding's compiler does not know", file, m)
		}
	}
}

func TestSharedFilesAreImported(t *testing.T) {
	imported := map[string]bool{}
	for _, k := range All() {
		parts, err := k.parts()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range parts {
			imported[p.file] = true
		}
	}
	for file, text := range shaderFiles(t, "shared/*.wgsl") {
		if !imported[file] {
			t.Errorf("%s is imported by no kernel", file)
		}
		if anyBinding.MatchString(text) || anyEntry.MatchString(text) {
			t.Errorf("%s has a binding or an entry point; those belong to a kernel's own file", file)
		}
	}
}

func TestConstantsAreUsed(t *testing.T) {
	for _, k := range All() {
		parts, err := k.parts()
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for _, p := range parts {
			text.WriteString(comment.ReplaceAllString(p.text, ""))
		}
		for name := range k.Consts {
			if !regexp.MustCompile(`\b` + name + `\b`).MatchString(text.String()) {
				t.Errorf("kernel %s declares the constant %s, which %s does not use", k.Name, name, k.File)
			}
		}
	}
}

func TestSource(t *testing.T) {
	k := &Kernel{Name: "k", File: "k.wgsl", Consts: Consts{"WORKGROUP": 64, "ROWS": 2}, Text: "" +
		"#import shared/grid.wgsl\n#import shared/grid.wgsl\n@compute @workgroup_size(WORKGROUP, ROWS, 1) fn k() {}"}
	text, err := k.Source(Consts{"ROWS": 4})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(text, "\n\n@compute @workgroup_size(64, 4, 1) fn k() {}\n") {
		t.Errorf("the kernel's own lines do not come first, each in its place:\n%s", text)
	}
	if !strings.HasSuffix(text, "const ROWS = 4u;\nconst WORKGROUP = 64u;\n") {
		t.Errorf("the constants do not come last:\n%s", text)
	}
	if n := strings.Count(text, "fn flat_group"); n != 1 {
		t.Errorf("shared/grid.wgsl was imported %d times, want once", n)
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		switch file, n := k.Locate(i + 1); {
		case strings.Contains(line, "fn k()") && (file != "k.wgsl" || n != 3),
			strings.Contains(line, "fn flat_group") && file != "shared/grid.wgsl",
			strings.Contains(line, "const ROWS") && file != "constants of k.wgsl":
			t.Errorf("line %d (%s) is placed at %s:%d", i+1, line, file, n)
		}
	}
}

func TestSourceRefuses(t *testing.T) {
	for want, k := range map[string]*Kernel{
		"no constant NEW":  {Name: "k", File: "copy.wgsl", Consts: Consts{"WORKGROUP": 64}},
		"missing.wgsl":     {Name: "k", File: "missing.wgsl", Consts: Consts{"NEW": 1}},
		"shared/none.wgsl": {Name: "k", File: "k.wgsl", Text: "#import shared/none.wgsl\n", Consts: Consts{"NEW": 1}},
		"only files under": {Name: "k", File: "k.wgsl", Text: "#import shared/../copy.wgsl\n", Consts: Consts{"NEW": 1}},
		"SIZE is neither":  {Name: "k", File: "k.wgsl", Text: "@workgroup_size(SIZE)", Consts: Consts{"NEW": 1}},
	} {
		if _, err := k.Source(Consts{"NEW": 2}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

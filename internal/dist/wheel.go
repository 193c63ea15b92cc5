package main

import (
	"crypto/sha256"
	"debug/pe"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// wheels makes the Python package for the platforms whose C library can be built with Debian's compilers. Apple's are not
// among them, because a C library needs Apple's SDK, which is not available elsewhere.
func (r *release) wheels() error {
	for _, t := range []target{targets[0], {"linux", "arm64", arm64CC}, targets[5]} {
		library, err := r.build(t, "./cmd/libbitgpu", "libbitgpu.so", "-buildmode=c-shared")
		if err != nil {
			return err
		}
		tag, err := wheelTag(t, library)
		if err != nil {
			return err
		}
		name, data, err := r.wheel(tag, library)
		if err != nil {
			return err
		}
		if err := r.write(name, data); err != nil {
			return err
		}
	}
	return nil
}

// wheelTag returns the platform that a library runs on: by PEP 600 the glibc that its newest symbol requires.
func wheelTag(t target, library string) (string, error) {
	if t.system == "windows" {
		return "win_" + t.arch, checkDLL(library)
	}
	needs, err := needsOf(library)
	if err != nil {
		return "", err
	}
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[t.arch]
	return fmt.Sprintf("manylinux_%d_%d_%s", needs.glibc[0], needs.glibc[1], arch), nil
}

// checkDLL refuses a library that requires more than Windows has.
func checkDLL(path string) error {
	f, err := pe.Open(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer f.Close()
	symbols, err := f.ImportedSymbols()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, symbol := range symbols {
		_, library, _ := strings.Cut(symbol, ":")
		if library = strings.ToLower(library); strings.HasPrefix(library, "lib") {
			return fmt.Errorf("%s: wants %s, which is the compiler's and not Windows'", path, library)
		}
	}
	return nil
}

// pythonSources returns the files of the Python package, all that is in its folder but the library.
func pythonSources(dir string) ([]string, error) {
	modules, err := filepath.Glob(filepath.Join(dir, "*.py"))
	return append(modules, filepath.Join(dir, "py.typed")), err
}

// wheel packs the Python package with a library, by PEP 427 and, for the licences and the list of contents, PEPs 639 and 770.
func (r *release) wheel(tag, library string) (name string, data []byte, err error) {
	sources, err := pythonSources(filepath.Join("python", "bitgpu"))
	if err != nil {
		return "", nil, err
	}
	var files []file
	for _, path := range sources {
		data, err := os.ReadFile(path)
		if err != nil {
			return "", nil, err
		}
		name := filepath.Base(path)
		if name == "__init__.py" && !strings.Contains(string(data), fmt.Sprintf("__version__ = %q", r.version)) {
			return "", nil, fmt.Errorf("python/bitgpu/__init__.py: got another version than %s", r.version)
		}
		files = append(files, file{name: "bitgpu/" + name, data: data})
	}
	binary, err := os.ReadFile(library)
	if err != nil {
		return "", nil, err
	}
	readme, err := os.ReadFile("python/README.md")
	if err != nil {
		return "", nil, err
	}
	licence, err := os.ReadFile("LICENSE")
	if err != nil {
		return "", nil, err
	}
	licences, err := r.said("licenses")
	if err != nil {
		return "", nil, err
	}
	info := "bitgpu-" + r.version + ".dist-info/"
	files = append(files,
		file{name: "bitgpu/libbitgpu.so", data: binary, exec: true},
		file{name: info + "METADATA", data: fmt.Appendf(nil, `Metadata-Version: 2.4
Name: bitgpu
Version: %s
Summary: Runs ternary language models whose memory learns while they read, on any GPU and on the CPU
Project-URL: Homepage, %s
Project-URL: Commit, %s/commit/%s
License-Expression: MIT
License-File: LICENSE
License-File: LICENSES.txt
Requires-Python: >=3.9
Description-Content-Type: text/markdown

%s`, r.version, r.homepage, r.homepage, r.commit, readme)},
		file{name: info + "WHEEL", data: fmt.Appendf(nil, "Wheel-Version: 1.0\nGenerator: bitgpu dist\nRoot-Is-Purelib: false\nTag: py3-none-%s\n", tag)},
		file{name: info + "licenses/LICENSE", data: licence},
		file{name: info + "licenses/LICENSES.txt", data: licences})
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	var record strings.Builder
	for _, f := range files {
		sum := sha256.Sum256(f.data)
		fmt.Fprintf(&record, "%s,sha256=%s,%d\n", f.name, base64.RawURLEncoding.EncodeToString(sum[:]), len(f.data))
	}
	fmt.Fprintf(&record, "%sRECORD,,\n", info)
	data, err = zipped(append(files, file{name: info + "RECORD", data: []byte(record.String())}), r.at)
	return "bitgpu-" + r.version + "-py3-none-" + tag + ".whl", data, err
}

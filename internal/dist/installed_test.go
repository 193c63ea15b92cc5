//go:build dist

package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"debug/macho"
	"debug/pe"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// These tests take what "make dist" has made, in $BITGPU_DIST, as a person does: they install it and use it.

// made gives the release that is tested: the path of one of its files by a pattern.
func made(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(os.Getenv("BITGPU_DIST"), filepath.FromSlash(pattern)))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: got %v, %v, want one file; make dist makes it", pattern, found, err)
	}
	return found[0]
}

// identity is what all that was made says of itself.
func identity(t *testing.T) (version, commit string) {
	t.Helper()
	name := filepath.Base(made(t, "bitgpu-*.cdx.json"))
	version = strings.TrimSuffix(strings.TrimPrefix(name, "bitgpu-"), ".cdx.json")
	text := unpacked(t, made(t, "bitgpu-*-linux-amd64-cpu.tar.gz"))["VERSION.txt"]
	found := regexp.MustCompile(`commit ([0-9a-f]{40}) `).FindStringSubmatch(string(text))
	if found == nil {
		t.Fatalf("VERSION.txt: got %q, want a commit in it", text)
	}
	return version, found[1]
}

// says runs a command and gives what it writes on either stream.
func says(t *testing.T, command ...string) string {
	t.Helper()
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
	return string(out)
}

// unpacked are an archive's files by their names below its one folder.
func unpacked(t *testing.T, path string) map[string][]byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	add := func(name string, r io.Reader) {
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, below, ok := strings.Cut(name, "/"); ok && below != "" {
			name = below
		}
		files[name] = content
	}
	if strings.HasSuffix(path, ".tar.gz") {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		for r := tar.NewReader(z); ; {
			h, err := r.Next()
			if err == io.EOF {
				return files
			}
			if err != nil {
				t.Fatal(err)
			}
			add(h.Name, r)
		}
	}
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.File {
		content, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		add(f.Name, content)
	}
	return files
}

// The sums are those of all files, and the manifests of package managers name them at the address of the release.
func TestInstalledManifests(t *testing.T) {
	sums := made(t, "SHA256SUMS")
	check := exec.Command("sha256sum", "-c", "--strict", "--quiet", filepath.Base(sums))
	check.Dir = filepath.Dir(sums)
	if out, err := check.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	listed, err := os.ReadFile(sums)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filesOf(filepath.Dir(sums))
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(listed, []byte("\n")); lines != len(files)-1 {
		t.Errorf("SHA256SUMS: got %d lines, want one for each of %d files", lines, len(files)-1)
	}
	version, _ := identity(t)
	address := regexp.MustCompile(`https://[^"\s]+/([^/"\s]+\.(?:zip|tar\.gz))"?\s+(?:sha256|InstallerSha256:) "?([0-9a-f]{64})`)
	for pattern, archives := range map[string]int{"homebrew/bitgpu.rb": 4, "winget/*/*.installer.yaml": 2} {
		text, err := os.ReadFile(made(t, pattern))
		if err != nil {
			t.Fatal(err)
		}
		found := address.FindAllSubmatch(text, -1)
		if len(found) != archives || !bytes.Contains(text, []byte(version)) {
			t.Errorf("%s: got %d archives, want %d of release %s", pattern, len(found), archives, version)
		}
		for _, f := range found {
			if !bytes.Contains(listed, []byte(string(f[2])+"  "+string(f[1])+"\n")) {
				t.Errorf("%s: SHA256SUMS does not have %s as %s", pattern, f[1], f[2])
			}
		}
	}
	var bom struct {
		BOMFormat  string
		Components []struct{ Name, Version string }
	}
	text, err := os.ReadFile(made(t, "*.cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &bom); err != nil || bom.BOMFormat != "CycloneDX" {
		t.Fatalf("the list of contents: got form %q, %v", bom.BOMFormat, err)
	}
	for _, module := range []string{"github.com/rajveermalviya/go-webgpu/wgpu", "github.com/urfave/cli/v2", "std"} {
		if !slices.ContainsFunc(bom.Components, func(c struct{ Name, Version string }) bool { return c.Name == module && c.Version != "" }) {
			t.Errorf("the list of contents: got no %s with a version, want it", module)
		}
	}
}

const (
	prompt = "ROMEO:"
	seed   = "3"
	text   = "\nWell, what hast thou in that gracious lady?\n\nBAP" // of the demo, on every engine
)

// writes checks that a program says where it is from and writes the demo's text. The words before it start it.
func writes(t *testing.T, platform string, command ...string) {
	t.Helper()
	version, commit := identity(t)
	if said := says(t, append(command, "version")...); !strings.HasPrefix(said, "bitgpu "+version+" (commit "+commit[:12]+"), go") || !strings.Contains(said, platform) {
		t.Errorf("got %q, want release %s of commit %.12s for %s", said, version, commit, platform)
	}
	run := exec.Command(command[0], append(command[1:], "run", "--backend", "cpu", "-p", prompt, "-n", "20", "--seed", seed)...)
	run.Stderr = os.Stderr
	if out, err := run.Output(); err != nil || strings.TrimSpace(string(out)) != strings.TrimSpace(text) {
		t.Errorf("%s: got %q, %v, want %q", platform, out, err, text)
	}
}

// The archives have what they name, and their programs run where a processor or an emulator for them is at hand.
func TestInstalledArchives(t *testing.T) {
	for label, start := range map[string][]string{"linux-amd64": {}, "linux-amd64-cpu": {}, "linux-arm64-cpu": {"qemu-aarch64-static"},
		"darwin-amd64-cpu": nil, "darwin-arm64-cpu": nil, "windows-amd64": nil, "windows-arm64-cpu": nil} {
		t.Run(label, func(t *testing.T) {
			path := made(t, "bitgpu-*-"+label+".*")
			files := unpacked(t, path)
			program := files["bitgpu"]
			wants := []string{"VERSION.txt", "LICENSE", "LICENSES.txt", "README.md", "CHANGELOG.md", "completion/bitgpu.bash", "man/bitgpu.1", "man/bitgpu-run.1"}
			if strings.HasPrefix(label, "windows") {
				program, wants = files["bitgpu.exe"], append(wants[:5], "completion/bitgpu.ps1")
			}
			for _, name := range wants {
				if len(files[name]) == 0 {
					t.Errorf("%s is missing", name)
				}
			}
			if !bytes.Contains(files["LICENSES.txt"], []byte("github.com/urfave/cli/v2")) {
				t.Error("LICENSES.txt does not name the modules")
			}
			switch {
			case start != nil:
				dir := t.TempDir()
				file := filepath.Join(dir, "bitgpu")
				if err := os.WriteFile(file, program, 0o755); err != nil {
					t.Fatal(err)
				}
				computes := "CPU only"
				if !strings.HasSuffix(label, "-cpu") {
					computes = "CPU and GPU (Vulkan)"
				}
				writes(t, "linux/"+strings.Split(label, "-")[1]+", "+computes, append(start, file)...)
				if page, _ := filepath.Glob(filepath.Join(os.Getenv("BITGPU_DIST"), "bitgpu-*-web.tar.gz")); len(page) > 0 {
					says(t, append(start, file, "web", "-o", filepath.Join(dir, "page"))...) // where the page is handed out, programs hold it
				}
			case strings.HasPrefix(label, "darwin"):
				f, err := macho.NewFile(bytes.NewReader(program))
				want := map[string]macho.Cpu{"darwin-amd64-cpu": macho.CpuAmd64, "darwin-arm64-cpu": macho.CpuArm64}[label]
				if err != nil || f.Cpu != want {
					t.Errorf("got %v, %v, want a program for %v", f, err, want)
				}
			default:
				f, err := pe.NewFile(bytes.NewReader(program))
				want := map[string]uint16{"windows-amd64": pe.IMAGE_FILE_MACHINE_AMD64, "windows-arm64-cpu": pe.IMAGE_FILE_MACHINE_ARM64}[label]
				if err != nil || f.Machine != want {
					t.Errorf("got %v, %v, want a program for machine %#x", f, err, want)
				}
			}
		})
	}
}

// What a container holds runs as its root, and the file that makes it adds what is there.
func TestInstalledContainer(t *testing.T) {
	file, err := os.ReadFile(made(t, "container/Containerfile"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(file, []byte("\nADD root-${TARGETARCH}.tar.gz /\n")) || bytes.Contains(file, []byte("COPY")) {
		t.Errorf("got\n%s\nwant the root added, and nothing copied", file)
	}
	root := t.TempDir()
	says(t, "tar", "-xzf", made(t, "container/root-amd64.tar.gz"), "-C", root)
	writes(t, "linux/amd64, CPU only", "chroot", "--userspec=65532:65532", root, "/bitgpu")
	if owner := strings.TrimSpace(says(t, "stat", "-c", "%u:%g", filepath.Join(root, "memories"))); owner != "65532:65532" {
		t.Errorf("the memories are %s's, want the container's user 65532", owner)
	}
	made(t, "container/root-arm64.tar.gz")
}

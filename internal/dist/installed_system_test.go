//go:build dist

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The Debian packages are as Debian wants them, to the last hint of its checker.
func TestInstalledDebIsClean(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		out, err := exec.Command("lintian", "--allow-root", "--fail-on", "error,warning", made(t, "bitgpu_*_"+arch+".deb")).CombinedOutput()
		if found := regexp.MustCompile(`(?m)^[EW]: .*$`).FindAllString(string(out), -1); err != nil || len(found) > 0 {
			t.Errorf("%s: %v\n%s", arch, err, out)
		}
	}
}

// The package is installed into a Debian that has nothing but apt, and its program writes there, on the CPU and, with the
// drivers that the package recommends, on Mesa's software adapter.
func TestInstalledDeb(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("a clean system is made as root: run it as root")
	}
	deb := made(t, "bitgpu_*_amd64.deb")
	version, commit := identity(t)
	steps := []string{
		`! command -v go && ! command -v cc && ! command -v gcc`,
		`apt-get install -q -y --no-install-recommends /tmp/` + filepath.Base(deb),
		`bitgpu version | grep -F 'bitgpu ` + version + ` (commit ` + commit[:12] + `)' | grep -F 'GPU (Vulkan)'`,
		`test "$(bitgpu run --backend cpu -p ROMEO: -n 20 --seed 3 2>/dev/null | head -2 | tail -1)" = 'Well, what hast thou in that gracious lady?'`,
		`bitgpu run --backend gpu -p ROMEO: 2>&1 | grep -F libvulkan1`, // what to install is said
		`bash -c '. /usr/share/bash-completion/completions/bitgpu; complete -p bitgpu'`,
		`zcat /usr/share/man/man1/bitgpu-train.1.gz | grep -qF 'output\-dir'`,
		`test -s /usr/share/zsh/vendor-completions/_bitgpu -a -s /usr/share/fish/vendor_completions.d/bitgpu.fish`,
		`zcat /usr/share/doc/bitgpu/THIRD-PARTY.txt.gz | grep -qF 'github.com/urfave/cli/v2'`,
		`apt-get install -q -y --no-install-recommends systemd libvulkan1 mesa-vulkan-drivers`,
		`out=$(systemd-analyze verify bitgpu.service 2>&1) && test -z "$out" || { echo "$out"; exit 1; }`,
		`test "$(bitgpu run --backend gpu --adapter software -p ROMEO: -n 20 --seed 3 2>/dev/null | head -2 | tail -1)" = 'Well, what hast thou in that gracious lady?'`,
		`apt-get remove -q -y bitgpu && ! command -v bitgpu && ! test -e /lib/systemd/system/bitgpu.service`,
	}
	args := []string{"--variant=minbase", "--format=null", "--customize-hook=copy-in " + deb + " /tmp"}
	for _, step := range steps {
		args = append(args, `--customize-hook=chroot "$1" sh -ec '`+strings.ReplaceAll(step, `'`, `'\''`)+`' || { echo FAILED; exit 1; }`)
	}
	out, err := exec.Command("mmdebstrap", append(args, "bookworm")...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// readmeExample is the README's program in Python.
func readmeExample(t *testing.T) string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?ms)^```python\n(.*?)^```$").FindSubmatch(readme)
	if found == nil {
		t.Fatal("README.md: got no example in Python, want one")
	}
	return string(found[1])
}

// The wheel is installed into a clean environment, with no compiler and no Go on its path, and the README's example runs.
func TestInstalledWheel(t *testing.T) {
	dir := t.TempDir()
	says(t, "python3", "-m", "venv", filepath.Join(dir, "venv"))
	bin := filepath.Join(dir, "venv", "bin")
	says(t, filepath.Join(bin, "pip"), "install", "-q", "--no-index", made(t, "bitgpu-*-manylinux_*_x86_64.whl"))
	model, err := os.ReadFile("../../demo/demo.bitt")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "model.bitt"), model, 0o644); err != nil {
		t.Fatal(err)
	}
	python := func(args ...string) string {
		run := exec.Command(filepath.Join(bin, "python"), args...)
		run.Dir, run.Env = dir, []string{"PATH=" + bin, "HOME=" + dir}
		out, err := run.CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	version, commit := identity(t)
	said := python("-m", "bitgpu", "version")
	if !strings.Contains(said, "bitgpu "+version) || !strings.Contains(said, commit[:12]) || !strings.Contains(said, "GPU (Vulkan)") || !strings.Contains(said, "site-packages") {
		t.Errorf("got %q, want release %s of commit %.12s, from where it was installed", said, version, commit)
	}
	if wrote := python("-c", readmeExample(t)); strings.TrimSpace(wrote) == "" {
		t.Error("the README's example wrote nothing")
	}
	if wrote := python("-m", "bitgpu", "run", "--device", "cpu", "-p", prompt, "-n", "20", "--seed", seed); strings.TrimSpace(wrote) != strings.TrimSpace(text) {
		t.Errorf("got %q, want %q", wrote, text)
	}
	// A program of others says on which systems it will run.
	says(t, filepath.Join(bin, "pip"), "install", "-q", "auditwheel==6.8.2")
	wheel := made(t, "bitgpu-*-manylinux_*_x86_64.whl")
	tag := regexp.MustCompile(`manylinux_\d+_\d+_x86_64`).FindString(filepath.Base(wheel))
	if said := says(t, filepath.Join(bin, "auditwheel"), "show", wheel); !strings.Contains(said, tag) {
		t.Errorf("auditwheel: got\n%s\nwant %s", said, tag)
	}
}

// The wheel for arm64 runs in a Debian for arm64, whose programs are emulated.
func TestInstalledWheelARM64(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	says(t, "mmdebstrap", "--architectures=arm64", "--variant=extract", "--include=python3,libc6,zlib1g,libexpat1", "bookworm", root)
	site := filepath.Join(root, "site")
	says(t, "python3", "-m", "zipfile", "-e", made(t, "bitgpu-*-manylinux_*_aarch64.whl"), site)
	python, err := filepath.Glob(filepath.Join(root, "usr/bin/python3.[0-9]*"))
	if err != nil || len(python) == 0 {
		t.Fatalf("got no Python in %s", root)
	}
	run := func(args ...string) string {
		command := exec.Command("qemu-aarch64-static", append([]string{"-L", root, python[0]}, args...)...)
		command.Env = append(os.Environ(), "PYTHONPATH="+site, "PYTHONHOME="+filepath.Join(root, "usr"))
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if said := run("-m", "bitgpu", "version"); !strings.Contains(said, "linux/arm64, CPU only") {
		t.Errorf("got %q, want linux/arm64, CPU only", said)
	}
	if wrote := run("-m", "bitgpu", "run", "-p", prompt, "-n", "20", "--seed", seed); !strings.Contains(wrote, strings.TrimSpace(text)) {
		t.Errorf("got %q, want %q", wrote, text)
	}
}

// Two builds of one commit, in folders of their own, the second without anything of the first, are equal bit for bit.
func TestReproducible(t *testing.T) {
	var builds []map[string]string
	for i, name := range []string{"one", "another folder"} {
		dir := filepath.Join(t.TempDir(), name)
		says(t, "git", "clone", "-q", "../..", dir)
		build := exec.Command("go", "run", "./internal/dist", "-o", "out")
		build.Dir, build.Stdout, build.Stderr = dir, os.Stdout, os.Stderr
		if i > 0 {
			build.Env = append(os.Environ(), "GOCACHE="+filepath.Join(t.TempDir(), "cache"))
		}
		if err := build.Run(); err != nil {
			t.Fatal(err)
		}
		files, err := filesOf(filepath.Join(dir, "out"))
		if err != nil {
			t.Fatal(err)
		}
		sums := map[string]string{}
		for _, f := range files {
			sums[f.name] = sum(f.data)
		}
		builds = append(builds, sums)
	}
	if len(builds[0]) < 15 || len(builds[0]) != len(builds[1]) {
		t.Errorf("got %d and %d files, want as many", len(builds[0]), len(builds[1]))
	}
	for name, sum := range builds[0] {
		if builds[1][name] != sum {
			t.Errorf("%s differs", name)
		}
	}
}

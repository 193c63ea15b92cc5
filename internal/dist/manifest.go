package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

const cyclonedx = "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0"

// sbom lists every module in the program with GPU support, which has most of them, in CycloneDX's format.
func (r *release) sbom() error {
	program, err := r.bitgpu(targets[0])
	if err != nil {
		return err
	}
	name := "bitgpu-" + r.version + ".cdx.json"
	path := filepath.Join(r.work, name)
	tool := filepath.Join(r.work, "tool")
	if err := run([]string{"GOBIN=" + tool, "GOFLAGS="}, "go", "install", "-trimpath", cyclonedx); err != nil { // the list has the tool's sum
		return err
	}
	if err := run(nil, filepath.Join(tool, "cyclonedx-gomod"), "bin", "-json", "-licenses", "-std", "-noserial", "-notimestamp", "-version", "v"+r.version, "-output", path, program); err != nil {
		return err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return r.write(name, data)
}

// webPage packs the page for browsers, if it has been made.
func (r *release) webPage() error {
	if r.web == "" {
		return nil
	}
	files, err := filesOf(r.web)
	if err != nil {
		return err
	}
	folder := "bitgpu-" + r.version + "-web"
	for i := range files {
		files[i].name = folder + "/" + files[i].name
	}
	data, err := tarball(files, r.at)
	if err != nil {
		return err
	}
	return r.write(folder+".tar.gz", data)
}

// sums writes the checksums of all files in sha256sum's format.
func (r *release) sums() error {
	files, err := filesOf(r.out)
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, f := range files {
		fmt.Fprintf(&text, "%s  %s\n", sum(f.data), f.name)
	}
	return r.write("SHA256SUMS", []byte(text.String()))
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// containerUser owns the memories in a container, as packaging/container/Containerfile says.
const containerUser = 65532

// container makes a folder in which a container can be built without Go: the files of the root, and this repository's
// Containerfile with built programs instead of build steps.
func (r *release) container() error {
	for _, t := range targets[1:3] {
		path, err := r.bitgpu(t)
		if err != nil {
			return err
		}
		program, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		licences, err := r.said("licenses")
		if err != nil {
			return err
		}
		data, err := tarball([]file{{name: "bitgpu", data: program, exec: true}, {name: "LICENSES.txt", data: licences}, {name: "memories/", owner: containerUser}}, r.at)
		if err != nil {
			return err
		}
		if err := r.write("container/root-"+t.arch+".tar.gz", data); err != nil {
			return err
		}
	}
	source, err := os.ReadFile("packaging/container/Containerfile")
	if err != nil {
		return err
	}
	text, err := releasedContainer(string(source), r.version)
	if err != nil {
		return err
	}
	return r.write("container/Containerfile", []byte(text))
}

// releasedContainer changes the Containerfile that builds into one that copies what has been built.
func releasedContainer(source, version string) (string, error) {
	const from, user = "\nFROM scratch\n", "\nUSER "
	_, rest, found := strings.Cut(source, from)
	_, rest, copies := strings.Cut(rest, user)
	if !found || !copies {
		return "", fmt.Errorf("packaging/container/Containerfile: got no FROM scratch with a USER, want both")
	}
	return "# bitgpu serve " + version + " in a container that holds nothing else, for amd64 and arm64. In this folder:\n#\n" +
		"#   podman build -t bitgpu .\n#\n# or with docker; it is run as packaging/container/Containerfile in the source says.\n" +
		from + "ARG TARGETARCH=amd64\nADD root-${TARGETARCH}.tar.gz /" + user + rest, nil
}

func (r *release) homebrew() error { return r.manifest("homebrew/bitgpu.rb", "bitgpu.rb.tmpl") }

// winget writes the three files that its repository requires, in the required folders.
func (r *release) winget() error {
	for _, part := range []string{"", ".installer", ".locale.en-US"} {
		name := "winget/" + r.version + "/bitgpu.bitgpu" + part + ".yaml"
		if err := r.manifest(name, "winget"+part+".yaml.tmpl"); err != nil {
			return err
		}
	}
	return nil
}

// manifest fills in a template of packaging/release, which uses {{.Archive "linux" "arm64" false}}, and {{.URL}} and {{.Sum}}
// of an archive in the same way.
func (r *release) manifest(name, from string) error {
	t, err := template.ParseFiles(filepath.Join("packaging", "release", from))
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := t.Execute(&text, manifest{r}); err != nil {
		return err
	}
	return r.write(name, text.Bytes())
}

// manifest is the data of templates.
type manifest struct{ r *release }

func (m manifest) Version() string  { return m.r.version }
func (m manifest) Homepage() string { return m.r.homepage }
func (m manifest) Day() string      { return m.r.at.Format("2006-01-02") }

func (m manifest) target(system, arch string, gpu bool) (target, error) {
	for _, t := range targets {
		if t.system == system && t.arch == arch && (t.cc != "") == gpu {
			return t, nil
		}
	}
	return target{}, fmt.Errorf("no archive for %s/%s with GPU %v", system, arch, gpu)
}

func (m manifest) Folder(system, arch string, gpu bool) (string, error) {
	t, err := m.target(system, arch, gpu)
	return m.r.folder(t), err
}

func (m manifest) Archive(system, arch string, gpu bool) (string, error) {
	t, err := m.target(system, arch, gpu)
	return m.r.archive(t), err
}

func (m manifest) URL(system, arch string, gpu bool) (string, error) {
	name, err := m.Archive(system, arch, gpu)
	return m.r.url + "/" + name, err
}

func (m manifest) Sum(system, arch string, gpu bool) (string, error) {
	name, err := m.Archive(system, arch, gpu)
	if err != nil {
		return "", err
	}
	data, err := os.ReadFile(filepath.Join(m.r.out, name))
	return sum(data), err
}

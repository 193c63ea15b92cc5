package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestUTF8Text(t *testing.T) {
	for text, want := range map[string]string{"Jürgen": "Jürgen", "J\xfcrgen, Ü": "Jürgen, Ü", "": ""} {
		if got := utf8Text(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// Archives depend on their files and the commit's time alone.
func TestArchivesAreReproducible(t *testing.T) {
	files := []file{{name: "a/b", data: []byte("text"), exec: true}, {name: "memories/", owner: 65532}}
	at := time.Unix(1700000001, 0).UTC()
	for name, pack := range map[string]func([]file, time.Time) ([]byte, error){"tar": tarball, "zip": zipped} {
		first, err := pack(files, at)
		if err != nil {
			t.Fatal(err)
		}
		again, err := pack(files, at.Local())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, again) {
			t.Errorf("%s: two archives of the same files differ", name)
		}
	}
}

// The unit and the container file of a package are those of the source, with what the package changes.
func TestPackagedFiles(t *testing.T) {
	unit, err := os.ReadFile("../../packaging/systemd/bitgpu.service")
	if err != nil {
		t.Fatal(err)
	}
	packaged := string(packagedUnit(unit))
	if strings.Contains(packaged, "/usr/local") || !strings.Contains(packaged, "\nExecStart=/usr/bin/bitgpu serve ") || strings.Contains(packaged, "cp bitgpu.service") {
		t.Errorf("got\n%s", packaged)
	}
	source, err := os.ReadFile("../../packaging/container/Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	released, err := releasedContainer(string(source), "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(released, "go build") || !strings.Contains(released, "\nFROM scratch\nARG TARGETARCH=amd64\nADD root-${TARGETARCH}.tar.gz /\nUSER 65532:65532\n") ||
		!strings.Contains(released, "\nENTRYPOINT [\"/bitgpu\", \"serve\"") {
		t.Errorf("got\n%s", released)
	}
	if _, err := releasedContainer("FROM other", "1.2.3"); err == nil {
		t.Error("a file of another form is taken")
	}
}

// A wheel has every module that another one imports.
func TestWheelHasAllModules(t *testing.T) {
	sources, err := pythonSources("../../python/bitgpu")
	if err != nil {
		t.Fatal(err)
	}
	imports := 0
	for _, path := range sources {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, module := range regexp.MustCompile(`(?m)^\s*from \.(\w+) import`).FindAllStringSubmatch(string(text), -1) {
			imports++
			if want := filepath.Join("../../python/bitgpu", module[1]+".py"); !slices.Contains(sources, want) {
				t.Errorf("%s imports .%s, which the wheel lacks", path, module[1])
			}
		}
	}
	if imports < 5 {
		t.Errorf("got %d imports of modules beside each other, want those of the package", imports)
	}
}

// Each line of the README's table of platforms names a target of the Makefile, links to files that exist, and says what was not tried.
func TestPlatformsAreTriedAsTheReadmeSays(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	targets, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(readme), "| system | computes on | tried how |\n|---|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := strings.Split(table, "\n")
	if !found || len(rows) < 5 {
		t.Fatalf("README.md: got %d platforms, want a table of them", len(rows))
	}
	for _, row := range rows {
		named := regexp.MustCompile("`make ([a-z0-9-]+)`").FindAllStringSubmatch(row, -1)
		if len(named) == 0 || !strings.Contains(row, "not tried") {
			t.Errorf("%s: got no target, or nothing that was not tried; want both", row)
		}
		links := regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(row, -1)
		if len(links) == 0 {
			t.Errorf("%s: got no link, want one to what shows it", row)
		}
		for _, link := range links {
			if _, err := os.Stat(filepath.Join("../..", link[1])); err != nil {
				t.Errorf("%s: %v", row, err)
			}
		}
		for _, target := range named {
			if !strings.Contains(string(targets), "\n"+target[1]+":") {
				t.Errorf("make %s: the Makefile has no such target", target[1])
			}
		}
	}
}

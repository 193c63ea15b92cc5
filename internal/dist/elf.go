package main

import (
	"debug/elf"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// needs is what a Linux program requires of the system.
type needs struct {
	glibc     [2]int // the oldest version that will do
	libraries []string
}

// system lists the libraries of every system with glibc: those of PEP 600 and Debian's libc6 and libgcc-s1.
var system = []string{"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}

// needsOf reads a program's requirements, and refuses one that requires more than every system has.
func needsOf(path string) (n needs, err error) {
	f, err := elf.Open(path)
	if err != nil {
		return n, fmt.Errorf("%s: %w", path, err)
	}
	defer f.Close()
	if n.libraries, err = f.ImportedLibraries(); err != nil {
		return n, fmt.Errorf("%s: %w", path, err)
	}
	for _, name := range n.libraries {
		if !slices.Contains(system, name) {
			return n, fmt.Errorf("%s: wants %s, which not every system has", path, name)
		}
	}
	versions, err := f.DynamicVersionNeeds()
	if err != nil {
		return n, fmt.Errorf("%s: %w", path, err)
	}
	for _, library := range versions {
		for _, need := range library.Needs {
			version, ok := strings.CutPrefix(need.Dep, "GLIBC_")
			major, minor, _ := strings.Cut(version, ".")
			if !ok {
				continue
			}
			minor, _, _ = strings.Cut(minor, ".")
			a, errA := strconv.Atoi(major)
			b, errB := strconv.Atoi(minor)
			if errA != nil || errB != nil {
				return n, fmt.Errorf("%s: got the version %s of %s, want numbers", path, need.Dep, library.Name)
			}
			if found := [2]int{a, b}; slices.Compare(found[:], n.glibc[:]) > 0 {
				n.glibc = found
			}
		}
	}
	return n, nil
}

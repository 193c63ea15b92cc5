// Command neon writes the assembly of package simd for arm64: for the 128-bit registers that every such processor has,
// and the products of bytes once more for those with dot-product instructions.
//
// It is not needed to build the package: its output is committed, and a test keeps the two equal.
//
// # Why
//
// Why not the generator of amd64's? Avo knows that processor alone. This one has its shape: a kernel is described once,
// registers and arguments are found by name, tails come from one place.
//
// Why are instructions written as words? Go's assembler lacks most vector arithmetic of float32. What it has would be
// written another way than its neighbours, so that all of it is words, each with its text behind it; a test has a
// disassembler compare the two.
package main

import (
	"log"
	"os"
)

// sources are the generated files, name_arm64.s and name_arm64.go.
var sources = []struct {
	name string
	emit func(*gen)
}{
	{"kernels_vector", vectorKernels},
	{"kernels_activation", activationKernels},
	{"kernels_gemm", gemmKernels},
	{"kernels_matvec", matvecKernels},
	{"kernels_ternary", ternaryKernels},
	{"kernels_group", groupKernels},
	{"kernels_codes", codesKernels},
	{"kernels_lookup", lookupKernels},
	{"kernels_half", halfKernels},
	{"kernels_cache", cacheKernels},
	{"kernels_measure", measureKernels},
}

func main() {
	for name, text := range generate() {
		if err := os.WriteFile(name, text, 0o644); err != nil {
			log.Fatalln("neon:", err)
		}
	}
}

// generate returns the text of all files by name.
func generate() map[string][]byte {
	files := make(map[string][]byte)
	for _, s := range sources {
		g := &gen{}
		s.emit(g)
		files[s.name+"_arm64.s"] = g.assembly()
		files[s.name+"_arm64.go"] = g.declarations()
	}
	return files
}

// Command asm writes the assembly of package simd. Each kernel is described once
// and emitted for the 256-bit registers of AVX2 and the 512-bit ones of AVX-512.
//
// It is not needed to build the package: its output is committed, and a test keeps
// the two equal.
package main

import (
	"bytes"
	"fmt"
	"log"
	"os"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

// sources lists the generated files, name_amd64.s and name_amd64.go.
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
	{"kernels_dots", dotKernels},
	{"kernels_avxvnni", avxVNNIKernels},
	{"kernels_amx", amxKernels},
	{"kernels_half", halfKernels},
	{"kernels_quants", quantsKernels},
	{"kernels_cache", cacheKernels},
	{"kernels_measure", measureKernels},
}

func main() {
	files, err := generate()
	if err != nil {
		log.Fatalln("asm:", err)
	}
	for name, text := range files {
		if err := os.WriteFile(name, text, 0o644); err != nil {
			log.Fatalln("asm:", err)
		}
	}
}

// generate returns the text of all files by name.
func generate() (map[string][]byte, error) {
	files := make(map[string][]byte)
	for _, s := range sources {
		ctx := build.NewContext()
		ctx.ConstraintExpr("amd64")
		constants := make(map[string]operand.Mem)
		for _, avx512 := range []bool{false, true} {
			s.emit(&gen{Context: ctx, avx512: avx512, constants: constants})
		}
		file, err := ctx.Result()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		if err := pass.Compile.Execute(file); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		encodeAVXVNNI(file)
		cfg := printer.Config{Name: "nn/cpu/simd/asm", Pkg: "simd"}
		for ext, p := range map[string]printer.Printer{".s": printer.NewGoAsm(cfg), ".go": printer.NewStubs(cfg)} {
			text, err := p.Print(file)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
			files[s.name+"_amd64"+ext] = bytes.TrimRight(text, "\n")
			files[s.name+"_amd64"+ext] = append(files[s.name+"_amd64"+ext], '\n')
		}
	}
	return files, nil
}

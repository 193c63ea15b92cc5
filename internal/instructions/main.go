// Command instructions counts the instructions that the kernels of package simd execute on arm64, at each of its levels:
//
//	go run ./internal/instructions
//	go run ./internal/instructions "looked up"    # those with this in their names
//
// It builds itself for arm64 and runs that program under QEMU, which records each instruction in the kernels; the count is
// the difference between two calls and one. A count is not a time: it does not tell how many instructions a processor
// executes at once, or how long it waits for memory.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"bitgpu/nn/cpu/parallel"
	"bitgpu/nn/cpu/simd"
)

const emulator = "qemu-aarch64-static"

func main() {
	var err error
	if runtime.GOARCH == "arm64" && len(os.Args) == 4 {
		err = call(os.Args[1], os.Args[2], os.Args[3])
	} else {
		err = table(os.Stdout, strings.Join(os.Args[1:], " "))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "instructions:", err)
		os.Exit(1)
	}
}

// table counts all kernels whose names contain a text.
func table(out io.Writer, text string) error {
	dir, err := os.MkdirTemp("", "instructions")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "program")
	build := exec.Command("go", "build", "-o", program, "./internal/instructions")
	build.Env, build.Stderr = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0"), os.Stderr
	if err := build.Run(); err != nil {
		return err
	}
	ranges, err := kernels(program)
	if err != nil {
		return err
	}
	levels := []simd.Level{simd.Portable, simd.NEON, simd.DotProd}
	fmt.Fprint(out, "| instructions of a multiply-add or element |")
	for _, l := range levels {
		fmt.Fprintf(out, " %v |", l)
	}
	fmt.Fprintf(out, " portable ÷ best |\n|---|%s---|\n", strings.Repeat("---|", len(levels)))
	for _, w := range works {
		if !strings.Contains(w.name, text) {
			continue
		}
		fmt.Fprintf(out, "| %s |", w.name)
		var each []float64
		for _, l := range levels {
			if l == simd.DotProd && !w.bytes {
				fmt.Fprint(out, " |") // the same as for NEON
				continue
			}
			once, err := count(program, ranges, w.name, l, 1)
			if err != nil {
				return err
			}
			twice, err := count(program, ranges, w.name, l, 2)
			if err != nil {
				return err
			}
			each = append(each, float64(twice-once)/float64(w.elements))
			fmt.Fprintf(out, " %.3f |", each[len(each)-1])
		}
		fmt.Fprintf(out, " %.1f |\n", each[0]/each[len(each)-1])
	}
	return nil
}

// kernels returns the addresses of the functions of packages simd and math in a program, in QEMU's form.
func kernels(program string) (string, error) {
	symbols, err := exec.Command("go", "tool", "nm", "-size", program).Output()
	if err != nil {
		return "", err
	}
	var ranges []string
	for line := range strings.Lines(string(symbols)) {
		f := strings.Fields(line)
		if len(f) == 4 && strings.EqualFold(f[2], "t") && (strings.Contains(f[3], "/nn/cpu/simd.") || strings.HasPrefix(f[3], "math.")) {
			size, err := strconv.Atoi(f[1])
			if err != nil {
				return "", err
			}
			ranges = append(ranges, fmt.Sprintf("0x%s+%#x", f[0], size))
		}
	}
	if len(ranges) == 0 {
		return "", fmt.Errorf("%s: no kernels found", program)
	}
	return strings.Join(ranges, ","), nil
}

// count returns the number of instructions within ranges while the program calls a kernel `times` times.
func count(program, ranges, work string, level simd.Level, times int) (n int, err error) {
	run := exec.Command(emulator, "-cpu", "max", "-singlestep", "-d", "exec,nochain", "-dfilter", ranges, program, work, fmt.Sprint(int(level)), fmt.Sprint(times))
	pipe, err := run.StderrPipe()
	if err != nil {
		return 0, err
	}
	if err := run.Start(); err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(pipe)
	var said []byte
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "Trace ") {
			n++
		} else if len(said) < 1000 {
			said = append(append(said, lines.Bytes()...), '\n')
		}
	}
	if err := run.Wait(); err != nil {
		return 0, fmt.Errorf("%s: %w: %s", work, err, said)
	}
	return n, nil
}

// call performs a work `times` times.
func call(name, level, times string) error {
	l, err := strconv.Atoi(level)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(times)
	if err != nil {
		return err
	}
	if err := simd.Use(simd.Level(l)); err != nil {
		return err
	}
	parallel.SetWorkers(1)
	for _, w := range works {
		if w.name == name {
			f := w.prepare()
			for range n {
				f()
			}
			return nil
		}
	}
	return fmt.Errorf("work %q is not known", name)
}

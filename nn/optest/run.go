package optest

import (
	"fmt"
	"regexp"
	"slices"
	"testing"

	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
)

// Run checks what op.Tensors says about a backend's tensors, and compares every operation with the reference in float64.
func Run[T any](t *testing.T, ops op.Executor[T]) {
	t.Run("tensors", func(t *testing.T) { tensors(t, ops) })
	runCases(t, ops, func(string, string, int) bool { return true })
}

// RunWhere compares the operations of those cases with the reference that are wanted, by their file, their name and their place in
// the file: some drivers take half a second to compile a kernel, and what is checked otherwise need not be checked in every form.
func RunWhere[T any](t *testing.T, ops op.Executor[T], wanted func(file, name string, place int) bool) {
	runCases(t, ops, wanted)
}

// RunOnly compares the operations of some files of this package with the reference.
func RunOnly[T any](t *testing.T, ops op.Executor[T], files ...string) {
	for _, file := range files {
		if !slices.ContainsFunc(allCases[T](), func(c Case[T]) bool { return c.Op == file }) {
			t.Errorf("%s: no operation has a file of that name", file)
		}
	}
	runCases(t, ops, func(file, _ string, _ int) bool { return slices.Contains(files, file) })
}

// shortCases is roughly how many cases of a file a short test runs, spread over all of them: some drivers take a second to compile
// a kernel.
const shortCases = 8

func runCases[T any](t *testing.T, ops op.Executor[T], wanted func(file, name string, place int) bool) {
	reference, cases := allCases[*cpu.Tensor[float64]](), allCases[T]()
	of := map[string]int{} // cases of each file
	for _, c := range cases {
		of[c.Op]++
	}
	at := map[string]int{}
	for i, c := range cases {
		at[c.Op]++
		if c.Large || !wanted(c.Op, c.Name, at[c.Op]) || testing.Short() && at[c.Op]%max(of[c.Op]/shortCases, 1) != 0 {
			continue
		}
		t.Run(c.Op+"/"+c.Name, func(t *testing.T) {
			for _, o := range c.Needs {
				if !ops.Has(o) {
					t.Skipf("%s has no operation %s", ops.Name(), o.Name())
				}
			}
			b := newBench(ops, c.Op+"/"+c.Name)
			defer b.close()
			if c.Refuses {
				refuses(t, b, c)
				return
			}
			got, err := c.try(b)
			if err != nil {
				t.Fatal(err)
			}
			r := newBench(cpu.NewScalar[float64](), b.seed)
			want, err := reference[i].try(r)
			if err != nil {
				t.Fatalf("the reference fails: %v", err)
			}
			for name := range want {
				if err := c.Tolerance.compare(name, got[name], want[name]); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// try makes and runs the case's trial, checks what needs no reference, and returns the tensors to be
// compared with the reference.
func (c *Case[T]) try(b *Bench[T]) (map[string][]float32, error) {
	trial := c.Make(b)
	trial.Forward()
	if trial.Backward != nil {
		trial.Backward()
	}
	if b.err != nil {
		return nil, b.err
	}
	names := slices.Concat(trial.Outputs, trial.Also)
	for _, x := range slices.Concat(trial.Writes, trial.Adds, trial.AddsLog) {
		names = append(names, "d"+x)
	}
	if err := b.Ops.Flush(); err != nil {
		return nil, err
	}
	got := map[string][]float32{}
	for _, name := range names {
		v, err := b.read(name)
		if err != nil {
			return nil, err
		}
		got[name] = v
	}
	for name, want := range trial.Want {
		if err := c.Tolerance.compare(name, got[name], want); err != nil {
			return nil, fmt.Errorf("known value: %w", err)
		}
	}
	if trial.Check != nil {
		if err := trial.Check(func(name string) []float32 { return got[name] }); err != nil {
			return nil, err
		}
	}
	return got, nil
}

// shapes matches the two shapes, got and wanted, in a panic's message.
var shapes = regexp.MustCompile(`(\[[\d ]*\]).*(\[[\d ]*\])`)

// refuses runs a trial whose shapes do not fit together.
func refuses[T any](t *testing.T, b *Bench[T], c Case[T]) {
	trial := c.Make(b)
	defer func() {
		message := fmt.Sprint(recover())
		if both := shapes.FindStringSubmatch(message); both == nil || both[1] == both[2] {
			t.Errorf("got %q, want a panic that shows the shape found and the shape wanted", message)
		}
		if err := b.Ops.Flush(); err != nil {
			t.Errorf("what was refused was recorded all the same: %v", err)
		}
	}()
	trial.Forward()
}

// Benchmark times every large case of the table, forward and backward.
func Benchmark[T any](b *testing.B, ops op.Executor[T]) {
	for _, c := range Cases[T]() {
		if !c.Large {
			continue
		}
		bench := newBench(ops, c.Op+"/"+c.Name)
		trial := c.Make(bench)
		b.Run(c.Op+"/"+c.Name+"/forward", func(b *testing.B) {
			b.SetBytes(trial.Bytes)
			timed(b, ops, trial.Forward)
		})
		if trial.Backward != nil {
			b.Run(c.Op+"/"+c.Name+"/backward", func(b *testing.B) {
				trial.Forward()
				timed(b, ops, trial.Backward)
			})
		}
		bench.close()
	}
}

// timed runs f again and again, several times between two waits for the device.
func timed[T any](b *testing.B, ops op.Executor[T], f func()) {
	const together = 16
	wait := func() {
		if err := ops.Flush(); err != nil {
			b.Fatal(err)
		}
	}
	wait()
	i := 0
	for b.Loop() {
		f()
		if i++; i%together == 0 {
			wait()
		}
	}
	wait()
}

package optest

import (
	"math"
	"slices"
	"testing"

	"bitgpu/nn/op"
)

// tensors checks what op.Tensors says about tensors: contents, order, offsets, views.
func tensors[T any](t *testing.T, ops op.Executor[T]) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, ops *scope[T])
	}{
		{"new-is-zero", newIsZero[T]}, {"offsets", offsets[T]}, {"order", inOrder[T]}, {"rows", rowsAreViews[T]}, {"sets", sets[T]},
		{"slots", slots[T]}, {"load-copies", loadCopies[T]}, {"ternary", ternaryIsKept[T]}, {"halves", halves[T]},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &scope[T]{Executor: ops}
			c.test(t, s)
			check(t, s.Flush())
			s.release()
		})
	}
}

// wantFloats and wantTokens compare a tensor from an element on.
func wantFloats[T any](t *testing.T, ops op.Executor[T], x T, offset int, want ...float32) {
	t.Helper()
	got := make([]float32, len(want))
	check(t, ops.Download(x, offset, got))
	if !slices.Equal(got, want) {
		t.Errorf("from element %d: got %v, want %v", offset, got, want)
	}
}

func wantTokens[T any](t *testing.T, ops op.Executor[T], x T, offset int, want ...uint32) {
	t.Helper()
	got := make([]uint32, len(want))
	check(t, ops.DownloadTokens(x, offset, got))
	if !slices.Equal(got, want) {
		t.Errorf("from element %d: got %v, want %v", offset, got, want)
	}
}

// newIsZero: memory that was released and is used again is zero, too.
func newIsZero[T any](t *testing.T, ops *scope[T]) {
	for range 2 {
		x, ids := ops.Executor.New(op.F32, 3, 5), ops.Executor.New(op.U32, 15)
		wantFloats(t, ops, x, 0, make([]float32, 15)...)
		wantTokens(t, ops, ids, 0, make([]uint32, 15)...)
		ops.Write(x, 0, []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
		ops.WriteTokens(ids, 0, []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
		check(t, ops.Flush())
		ops.Release(x, ids)
	}
}

func offsets[T any](t *testing.T, ops *scope[T]) {
	x, y := ops.New(op.F32, 7), ops.New(op.F32, 2, 3)
	ops.Write(x, 0, []float32{1, 2, 3, 4, 5, 6, 7})
	ops.Write(x, 5, []float32{60})
	wantFloats(t, ops, x, 4, 5, 60, 7)
	ops.Copy(y, 1, x, 4, 3)
	wantFloats(t, ops, y, 0, 0, 5, 60, 7, 0, 0)
	ops.Zero(x)
	wantFloats(t, ops, x, 0, 0, 0, 0, 0, 0, 0, 0)
	wantFloats(t, ops, y, 2, 60, 7)

	ids, more := ops.New(op.U32, 6), ops.New(op.U32, 5)
	ops.WriteTokens(ids, 1, []uint32{1 << 31, 8, 9})
	ops.Copy(more, 3, ids, 1, 2)
	wantTokens(t, ops, more, 2, 0, 1<<31, 8)
	wantTokens(t, ops, ids, 3, 9, 0, 0)
	ops.Zero(more)
	wantTokens(t, ops, more, 0, 0, 0, 0, 0, 0)
}

// inOrder: a write after a recorded operation is seen by the next operation, not by that one, and the
// caller may change the slice afterwards.
func inOrder[T any](t *testing.T, ops *scope[T]) {
	x, first, second := ops.New(op.F32, 4), ops.New(op.F32, 4), ops.New(op.F32, 4)
	values := []float32{1, 2, 3, 4}
	ops.Write(x, 0, values)
	ops.Copy(first, 0, x, 0, 4)
	values[0] = 100
	ops.Write(x, 0, values[:2])
	ops.Copy(second, 0, x, 0, 4)
	ops.Submit()
	values[0] = 1000
	ops.Write(x, 3, values[:1])
	wantFloats(t, ops, first, 0, 1, 2, 3, 4)
	wantFloats(t, ops, second, 0, 100, 2, 3, 4)
	wantFloats(t, ops, x, 0, 100, 2, 3, 1000)
}

func rowsAreViews[T any](t *testing.T, ops *scope[T]) {
	x, ids := ops.New(op.F32, 3, 2), ops.New(op.U32, 4)
	ops.Write(ops.Rows(x, 2), 1, []float32{5, 6, 7})
	wantFloats(t, ops, x, 0, 0, 5, 6, 7, 0, 0)
	ops.Zero(ops.Rows(x, 1))
	wantFloats(t, ops, ops.Rows(x, 3), 0, 0, 0, 6, 7, 0, 0)
	ops.WriteTokens(ops.Rows(ids, 2), 0, []uint32{3, 4})
	wantTokens(t, ops, ids, 0, 3, 4, 0, 0)
}

// sets: the tensors of a set do not overlap, and are copied all at once.
func sets[T any](t *testing.T, ops *scope[T]) {
	set, other := ops.NewSet(3, op.F32, 1, 5), ops.NewSet(3, op.F32, 1, 5)
	for i, x := range set {
		wantFloats(t, ops, x, 0, 0, 0, 0, 0, 0)
		ops.Write(x, 0, []float32{float32(i), 2, 3, 4, 5})
	}
	ops.Zero(set[1])
	ops.Copy(other[0], 0, set[0], 1, 2)
	ops.Copy(set[2], 3, other[0], 0, 2)
	ops.CopySet(other, set, 5)
	ops.Zero(set[0])
	check(t, ops.Flush())
	wantFloats(t, ops, set[0], 0, 0, 0, 0, 0, 0)
	wantFloats(t, ops, other[0], 0, 0, 2, 3, 4, 5)
	wantFloats(t, ops, other[1], 0, 0, 0, 0, 0, 0)
	wantFloats(t, ops, other[2], 0, 2, 2, 3, 2, 3)
	ops.CopySet(nil, nil, 0)
}

// halves: numbers of float16 are rounded when they are written, and copied as they are.
func halves[T any](t *testing.T, ops *scope[T]) {
	x, set := ops.New(op.F16, 2, 6), ops.NewSet(2, op.F16, 2, 6)
	wantFloats(t, ops, x, 0, make([]float32, 12)...)
	ops.Write(x, 2, []float32{1, 1.0004883, 1.001, -70000, 6e-8, 3})
	want := []float32{1, 1, 1.0009766, float32(math.Inf(-1)), 5.9604645e-08, 3}
	wantFloats(t, ops, x, 2, want...)
	ops.Copy(set[1], 4, x, 2, 6)
	wantFloats(t, ops, set[1], 4, want...)
	ops.CopySet([]T{x}, set[1:], 12)
	wantFloats(t, ops, x, 2, append([]float32{0, 0}, want...)...)
	ops.Zero(ops.Rows(x, 1))
	wantFloats(t, ops, x, 0, 0, 0, 0, 0, 0, 0, 1.0009766)
	wantFloats(t, ops, set[0], 0, make([]float32, 12)...)
}

// slots: tokens are downloaded as they were when the download began, with two downloads of a tensor at a time.
func slots[T any](t *testing.T, ops *scope[T]) {
	one, other := ops.New(op.U32, 3), ops.New(op.U32, 2)
	begin := func(x T, slot int, values ...uint32) {
		ops.WriteTokens(x, 0, values)
		ops.StartDownload(x, slot)
	}
	finish := func(x T, slot int, want ...uint32) {
		t.Helper()
		got := make([]uint32, len(want))
		check(t, ops.FinishDownload(x, slot, got))
		if !slices.Equal(got, want) {
			t.Errorf("slot %d: got %v, want %v", slot, got, want)
		}
	}
	begin(one, 0, 1, 2, 3)
	begin(other, 0, 4, 5)
	begin(one, 1, 6, 7, 8)
	finish(one, 0, 1, 2, 3)
	begin(one, 0, 9, 10, 11)
	finish(one, 1, 6, 7, 8)
	ops.WriteTokens(one, 0, []uint32{0, 0, 0})
	finish(other, 0, 4, 5)
	finish(one, 0, 9, 10, 11)
}

func loadCopies[T any](t *testing.T, ops *scope[T]) {
	values := []float32{1, 2, 3, 4, 5, 6}
	x := ops.Load(op.HostTensor{Format: op.F32, Shape: []int{2, 3}, F32: values})
	check(t, ops.Flush())
	values[4] = 50
	wantFloats(t, ops, x, 0, 1, 2, 3, 4, 5, 6)
	ops.Write(x, 1, []float32{20})
	wantFloats(t, ops, x, 0, 1, 20, 3, 4, 5, 6)
	if values[1] != 2 {
		t.Error("a write changed what the tensor was loaded from")
	}
}

// ternaryIsKept: a packed matrix is downloaded as it was loaded, whatever its width.
func ternaryIsKept[T any](t *testing.T, ops *scope[T]) {
	for _, group := range []int{32, 96} {
		const cols = 288
		host := op.HostTensor{
			Format: op.Ternary, Shape: []int{5, cols}, Codes: make([]byte, 5*cols/4), Group: group, GroupScales: make([]uint16, 5*cols/group),
		}
		for i := range host.Codes {
			host.Codes[i] = 0b10010010
		}
		for i := range host.GroupScales {
			host.GroupScales[i] = uint16(0x3000 + i)
		}
		got, err := ops.DownloadTernary(ops.Load(host))
		check(t, err)
		if !slices.Equal(got.Codes, host.Codes) || !slices.Equal(got.GroupScales, host.GroupScales) || got.Group != group {
			t.Errorf("groups of %d: loaded %v, read %v", group, host, got)
		}
	}
	for _, cols := range []int{1, 9, 36, 300} {
		w := make([]float32, 6*cols)
		for i := range w {
			w[i] = float32((i*i+i/7)%3-1) * float32(1+i*2/len(w))
		}
		host := op.PackTernary(op.HostTensor{Shape: []int{6, cols}, F32: w}, 2, true)
		got, err := ops.DownloadTernary(ops.Load(host))
		check(t, err)
		if !slices.Equal(got.Codes, host.Codes) || !slices.Equal(got.Scales, host.Scales) || !slices.Equal(got.Shape, host.Shape) ||
			got.Format != op.Ternary || got.Absmean != host.Absmean {
			t.Errorf("%d columns: loaded %v, read %v", cols, host, got)
		}
	}
}

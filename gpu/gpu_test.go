package gpu_test

import (
	"errors"
	"strings"
	"testing"

	"bitgpu/gpu"
	"bitgpu/gpu/gputest"
	"bitgpu/wgsl"
)

func copyKernel(d *gpu.Device, dst, src *gpu.Buffer) {
	n := src.Size() / 16
	x, y := gpu.Grid((n + 255) / 256)
	d.Dispatch(d.Pipeline(wgsl.Copy, nil), gpu.Params(&wgsl.CopyParams{N: uint32(n)}), []gpu.Binding{src.All(), dst.All()}, x, y, 1)
}

func counting(n int) []uint32 {
	s := make([]uint32, n)
	for i := range s {
		s[i] = uint32(i)*2654435761 + 1
	}
	return s
}

func TestCopyKernel(t *testing.T) {
	d := gputest.Device(t)
	for _, n := range []int{4, 1024, 1028, 300_000} {
		want := counting(n)
		src, dst := d.NewBuffer("src", 4*n), d.NewBuffer("dst", 4*n)
		d.Write(src, 0, gpu.Bytes(want))
		copyKernel(d, dst, src)
		got, err := d.Download(dst, 0, 4*n)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(gpu.Bytes(want)) {
			t.Errorf("%d values: the copy differs", n)
		}
		src.Release()
		dst.Release()
	}
}

func TestFMAKernel(t *testing.T) {
	d := gputest.Device(t)
	const n = 64
	sums := d.NewBuffer("sums", 4*n)
	defer sums.Release()
	p := d.Pipeline(wgsl.FMA, wgsl.Consts{"WORKGROUP": n})
	d.Dispatch(p, gpu.Params(&wgsl.FMAParams{Iterations: 3, Scale: 2, Shift: 1}), []gpu.Binding{sums.All()}, 1, 1, 1)
	got := make([]float32, n)
	if err := d.DownloadLater(sums, 0, 4*n).Wait(gpu.Bytes(got)); err != nil {
		t.Fatal(err)
	}
	for lane, g := range got {
		var want float32
		for i := range wgsl.FMAPerIteration {
			x := float32(lane + i)
			for range 3 {
				x = x*2 + 1
			}
			want += x
		}
		if g != want {
			t.Fatalf("thread %d: got %g, want %g", lane, g, want)
		}
	}
}

func TestErrors(t *testing.T) {
	d := gputest.Device(t)
	small := d.NewBuffer("small", 64)
	defer small.Release()
	bad := &wgsl.Kernel{Name: "bad", File: "bad.wgsl", Text: "\n@compute @workgroup_size(1)\nfn bad() {\n  let x = nothing;\n}\n"}
	mistyped := &wgsl.Kernel{Name: "mistyped", File: "mistyped.wgsl",
		Text: "@compute @workgroup_size(1)\nfn mistyped() {\n  let x: u32 = 1.5;\n}\n"}
	misbound := &wgsl.Kernel{Name: "misbound", File: "misbound.wgsl", Bindings: []wgsl.Binding{{Name: "x", Access: wgsl.Read}},
		Text: "@group(0) @binding(0) var<storage, read_write> x: array<u32>;\n@compute @workgroup_size(1)\nfn misbound() { x[0] = 1u; }\n"}
	for name, c := range map[string]struct {
		do   func()
		want []string
	}{
		"shader":       {func() { d.Pipeline(bad, nil) }, []string{"kernel bad", "bad.wgsl:4:11", "nothing"}},
		"shader type":  {func() { d.Pipeline(mistyped, nil) }, []string{"kernel mistyped", "mistyped.wgsl:3:"}},
		"layout":       {func() { d.Pipeline(misbound, nil) }, []string{"kernel misbound"}},
		"constant":     {func() { d.Pipeline(wgsl.Copy, wgsl.Consts{"TILE": 1}) }, []string{"kernel copy", "TILE", "WORKGROUP"}},
		"workgroup":    {func() { d.Pipeline(wgsl.Copy, wgsl.Consts{"WORKGROUP": 1 << 20}) }, []string{"kernel copy"}},
		"large buffer": {func() { d.NewBuffer("huge", 1<<60) }, []string{"huge", "1152921504606846976"}},
		"empty buffer": {func() { d.NewBuffer("none", 0) }, []string{"none", "got 0"}},
		"write":        {func() { d.Write(small, 60, make([]byte, 8)) }, []string{"small", "60 to 68", "64"}},
		"unaligned":    {func() { d.Write(small, 2, make([]byte, 4)) }, []string{"small", "multiples of 4"}},
		"read":         {func() { d.DownloadLater(small, 0, 68).Discard() }, []string{"small", "64"}},
		"self copy":    {func() { d.Copy(small, 0, small, 32, 32) }, []string{"small"}},
		"clear":        {func() { d.Clear(small, 64, 4) }, []string{"small", "64"}},
		"grid": {func() {
			d.Dispatch(d.Pipeline(wgsl.FMA, nil), gpu.Params(&wgsl.FMAParams{}), []gpu.Binding{small.All()}, 65536, 1, 1)
		}, []string{"fma", "65536", "65535"}},
		"binding offset": {func() {
			d.Dispatch(d.Pipeline(wgsl.FMA, nil), gpu.Params(&wgsl.FMAParams{}), []gpu.Binding{small.Range(4, 32)}, 1, 1, 1)
		}, []string{"fma", "sums", "offset 4"}},
		"conflict": {func() { copyKernel(d, small, small) }, []string{"copy", "small", "src", "dst"}},
		"released": {func() {
			b := d.NewBuffer("gone", 64)
			b.Release()
			d.Write(b, 0, make([]byte, 4))
		}, []string{"gone", "release"}},
	} {
		c.do()
		err := d.Flush()
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in: %v", name, want, err)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: more than one line: %v", name, err)
		}
		if err := d.Flush(); err != nil {
			t.Errorf("%s: an error stays after Flush: %v", name, err)
		}
		t.Logf("%s: %v", name, err)
	}
	d.Write(small, 0, gpu.Bytes([]uint32{7}))
	if got, err := d.Download(small, 0, 4); err != nil || got[0] != 7 {
		t.Errorf("after all these errors the device reads %v, %v", got, err)
	}
}

func TestFirstErrorIsKept(t *testing.T) {
	d := gputest.Device(t)
	b := d.NewBuffer("first", -1)
	d.NewBuffer("second", -1)
	d.Write(b, 0, make([]byte, 4))
	if err := d.Flush(); err == nil || !strings.Contains(err.Error(), "first") {
		t.Errorf("got %v, want the first error", err)
	}
}

func TestRepeatedDispatchCreatesNothing(t *testing.T) {
	d := gputest.Device(t)
	a, b := d.NewBuffer("a", 1<<12), d.NewBuffer("b", 1<<12)
	defer a.Release()
	defer b.Release()
	token := func() {
		copyKernel(d, b, a)
		copyKernel(d, a, b)
		d.Copy(a, 0, b, 0, 16)
		if _, err := d.Download(a, 0, 4); err != nil {
			t.Fatal(err)
		}
	}
	token()
	before := d.Stats()
	bytes := d.BytesInUse()
	for range 500 {
		token()
	}
	after := d.Stats()
	if after.Dispatches-before.Dispatches != 1000 {
		t.Errorf("got %d dispatches, want 1000", after.Dispatches-before.Dispatches)
	}
	after.Dispatches, after.Submits = before.Dispatches, before.Submits
	if after != before || d.BytesInUse() != bytes {
		t.Errorf("repeating dispatches created something: %+v, then %+v; %d bytes, then %d", before, after, bytes, d.BytesInUse())
	}
}

func TestSelection(t *testing.T) {
	gputest.Device(t)
	_, err := gpu.Open(gpu.Options{Adapter: "no such card"})
	if !errors.Is(err, gpu.ErrNoSuchAdapter) || !strings.Contains(err.Error(), gpu.Adapters()[0].Name) {
		t.Errorf("got %v, want ErrNoSuchAdapter with the names found", err)
	}
	if !gpu.HasHardware() {
		if _, err := gpu.Open(gpu.Options{}); !errors.Is(err, gpu.ErrNoAdapter) {
			t.Errorf("got %v without hardware, want ErrNoAdapter", err)
		}
	}
}

// Two bindings that write must not see one byte, in a buffer or in parts of one; side by side they may lie in it.
func TestOverlappingWritesAreRefused(t *testing.T) {
	d := gputest.Device(t)
	p := d.Pipeline(&wgsl.Kernel{
		Name: "both", File: "both.wgsl", Bindings: []wgsl.Binding{{Name: "left", Access: wgsl.ReadWrite}, {Name: "right", Access: wgsl.ReadWrite}},
		Text: "@group(0) @binding(0) var<storage, read_write> left: array<u32>;\n" +
			"@group(0) @binding(1) var<storage, read_write> right: array<u32>;\n" +
			"@compute @workgroup_size(1) fn both() { left[0] = 1u; right[0] = 2u; }\n",
	}, nil)
	b, parts := d.NewBuffer("b", 1024), d.NewParts("parts", 2, 64)
	defer b.Release()
	defer parts[0].Release()
	defer parts[1].Release()
	whole, _ := parts[0].Whole()
	for _, c := range []struct {
		left, right gpu.Binding
		legal       bool
	}{
		{b.Range(0, 256), b.Range(256, 256), true},
		{b.Range(256, 256), b.Range(0, 256), true},
		{parts[0].All(), parts[1].All(), true},
		{b.All(), b.All(), false},
		{b.Range(0, 260), b.Range(256, 256), false},
		{b.Range(256, 4), b.All(), false},
		{whole.All(), parts[1].All(), false},
	} {
		d.Dispatch(p, nil, []gpu.Binding{c.left, c.right}, 1, 1, 1)
		err := d.Flush()
		if (err == nil) != c.legal || err != nil && !strings.Contains(err.Error(), "left and right, which it writes, overlap") {
			t.Errorf("bytes from %d, %d long, and from %d, %d long: got legal %v, want %v",
				c.left.Offset, c.left.Size, c.right.Offset, c.right.Size, err, c.legal)
		}
	}
}

package gpu_test

import (
	"runtime"
	"testing"
	"time"

	"bitgpu/gpu"
	"bitgpu/gpu/gputest"
	"bitgpu/wgsl"
)

func TestMemoryIsCounted(t *testing.T) {
	d := gputest.Device(t)
	before := d.BytesInUse()
	a, b := d.NewBuffer("a", 1000), d.NewBuffer("b", 3<<20)
	odd := d.NewBuffer("odd", 5)
	if got := d.BytesInUse() - before; got != 1000+(3<<20)+8 {
		t.Errorf("got %d bytes, want %d", got, 1000+(3<<20)+8)
	}
	if d.PeakBytes() < d.BytesInUse() {
		t.Errorf("the peak of %d bytes is below the %d in use", d.PeakBytes(), d.BytesInUse())
	}
	for _, buffer := range []*gpu.Buffer{a, b, b, odd} {
		buffer.Release()
	}
	if got := d.BytesInUse(); got != before {
		t.Errorf("got %d bytes after the releases, want %d", got, before)
	}
}

// Everything happens in the order of the calls, whichever of them the queue would let overtake others.
func TestOrder(t *testing.T) {
	d := gputest.Device(t)
	a, b := d.NewBuffer("a", 16), d.NewBuffer("b", 16)
	defer a.Release()
	defer b.Release()
	var later []*gpu.Readback
	for i := range 5 {
		d.Write(a, 0, gpu.Bytes([]uint32{uint32(i), 0, 0, 0}))
		copyKernel(d, b, a)
		later = append(later, d.DownloadLater(b, 0, 4))
	}
	d.Clear(b, 0, 16)
	// Waiting for the last first, and for one in the middle never, must not matter.
	later[2].Discard()
	for _, i := range []int{4, 0, 3, 1} {
		got := make([]uint32, 1)
		if err := later[i].Wait(gpu.Bytes(got)); err != nil || got[0] != uint32(i) {
			t.Errorf("readback %d: %d, %v", i, got[0], err)
		}
	}
	if got, err := d.Download(b, 0, 16); err != nil || string(got) != string(make([]byte, 16)) {
		t.Errorf("got %v, %v after Clear, want zeros", got, err)
	}
}

func TestReadbackDoesNotWaitForLaterWork(t *testing.T) {
	d := gputest.Device(t)
	a, sums := d.NewBuffer("a", 64), d.NewBuffer("sums", 1<<16)
	defer a.Release()
	defer sums.Release()
	d.Write(a, 4, gpu.Bytes([]uint32{42}))
	// A readback that waits for later work never comes in half the time of it, however long that takes; one that does not may, on a busy
	// machine, or where the work takes no longer than a readback.
	var early, all time.Duration
	for try := range 20 {
		long := d.Prepare(d.Pipeline(wgsl.FMA, nil), gpu.Params(&wgsl.FMAParams{Iterations: 100_000 << (try / 4), Scale: 0.5, Shift: 1}),
			[]gpu.Binding{sums.All()}, 64, 1, 1)
		defer long.Release()
		r := d.DownloadLater(a, 5, 2) // unaligned: bytes 1 and 2 of the value
		d.Submit()
		d.Record(long)
		d.Submit()
		got := []byte{1, 1}
		start := time.Now()
		if err := r.Wait(got); err != nil || got[0] != 0 || got[1] != 0 {
			t.Errorf("%v, %v", got, err)
		}
		early = time.Since(start)
		if !r.Ready() {
			t.Error("a readback that has ended is not ready")
		}
		if err := d.Flush(); err != nil {
			t.Fatal(err)
		}
		if all = time.Since(start); early <= all/2 {
			return
		}
	}
	t.Errorf("the readback came after %v, when the work submitted after it took until %v", early, all)
}

func TestLargeTransfer(t *testing.T) {
	d := gputest.Device(t)
	want := counting(20 << 20 / 4)
	b := d.NewBuffer("large", 4*len(want)+8)
	defer b.Release()
	d.Write(b, 4, gpu.Bytes(want))
	got, err := d.Download(b, 4, 4*len(want))
	if err != nil || string(got) != string(gpu.Bytes(want)) {
		t.Errorf("what was read differs from what was written (%v)", err)
	}
}

func TestPreparedCommands(t *testing.T) {
	d := gputest.Device(t)
	a, b := d.NewBuffer("a", 16), d.NewBuffer("b", 16)
	defer a.Release()
	p := d.Pipeline(wgsl.Copy, nil)
	bindings := []gpu.Binding{a.All(), b.All()}
	c := d.Prepare(p, gpu.Params(&wgsl.CopyParams{N: 1}), bindings, 1, 1, 1)
	none := d.Prepare(p, gpu.Params(&wgsl.CopyParams{N: 1}), bindings, 1, 0, 1)
	d.Write(a, 0, gpu.Bytes([]uint32{9}))
	d.Record(none)
	if got, err := d.Download(b, 0, 1); err != nil || got[0] != 0 {
		t.Errorf("a grid without workgroups did something: %v, %v", got, err)
	}
	d.Record(c)
	if got, err := d.Download(b, 0, 1); err != nil || got[0] != 9 {
		t.Errorf("got %v, %v, want 9", got, err)
	}
	if n := testing.AllocsPerRun(100, func() { d.Record(c) }); n > 0 {
		t.Errorf("recording a prepared command allocates %v times", n)
	}
	params := wgsl.CopyParams{N: 1}
	if n := testing.AllocsPerRun(100, func() { d.Dispatch(p, gpu.Params(&params), bindings, 1, 1, 1) }); n > 0 {
		t.Errorf("a repeated dispatch allocates %v times", n)
	}
	d.Record(c) // still unsubmitted when its buffer goes
	b.Release()
	if err := d.Flush(); err != nil {
		t.Errorf("releasing a buffer with work recorded on it: %v", err)
	}
	d.Record(c)
	if d.Flush() == nil {
		t.Error("no error from a command whose buffer is released")
	}
	c.Release()
	none.Release()
}

// Parameters that differ every time must neither mix up nor pile up.
func TestChangingParameters(t *testing.T) {
	d := gputest.Device(t)
	sums := d.NewBuffer("sums", 4*64)
	defer sums.Release()
	p := d.Pipeline(wgsl.FMA, wgsl.Consts{"WORKGROUP": 64})
	before := d.BytesInUse()
	const rounds = 20_000
	for i := range rounds {
		d.Dispatch(p, gpu.Params(&wgsl.FMAParams{Iterations: 1, Shift: float32(i)}), []gpu.Binding{sums.All()}, 1, 1, 1)
		if i%4999 == 0 {
			got := make([]float32, 1)
			if err := d.DownloadLater(sums, 0, 4).Wait(gpu.Bytes(got)); err != nil || got[0] != float32(i)*wgsl.FMAPerIteration {
				t.Fatalf("round %d: %g, %v", i, got[0], err)
			}
		}
	}
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	// 16,384 blocks of 256 bytes at most.
	if grown := d.BytesInUse() - before; grown > 5<<20 {
		t.Errorf("%d rounds of new parameters hold %d bytes", rounds, grown)
	}
	if d.Stats().Evictions == 0 {
		t.Error("nothing was evicted")
	}
}

func TestTime(t *testing.T) {
	d := gputest.Device(t)
	sums := d.NewBuffer("sums", 1<<16)
	defer sums.Release()
	p := d.Pipeline(wgsl.FMA, nil)
	run := func(iterations uint32) time.Duration {
		best := time.Hour
		for range 10 {
			took, err := d.Time(func() {
				d.Dispatch(p, gpu.Params(&wgsl.FMAParams{Iterations: iterations, Scale: 0.5, Shift: 1}), []gpu.Binding{sums.All()}, 64, 1, 1)
			})
			if err != nil {
				t.Fatal(err)
			}
			best = min(best, took)
		}
		return best
	}
	start := time.Now()
	short, long := run(500), run(10_000)
	if long <= short || long > time.Since(start) {
		t.Errorf("500 iterations took %v, 10,000 %v, all of it %v", short, long, time.Since(start))
	}
	if _, err := d.Time(func() { d.NewBuffer("bad", -1) }); err == nil {
		t.Error("no error from what was timed")
	}
}

func TestOpenAndCloseLeakNothing(t *testing.T) {
	shared := gputest.Device(t)
	before := runtime.NumGoroutine()
	for range 2 {
		d, err := gpu.Open(gpu.Options{Adapter: shared.Info().Name, MaxDispatches: 3})
		if err != nil {
			t.Fatal(err)
		}
		a, b := d.NewBuffer("a", 64), d.NewBuffer("b", 64)
		for range 100 {
			copyKernel(d, a, b)
		}
		d.DownloadLater(a, 0, 4)
		d.Submit()
		d.DownloadLater(b, 0, 4)
		if submits := d.Stats().Submits; submits < 100/3 {
			t.Errorf("100 dispatches, 3 in a submit at most, %d submits", submits)
		}
		d.Close()
		d.Close()
		a.Release()
		copyKernel(d, a, b)
		if d.Flush() == nil || d.BytesInUse() != 0 {
			t.Errorf("a closed device has %d bytes in use and takes work", d.BytesInUse())
		}
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}

func TestGrid(t *testing.T) {
	for _, n := range []int{0, 1, 65535, 65536, 131071, 1_000_003, 65535 * 65535} {
		x, y := gpu.Grid(n)
		cells := int(x) * int(y)
		if x > 65535 || y > 65535 || cells < n || cells-n > int(y) {
			t.Errorf("%d workgroups folded into %d × %d", n, x, y)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	d := gputest.Device(b)
	x, y := d.NewBuffer("x", 16), d.NewBuffer("y", 16)
	defer x.Release()
	defer y.Release()
	p := d.Pipeline(wgsl.Copy, wgsl.Consts{"WORKGROUP": 32})
	params, bindings := wgsl.CopyParams{N: 1}, []gpu.Binding{x.All(), y.All()}
	c := d.Prepare(p, gpu.Params(&params), bindings, 1, 1, 1)
	defer c.Release()
	for name, record := range map[string]func(){
		"prepared": func() { d.Record(c) },
		"cached":   func() { d.Dispatch(p, gpu.Params(&params), bindings, 1, 1, 1) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var encode time.Duration
			for n := 0; n < b.N; n += 1000 {
				start := time.Now()
				for range 1000 {
					record()
				}
				d.Submit()
				encode += time.Since(start)
				if err := d.Flush(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(encode.Nanoseconds())/float64((b.N+999)/1000*1000), "encode-ns/op")
		})
	}
}

func BenchmarkReadback(b *testing.B) {
	d := gputest.Device(b)
	x := d.NewBuffer("x", 16)
	defer x.Release()
	got := make([]byte, 4)
	for b.Loop() {
		if err := d.DownloadLater(x, 0, 4).Wait(got); err != nil {
			b.Fatal(err)
		}
	}
}

// TestParts holds that parts are buffers of their own, and that the whole has them all.
func TestParts(t *testing.T) {
	d := gputest.Device(t)
	parts, other := d.NewParts("part", 3, 20), d.NewBuffer("other", 20)
	whole, stride := parts[1].Whole()
	if w, offset := parts[2].Whole(); w != whole || offset != 2*stride || parts[2].Size() != 20 {
		t.Errorf("the last part of %d bytes at %d", parts[2].Size(), offset)
	}
	number := func(b *gpu.Buffer, offset int) uint32 {
		t.Helper()
		got := make([]uint32, 1)
		data, err := d.Download(b, offset, 4)
		if err != nil {
			t.Fatal(err)
		}
		copy(gpu.Bytes(got), data)
		return got[0]
	}
	for i, p := range parts {
		d.Write(p, 0, gpu.Bytes([]uint32{uint32(10 * i), uint32(10*i + 1), 2, 3, 4}))
	}
	copyKernel(d, other, parts[1]) // the first 16 bytes
	if got := number(other, 4); got != 11 {
		t.Errorf("a kernel reads %d of the middle part", got)
	}
	d.Clear(parts[1], 4, 4)
	d.Copy(other, 0, parts[2], 4, 4)
	d.Copy(parts[0], 8, other, 0, 4)
	for _, c := range []struct {
		what string
		b    *gpu.Buffer
		at   int
		want uint32
	}{
		{"cleared", parts[1], 4, 0}, {"beside what was cleared", parts[1], 0, 10}, {"copied", parts[0], 8, 21},
		{"through the whole", whole, stride, 10}, {"through the whole", whole, 2*stride + 4, 21},
	} {
		if got := number(c.b, c.at); got != c.want {
			t.Errorf("%s: got %d, want %d", c.what, got, c.want)
		}
	}
	before, size := d.BytesInUse(), uint64(whole.Size()+other.Size())
	for _, p := range append(parts, parts[0], other) {
		p.Release()
	}
	if got := d.BytesInUse(); got != before-size {
		t.Errorf("got %d bytes after the releases, want %d", got, before-size)
	}
}

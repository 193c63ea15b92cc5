//go:build js

package gpu

import (
	"errors"
	"strings"
	"syscall/js"
	"testing"

	"bitgpu/wgsl"
)

// openSoftware opens a device of its own.
func openSoftware(t *testing.T) *Device {
	t.Helper()
	d, err := Open(Options{AllowSoftware: true})
	if err != nil {
		t.Skipf("no adapter: %v", err)
	}
	t.Cleanup(d.Close)
	return d
}

// A device that is lost says so whatever is asked of it, nothing waits for ever, and the next one works.
func TestLostDevice(t *testing.T) {
	d := openSoftware(t)
	b := d.NewBuffer("b", 64)
	r := d.DownloadLater(b, 0, 64)
	d.Submit()
	d.driver.(*browserDevice).device.Call("destroy")
	for _, err := range []error{r.Wait(make([]byte, 64)), d.Flush(), d.Flush()} {
		if err == nil || !strings.Contains(err.Error(), "lost") {
			t.Errorf("got %v, want that the device is lost", err)
		}
	}
	if d.NewBuffer("c", 64); d.Flush() == nil {
		t.Error("a lost device makes a buffer")
	}
	next := openSoftware(t)
	b = next.NewBuffer("b", 64)
	next.Write(b, 0, Bytes([]uint32{7}))
	if got, err := next.Download(b, 0, 4); err != nil || got[0] != 7 {
		t.Errorf("the next device reads %v, %v", got, err)
	}
}

// An error that comes late names the kernel: policy would refuse such a group, so the driver is asked for it.
func TestLateErrorsNameTheKernel(t *testing.T) {
	d := openSoftware(t)
	p, err := d.driver.NewPipeline("halves", "@group(0) @binding(0) var<storage, read_write> left: array<u32>;\n"+
		"@group(0) @binding(1) var<storage, read_write> right: array<u32>;\n"+
		"@compute @workgroup_size(1) fn halves() { left[0] = 1u; right[0] = 2u; }\n", "halves", []wgsl.Access{wgsl.ReadWrite, wgsl.ReadWrite})
	if err != nil {
		t.Fatal(err)
	}
	b := d.NewBuffer("b", 512)
	for _, c := range []struct {
		second entry
		want   string
	}{
		{entry{b.handle, 4, 256}, "binding the buffers of kernel halves"}, // not aligned
		{entry{b.handle, 0, 512}, "halves"},                               // both write the same bytes
		{entry{b.handle, 256, 256}, ""},
	} {
		g, _ := d.driver.NewGroup("", p, []entry{{b.handle, 0, 256}, c.second})
		if !d.openPass() {
			t.Fatal(d.Flush())
		}
		d.driver.SetPipeline(p)
		d.driver.Dispatch(g, 1, 1, 1)
		err := d.Flush()
		d.driver.ReleaseGroup(g)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: got %v, want %q", c.second, err, c.want)
		}
	}
	d.driver.ReleasePipeline(p)
}

// A submit crosses the border once, however much was recorded, and so does what is read back.
func TestOneCallASubmit(t *testing.T) {
	d := openSoftware(t)
	a, b := d.NewBuffer("a", 64), d.NewBuffer("b", 64)
	far := d.driver.(*browserDevice)
	token := func() {
		for range 100 {
			d.Copy(a, 0, b, 0, 64)
		}
		d.Submit()
	}
	token()
	for range maxInFlight / 2 {
		before := far.crossed
		if token(); far.crossed != before+1 {
			t.Errorf("got %d calls for a submit, want 1", far.crossed-before)
		}
	}
	for first := range 2 { // at first a buffer is made for it
		before := far.crossed
		if err := d.DownloadLater(a, 0, 64).Wait(make([]byte, 64)); err != nil || far.crossed > before+4-first {
			t.Errorf("got %d calls for a readback (%v), want a submit, a wait and a copy", far.crossed-before, err)
		}
	}
}

// Where a page's policy forbids evaluating texts and its script is not loaded, opening fails and says so.
func TestPolicyWithoutTheScript(t *testing.T) {
	openSoftware(t).Close()
	global := js.Global()
	script, function := global.Get("bitgpuDriver"), global.Get("Function")
	defer global.Set("bitgpuDriver", script)
	defer global.Set("Function", function)
	global.Delete("bitgpuDriver")
	global.Set("Function", global.Call("eval", "(class { constructor() { throw new EvalError('refused') } })"))
	if _, err := Open(Options{AllowSoftware: true}); err == nil || !strings.Contains(err.Error(), "policy") {
		t.Errorf("got %v, want that the policy is in the way", err)
	}
	global.Set("bitgpuDriver", script)
	if d, err := Open(Options{AllowSoftware: true}); err != nil {
		t.Errorf("with the script: %v", err)
	} else {
		d.Close()
	}
}

// Without navigator.gpu, and without an adapter, there is an error that says which, and both mean the CPU.
func TestNoWebGPU(t *testing.T) {
	navigator := js.Global().Get("navigator")
	defer js.Global().Set("navigator", navigator)
	none := js.Global().Call("eval", "({ gpu: { requestAdapter: async () => null } })")
	for want, v := range map[string]any{
		"no WebGPU": js.ValueOf(map[string]any{}), "navigator.gpu is missing": js.Undefined(), "offers it no GPU": none,
	} {
		js.Global().Get("Object").Call("defineProperty", js.Global(), "navigator", map[string]any{"value": v, "configurable": true, "writable": true})
		h, err := newHost()
		if err == nil {
			_, err = selectAdapter(h.adapters, Options{AllowSoftware: true})
		}
		if !errors.Is(err, ErrNoAdapter) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

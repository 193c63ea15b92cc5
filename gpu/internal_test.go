package gpu

import (
	"errors"
	"strings"
	"testing"
)

func TestSelectAdapter(t *testing.T) {
	list := []adapter{
		{info: AdapterInfo{Index: 0, Name: "GeForce One", Type: Discrete}},
		{info: AdapterInfo{Index: 1, Name: "Iris Two", Type: Integrated}},
		{info: AdapterInfo{Index: 2, Name: "llvmpipe", Type: CPU}},
	}
	soft := list[2:]
	for _, c := range []struct {
		list    []adapter
		options Options
		want    string
		err     error
	}{
		{list, Options{}, "GeForce One", nil},
		{list, Options{AllowSoftware: true}, "GeForce One", nil},
		{list, Options{Adapter: "1"}, "Iris Two", nil},
		{list, Options{Adapter: "iris"}, "Iris Two", nil},
		{list, Options{Adapter: "Software"}, "llvmpipe", nil},
		{soft, Options{AllowSoftware: true}, "llvmpipe", nil},
		{soft, Options{Adapter: "pipe"}, "llvmpipe", nil},
		{soft, Options{}, "", ErrNoAdapter},
		{list[:2], Options{Adapter: "software"}, "", ErrNoSuchAdapter},
		{list, Options{Adapter: "3"}, "", ErrNoSuchAdapter},
		{list, Options{Adapter: "-1"}, "", ErrNoSuchAdapter},
		{list, Options{Adapter: "radeon"}, "", ErrNoSuchAdapter},
		{nil, Options{Adapter: "software", AllowSoftware: true}, "", ErrNoAdapter},
	} {
		got, err := selectAdapter(c.list, c.options)
		if got.info.Name != c.want || !errors.Is(err, c.err) {
			t.Errorf("%+v: got %q and %v, want %q and %v", c.options, got.info.Name, err, c.want, c.err)
		}
	}
}

// An error outside of every error scope of the binding must come back from Flush. Mapping is such a call.
func TestUncapturedError(t *testing.T) {
	d, err := Open(Options{AllowSoftware: true})
	if err != nil {
		t.Skipf("no adapter: %v", err)
	}
	defer d.Close()
	m := d.driver.Map(d.NewBuffer("not mappable", 64).handle, 64)
	d.driver.Wait(m)
	if s := d.driver.Status(m); s == pending || s == succeeded {
		t.Error("a buffer that must not be mapped was")
	}
	d.driver.Forget(m)
	if err := d.Flush(); err == nil || !strings.Contains(err.Error(), "usage") {
		t.Errorf("got %v, want an error about the buffer's usage", err)
	}
	if err := d.Flush(); err != nil {
		t.Errorf("it came twice: %v", err)
	}
}

// What to install is said in the words of the system that lacks it.
func TestHowToInstall(t *testing.T) {
	for system, wants := range map[string][]string{
		"linux":   {"libvulkan1", "mesa-vulkan-drivers"},
		"windows": {"DirectX 12"},
		"darwin":  {"Metal"},
		"js":      {"browser"},
		"freebsd": {"driver"},
	} {
		said := howToInstall(system)
		for _, want := range wants {
			if !strings.Contains(said, want) {
				t.Errorf("%s: got %q, want %q in it", system, said, want)
			}
		}
		if system != "linux" && strings.Contains(said, "Debian") {
			t.Errorf("%s: Debian's packages named: %q", system, said)
		}
	}
}

//go:build js

package gpu

import (
	"errors"
	"fmt"
	"strings"
	"syscall/js"
)

// noWebGPU is the error of a browser without WebGPU. It wraps ErrNoAdapter.
type noWebGPU struct{}

func (noWebGPU) Error() string {
	return "gpu: this browser has no WebGPU (navigator.gpu is missing): use a newer one, or switch WebGPU on in its settings; " +
		"a page from the network has it only by https"
}

func (noWebGPU) Unwrap() error { return ErrNoAdapter }

// browser is the WebGPU of a browser, or of another program with navigator.gpu.
type browser struct{ adapters []js.Value }

// newDriver waits for promises. Like every function in these files that says so, it must not be called from the goroutine of
// a js.FuncOf callback: promises cannot resolve until the callback returns, so waiting there would never end.
func newDriver() (driver, error) {
	gpu := js.Undefined()
	if navigator := js.Global().Get("navigator"); navigator.Truthy() {
		gpu = navigator.Get("gpu")
	}
	if !gpu.Truthy() {
		return nil, noWebGPU{}
	}
	b := &browser{}
	for _, options := range []map[string]any{{"powerPreference": "high-performance"}, {"forceFallbackAdapter": true}} {
		a, err := resolve(gpu.Call("requestAdapter", options))
		if err != nil {
			return nil, fmt.Errorf("%w: asking for an adapter: %v", noWebGPU{}, err)
		}
		// A browser whose only adapter is a software one returns it for both requests.
		if a.Truthy() && (len(b.adapters) == 0 || !software(b.adapters[0])) {
			b.adapters = append(b.adapters, a)
		}
	}
	return b, nil
}

// resolve waits for a promise.
func resolve(promise js.Value) (js.Value, error) {
	type result struct {
		value js.Value
		err   error
	}
	came := make(chan result, 1)
	then := js.FuncOf(func(_ js.Value, args []js.Value) any {
		came <- result{value: args[0]}
		return nil
	})
	defer then.Release()
	otherwise := js.FuncOf(func(_ js.Value, args []js.Value) any {
		came <- result{err: errors.New(strings.Join(strings.Fields(args[0].Get("message").String()), " "))}
		return nil
	})
	defer otherwise.Release()
	promise.Call("then", then, otherwise)
	r := <-came
	return r.value, r.err
}

// known returns a text from an adapter's info, or "" if the browser withholds it.
func known(a js.Value, name string) string {
	if v := a.Get("info"); v.Truthy() && v.Get(name).Type() == js.TypeString {
		return v.Get(name).String()
	}
	return ""
}

func software(a js.Value) bool {
	info := a.Get("info")
	return a.Get("isFallbackAdapter").Truthy() || info.Truthy() && info.Get("isFallbackAdapter").Truthy()
}

func (b *browser) Adapters() []AdapterInfo {
	list := make([]AdapterInfo, len(b.adapters))
	for i, a := range b.adapters {
		limit := func(name string) uint64 { return uint64(a.Get("limits").Get(name).Float()) }
		names := strings.Join(strings.Fields(known(a, "vendor")+" "+known(a, "architecture")), " ")
		info := AdapterInfo{
			Name: "WebGPU adapter", Vendor: known(a, "vendor"), Type: Unknown, Backend: "WebGPU", Driver: known(a, "description"),
			Limits: Limits{
				MaxBufferSize:                   limit("maxBufferSize"),
				MaxStorageBufferBindingSize:     limit("maxStorageBufferBindingSize"),
				MaxStorageBuffersPerShaderStage: uint32(limit("maxStorageBuffersPerShaderStage")),
				MaxWorkgroupMemory:              uint32(limit("maxComputeWorkgroupStorageSize")),
				MaxInvocationsPerWorkgroup:      uint32(limit("maxComputeInvocationsPerWorkgroup")),
				MaxWorkgroupsPerDimension:       uint32(limit("maxComputeWorkgroupsPerDimension")),
				StorageOffsetAlignment:          uint32(limit("minStorageBufferOffsetAlignment")),
				UniformOffsetAlignment:          uint32(limit("minUniformBufferOffsetAlignment")),
			},
			Timestamps: a.Get("features").Call("has", "timestamp-query").Bool(),
		}
		if names != "" {
			info.Name = names
		}
		if info.Driver == "" {
			info.Driver = "the browser's"
		}
		if software(a) {
			info.Type = CPU
		}
		list[i] = info
	}
	return list
}

// limits are requested for a device at their maximum.
var limits = []string{
	"maxBufferSize", "maxStorageBufferBindingSize", "maxStorageBuffersPerShaderStage", "maxComputeWorkgroupStorageSize",
	"maxComputeInvocationsPerWorkgroup", "maxComputeWorkgroupSizeX", "maxComputeWorkgroupSizeY", "maxComputeWorkgroupSizeZ",
	"maxComputeWorkgroupsPerDimension", "minStorageBufferOffsetAlignment", "minUniformBufferOffsetAlignment",
}

// Open waits for a promise.
func (b *browser) Open(adapter int) (driverDevice, error) {
	far, err := farSide()
	if err != nil {
		return nil, err
	}
	a := b.adapters[adapter]
	required := map[string]any{}
	for _, name := range limits {
		required[name] = a.Get("limits").Get(name)
	}
	features := []any{}
	if a.Get("features").Call("has", "timestamp-query").Bool() {
		features = append(features, "timestamp-query")
	}
	device, err := resolve(a.Call("requestDevice", map[string]any{
		"label": "bitgpu", "requiredLimits": required, "requiredFeatures": features,
	}))
	if err != nil {
		return nil, err
	}
	return newBrowserDevice(device, far), nil
}

// farSide returns the function that BrowserScript defines.
func farSide() (far js.Value, err error) {
	const name = "bitgpuDriver"
	if far = js.Global().Get(name); far.Truthy() {
		return far, nil
	}
	defer func() {
		if e := recover(); e != nil {
			err = fmt.Errorf("this page's policy lets no program evaluate a text, and has not loaded the script that package gpu has for it: %v", e)
		}
	}()
	js.Global().Get("Function").New(BrowserScript).Invoke()
	return js.Global().Get(name), nil
}

// Release has nothing to do: adapters belong to the browser.
func (b *browser) Release() {}

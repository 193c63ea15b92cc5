// Package gpu runs the kernels of package wgsl on a WebGPU device: adapters, devices and their limits, buffers,
// pipelines and bind groups kept in caches, recording, readback, timestamps. It is the only package that names a
// WebGPU binding (in internal/wgpu, one of two by the build tag wgpu22), or the browser's WebGPU.
//
// It is not for mathematics or shapes: it moves bytes and starts kernels, and what they mean is nn/webgpu's business.
// Nor is it for drawing: kernels draw into a buffer, which a Surface shows as it is.
//
// # Use
//
// A Device records. Dispatch, Copy, Clear and DownloadLater append to a command buffer, Submit sends it, Flush sends it
// and waits. Everything happens in the order of the calls, Write included. No recording call returns an error: the
// device keeps the first one, ignores what follows, and Flush returns it and forgets it. Err looks at it without
// forgetting.
//
// A Device, its buffers and everything else made from it are for one goroutine at a time.
//
// A dispatch that has been seen before (same pipeline, parameters and buffers) creates nothing: no buffer, no bind
// group, no pipeline. Stats counts what was created, so that a test can hold it to that. Prepare goes one step
// further and resolves a dispatch once, so that a token is a loop of Record.
//
// # Why
//
// Why are parameters cached by their content? There is no reuse of command buffers in WebGPU and no push constant in
// the portable part, so a parameter block is a slice of a uniform buffer; written once, it serves every later
// dispatch with the same values. Values that change every step belong in a storage buffer.
//
// Why does Write submit what is recorded? A queue write happens before the next submit, so it would overtake the
// dispatches recorded before it.
//
// Why is the driver behind an interface of numbers? All that is decided here, what is cached, when is submitted, which
// error is kept, holds for any way to a GPU; driver.go has the little that differs. A build without cgo has no driver and
// is a program for the CPU, which Go builds for any system by itself. A build for js/wasm has the browser's WebGPU: its calls
// are noted as numbers and made by browser.js, by one call across the border a submit. What waits there (Open, Flush, Read,
// new buffers and pipelines) waits for promises, and so must not be called by the goroutine of a js.Func.
//
// Why is there C in this package? The binding sets no handler for errors outside its own error scopes (out of memory
// is one), and wgpu-native's default is to abort the process; and it hands C the address of a Go variable to call
// back with when a map completes, which the garbage collector may have freed by then. Both go past the binding, with
// callbacks in C that only store their arguments.
//
// Why does every device have an instance of the drivers to itself? wgpu-native 0.17 gives the memory and the threads of a
// released device back when all devices of its instance are polled, which it offers no call for, or when the instance
// ends. So the instance ends with the device.
//
// Why does a lost device in a browser stay lost? Its memory is gone. All calls fail with that error, Flush says it again and
// again; Close it and Open another.
//
// Why can a lost device still end the process? wgpu-native 0.17 panics inside submit and poll when the driver
// reports the device lost (a reset, a pulled card), and a Rust panic cannot be recovered from in Go.
package gpu

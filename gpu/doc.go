// Package gpu runs the kernels of package wgsl on a WebGPU device. It has adapters, devices and their limits, buffers, cached
// pipelines and bind groups, recording, readback and timestamps. It is the only package that uses a WebGPU binding (through
// internal/wgpu, one of two by the build tag wgpu22) or the browser's WebGPU.
//
// It has no mathematics and no shapes: it moves bytes and starts kernels, and their meaning is the business of nn/webgpu. It
// does not draw either: kernels draw into a buffer, and a Surface shows that.
//
// # Use
//
// A Device records. Dispatch, Copy, Clear and DownloadLater append to a command buffer, Submit sends it, and Flush sends it
// and waits. Everything happens in the order of the calls, Write included. Recording calls do not return errors: the device
// keeps the first error and ignores later calls, and Flush returns and clears it. Err looks at it without clearing.
//
// A Device, its buffers and everything else made from it are for one goroutine at a time.
//
// A dispatch that has been seen before (same pipeline, parameters and buffers) creates nothing: no buffer, no bind group, no
// pipeline. Stats counts what was created, so that a test can check this. Prepare goes one step further and resolves a
// dispatch once, so that a token is a loop of Record.
//
// # Why
//
// Why are parameters cached by their content? WebGPU cannot reuse command buffers, and its portable part has no push
// constants. So a parameter block is a slice of a uniform buffer; written once, it serves every later dispatch with the same
// values. Values that change in every step belong in a storage buffer.
//
// Why does Write submit what is recorded? A queue write happens before the next submit, so it would overtake the dispatches
// recorded before it.
//
// Why is the driver behind an interface of numbers? What is decided here (what to cache, when to submit, which error to keep)
// applies to every way to a GPU; driver.go has the little that differs. A build without cgo has no driver and is a CPU-only
// program, which Go can build for any system. A build for js/wasm uses the browser's WebGPU: calls are recorded as numbers,
// and browser.js executes them with one crossing into JavaScript per submit. Whatever waits there (Open, Flush, Download, new
// buffers and pipelines) waits for promises, and so must not be called from the goroutine of a js.FuncOf callback.
//
// Why is there C in this package? The binding sets no handler for errors outside its own error scopes (out of memory is one),
// and wgpu-native's default is to abort the process. It also passes the address of a Go variable to C for the callback when a
// map completes, and the garbage collector may have freed the variable by then. Both are done here without the binding, with
// callbacks in C that only store their arguments.
//
// Why does every device have its own instance of the drivers? wgpu-native 0.17 frees the memory and threads of a released
// device only when all devices of its instance are polled, for which it offers no call, or when the instance ends. So the
// instance ends with the device.
//
// Why does a lost device in a browser stay lost? Its memory is gone. All calls fail with that error, and Flush keeps
// returning it. Close the device and Open another.
//
// Why can a lost device still end the process? wgpu-native 0.17 panics inside submit and poll when the driver reports the
// device lost (a reset, a removed card), and Go cannot recover from a Rust panic.
package gpu

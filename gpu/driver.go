package gpu

import "bitgpu/wgsl"

// This file defines a driver: everything that the package needs from a way to reach GPUs. native_*.go implement it for
// operating systems, browser*.* for browsers, and none.go replaces it in builds without any. All other files are policy and
// do not know which driver they use.
//
// A driver's objects are numbers, with 0 for none. A driver for which calls are expensive, such as a browser's, can thus
// record calls as numbers and execute them all in Send. It need not check what policy has checked, and is called from one
// goroutine at a time. An error is one line; it wraps ErrOutOfMemory if that is the reason.

type (
	bufferID   uint32
	pipelineID uint32
	groupID    uint32 // of a bind group
	eventID    uint32 // something that ends while the driver is polled
)

// usage is what a buffer is for, besides being copied and written to.
type usage uint8

const (
	forStorage  usage = iota // kernels, copies
	forUniform               // kernels' parameters
	forReadback              // Map
	forQueries               // ResolveTimestamp, copies
)

// entry is a part of a buffer in a bind group, in bytes.
type entry struct {
	buffer       bufferID
	offset, size int
}

// status is the state of an event.
type status int

const (
	pending   status = -1
	succeeded status = 0 // all values but this and pending are failures, with the driver's number
)

// driver is the way to the adapters of this machine. It opens a single device.
type driver interface {
	// Adapters lists the adapters in any order; the caller sets Index.
	Adapters() []AdapterInfo
	// Open opens an adapter with all of its limits, by its position in Adapters.
	Open(adapter int) (driverDevice, error)
	// Release is called last, after that of the device.
	Release()
}

// driverDevice is an opened adapter.
type driverDevice interface {
	// NewBuffer makes a buffer of zeros.
	NewBuffer(label string, size int, u usage) (bufferID, error)
	// NewPipeline compiles a kernel's text; access has one entry per binding. Errors in the text give positions as
	// wgsl:line:column.
	NewPipeline(label, text, entryPoint string, access []wgsl.Access) (pipelineID, error)
	// NewGroup binds one entry to each binding of the pipeline.
	NewGroup(label string, p pipelineID, entries []entry) (groupID, error)
	ReleaseBuffer(bufferID)
	ReleasePipeline(pipelineID)
	ReleaseGroup(groupID)

	// Write takes effect before everything sent later. The driver may hold a copy of data until the next Send.
	Write(b bufferID, offset int, data []byte) error

	// Begin begins a recording, outside of a pass. There is one recording at a time.
	Begin() error
	// BeginPass and EndPass enclose dispatches; copies, clears and timestamps are recorded outside of passes.
	BeginPass()
	EndPass() error
	SetPipeline(pipelineID)
	Dispatch(g groupID, x, y, z uint32)
	Copy(dst bufferID, dstOffset int, src bufferID, srcOffset, size int) error
	Clear(b bufferID, offset, size int) error
	// Finish ends the recording. Unless it failed, the result waits for Send or Drop.
	Finish() error
	// Send gives the device what was finished, if anything, and what was written.
	Send()
	Drop()

	// Done returns an event that ends when all that was sent so far has ended.
	Done() eventID
	// Map makes the first size bytes of a readback buffer readable once all that was sent so far has ended.
	Map(b bufferID, size int) eventID
	// Mapped returns those bytes, which are valid until Unmap. Unmap also cancels a pending mapping.
	Mapped(b bufferID, size int) []byte
	Unmap(bufferID) error
	// Poll lets finished events end. It does not wait.
	Poll()
	// Wait waits for an event.
	Wait(eventID)
	Status(eventID) status
	// Forget releases an event that is not pending.
	Forget(eventID)

	// NewTimestamps makes the device's two queries if its adapter has any; timestamps are recorded like copies.
	NewTimestamps() error
	Timestamp(query int) error
	// ResolveTimestamp writes a query's ticks to the first 8 bytes of a buffer.
	ResolveTimestamp(query int, to bufferID) error

	// Late returns the first error since the last call that no call has returned.
	Late() error
	// Release waits for nothing. Buffers, pipelines and groups are released before it.
	Release()
}

// windowed is a driverDevice that can show pictures in windows.
type windowed interface {
	NewSurface(Window) (driverSurface, error)
}

// driverSurface shows pictures in a window, each between Acquire and Present.
type driverSurface interface {
	// NewPipeline compiles a kernel that draws to the surface's pictures from a uniform and a read binding.
	NewPipeline(label, text, vertex, entryPoint string) (pipelineID, error)
	// Resize replaces the surface's pictures by ones of across × down pixels.
	Resize(across, down int) error
	// Acquire takes the next picture. It returns false if the window has changed since Resize.
	Acquire() bool
	// Draw records drawing the picture: a triangle that covers it.
	Draw(p pipelineID, g groupID) error
	// Present ends the picture, and shows it if asked.
	Present(show bool)
	// Drop releases the textures of the last Resize. The device must be idle.
	Drop()
	Release()
}

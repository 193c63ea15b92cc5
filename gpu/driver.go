package gpu

import "bitgpu/wgsl"

// This file is all that the package asks of a way to GPUs, its driver. The files native_*.go have the one for systems,
// browser*.* the one for browsers, none.go stands in where a build has none, and all other files are policy that knows
// none of them.
//
// A driver's objects are numbers, 0 being none, so that one beyond a costly border, as a browser's is, can note calls
// down as numbers and make them all in Send. It need not check what policy has checked, and is called by one goroutine
// at a time. An error is one line; it wraps ErrOutOfMemory if that is the reason.

type (
	bufferID   uint32
	pipelineID uint32
	groupID    uint32 // of a bind group
	eventID    uint32 // of something that ends while the driver is polled
)

// usage is what a buffer is for, beside being copied and written to.
type usage uint8

const (
	forStorage  usage = iota // kernels, copies
	forUniform               // kernels' parameters
	forReadback              // Map
	forQueries               // ResolveTimestamp, copies
)

// entry is a part of a buffer that a bind group names, in bytes.
type entry struct {
	buffer       bufferID
	offset, size int
}

// status is how far an event is.
type status int

const (
	pending   status = -1
	succeeded status = 0 // anything else but pending is a failure, by the driver's number
)

// driver is the way to the adapters of this machine. It opens one device.
type driver interface {
	// Adapters lists them in any order; their Index is the caller's business.
	Adapters() []AdapterInfo
	// Open opens one, by its place in Adapters, with all of its limits.
	Open(adapter int) (driverDevice, error)
	// Release comes last, after the device's.
	Release()
}

// driverDevice is an opened adapter.
type driverDevice interface {
	// NewBuffer makes a buffer of zeros.
	NewBuffer(label string, size int, u usage) (bufferID, error)
	// NewPipeline compiles a kernel's text; access has one word for each binding. Errors about the text have its places
	// as wgsl:line:column.
	NewPipeline(label, text, entryPoint string, access []wgsl.Access) (pipelineID, error)
	// NewGroup binds one entry to each binding of the pipeline.
	NewGroup(label string, p pipelineID, entries []entry) (groupID, error)
	ReleaseBuffer(bufferID)
	ReleasePipeline(pipelineID)
	ReleaseGroup(groupID)

	// Write happens before all that is sent later. The driver may hold a copy of data until the next Send.
	Write(b bufferID, offset int, data []byte) error

	// Begin begins a recording, outside of a pass. There is one at a time.
	Begin() error
	// BeginPass and EndPass enclose dispatches; copies, clears and timestamps stand outside.
	BeginPass()
	EndPass() error
	SetPipeline(pipelineID)
	SetGroup(groupID)
	Dispatch(x, y, z uint32)
	Copy(dst bufferID, dstOffset int, src bufferID, srcOffset, size int) error
	Clear(b bufferID, offset, size int) error
	// Finish ends the recording. What it made, unless it failed, waits for Send or Drop.
	Finish() error
	// Send gives the device what is finished, if anything, and what is written.
	Send()
	Drop()

	// Done is the event of the end of all that was sent so far.
	Done() eventID
	// Map makes the first size bytes of a readback buffer readable once all that was sent so far has ended.
	Map(b bufferID, size int) eventID
	// Mapped are those bytes, valid until Unmap, which also ends a mapping that is pending.
	Mapped(b bufferID, size int) []byte
	Unmap(bufferID) error
	// Poll lets events end that have. It does not wait for any.
	Poll()
	// Wait waits for one.
	Wait(eventID)
	Status(eventID) status
	// Forget ends the use of an event that is not pending.
	Forget(eventID)

	// NewTimestamps makes the device's two queries, where its adapter has them; timestamps are recorded like copies.
	NewTimestamps() error
	Timestamp(query int) error
	// ResolveTimestamp writes a query's ticks to the first 8 bytes of a buffer.
	ResolveTimestamp(query int, to bufferID) error

	// Late is the first error since the last call that no other call returned.
	Late() error
	// Release waits for nothing. Buffers, pipelines and groups are released before.
	Release()
}

// windowed is a driverDevice that can show pictures in windows.
type windowed interface {
	NewSurface(Window) (driverSurface, error)
}

// driverSurface shows pictures in a window, each from Acquire to Present.
type driverSurface interface {
	// NewPipeline compiles a kernel that draws to the surface's pictures from a uniform and a read binding.
	NewPipeline(label, text, vertex, entryPoint string) (pipelineID, error)
	// Resize makes pictures of so many pixels, in place of others.
	Resize(across, down int) error
	// Acquire takes the next picture, or none where the window has changed since Resize.
	Acquire() bool
	// Draw records the picture: a triangle that covers it.
	Draw(p pipelineID, g groupID) error
	// Present ends the picture, and shows it or not.
	Present(show bool)
	// Drop releases the textures of the last Resize; the device has nothing left to do.
	Drop()
	Release()
}

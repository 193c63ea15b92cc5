package gpu

import (
	"errors"
	"unsafe"
)

// Buffer is device memory. It starts as zeros.
type Buffer struct {
	d      *Device
	id     uint64   // unique among the device's
	handle bufferID // 0 once released, or if it could not be created
	label  string
	size   int
	groups int // cached bind groups that contain it

	whole *Buffer // for a part: the buffer that contains it
	base  int     // for a part: its offset there in bytes
	parts int     // for a whole: parts not yet released
}

const (
	// Writes are cut into pieces, and at most this many bytes wait for the next submit: a driver may hold a copy until then.
	writePiece = 16 << 20
	maxUnsent  = 64 << 20
)

// NewBuffer makes a buffer for kernels and copies; its size is rounded up to a multiple of 4. On failure the device keeps the
// error, and the buffer returned is not nil but must not be used.
func (d *Device) NewBuffer(label string, bytes int) *Buffer {
	return d.newBuffer(label, bytes, forStorage)
}

func (d *Device) newBuffer(label string, bytes int, u usage) *Buffer {
	b := &Buffer{d: d, id: d.nextBuffer, label: label}
	d.nextBuffer++
	if bytes > 0 {
		b.size = (bytes + 3) &^ 3
	}
	switch {
	case d.err != nil:
		return b
	case b.size <= 0:
		d.fail("buffer %s: got %d, want a size of at least 1 byte", label, bytes)
		return b
	case uint64(b.size) > d.info.Limits.MaxBufferSize:
		d.fail("buffer %s: got %d bytes, %s allows %d in one buffer", label, bytes, d.info.Name, d.info.Limits.MaxBufferSize)
		return b
	}
	h, err := d.driver.NewBuffer(label, b.size, u)
	if errors.Is(err, ErrOutOfMemory) {
		// The memory of released buffers only becomes free once the device has been waited for.
		d.Submit()
		d.wait()
		h, err = d.driver.NewBuffer(label, b.size, u)
	}
	if !d.check(err, "making buffer ", label) {
		if h != 0 {
			d.driver.ReleaseBuffer(h)
		}
		return b
	}
	b.handle = h
	d.stats.Buffers++
	d.buffers[b] = struct{}{}
	d.bytes += uint64(b.size)
	d.peak = max(d.peak, d.bytes)
	return b
}

// NewParts makes n buffers of equal size as parts of one, so that a kernel can also bind all of them at once, through Whole.
// It fails like NewBuffer.
func (d *Device) NewParts(label string, n, bytes int) []*Buffer {
	stride := (bytes + partAlignment - 1) / partAlignment * partAlignment
	whole := d.NewBuffer(label, (n-1)*stride+bytes)
	whole.parts = n
	parts := make([]*Buffer, n)
	for i := range parts {
		parts[i] = &Buffer{
			d: d, id: d.nextBuffer, handle: whole.handle, label: label, size: (bytes + 3) &^ 3, whole: whole, base: i * stride,
		}
		d.nextBuffer++
	}
	return parts
}

// partAlignment is the largest alignment of a binding's offset that WebGPU lets a device require.
const partAlignment = 256

// Whole returns the buffer that b is a part of, and the offset of b in it; nil if b is not a part.
func (b *Buffer) Whole() (whole *Buffer, offset int) { return b.whole, b.base }

// Label is the name that the buffer was made with.
func (b *Buffer) Label() string { return b.label }

// Size is in bytes, a multiple of 4.
func (b *Buffer) Size() int { return b.size }

// All binds the whole buffer.
func (b *Buffer) All() Binding { return Binding{Buffer: b, Size: b.size} }

// Range binds size bytes from offset, which must be a multiple of the storage offset alignment.
func (b *Buffer) Range(offset, size int) Binding {
	return Binding{Buffer: b, Offset: offset, Size: size}
}

// Release frees the memory once the device is done with it, and drops the bind groups that contain the buffer. Releasing
// twice does nothing.
func (b *Buffer) Release() {
	d := b.d
	if b.handle == 0 || d.closed {
		return
	}
	if d.recording {
		d.Submit()
	}
	if b.groups > 0 {
		d.dropGroups(func(g *group) bool { return g.uses(b) })
	}
	if b.whole != nil {
		b.handle = 0
		if b.whole.parts--; b.whole.parts == 0 {
			b.whole.Release()
		}
		return
	}
	d.driver.ReleaseBuffer(b.handle)
	b.handle = 0
	delete(d.buffers, b)
	d.bytes -= uint64(b.size)
}

// Write copies data to offset, after everything recorded so far. Both are multiples of 4 bytes.
func (d *Device) Write(b *Buffer, offset int, data []byte) {
	if !d.usable(b, "write", offset, len(data)) || len(data) == 0 {
		return
	}
	if d.recording {
		d.Submit()
	}
	d.write(b, offset, data)
}

func (d *Device) write(b *Buffer, offset int, data []byte) {
	for len(data) > 0 && d.err == nil {
		piece := data[:min(len(data), writePiece)]
		d.check(d.driver.Write(b.handle, b.base+offset, piece), "writing buffer ", b.label)
		data, offset = data[len(piece):], offset+len(piece)
		if d.unsent += len(piece); d.unsent > maxUnsent {
			d.driver.Send()
			d.wait()
			d.unsent = 0
		}
	}
}

// usable reports whether size bytes of b from offset can be read or written. If not, the device keeps an error.
func (d *Device) usable(b *Buffer, what string, offset, size int) bool {
	switch {
	case d.err != nil:
		return false
	case b.handle == 0:
		d.fail("%s of buffer %s after its release", what, b.label)
	case offset < 0 || size < 0 || offset > b.size || size > b.size-offset:
		d.fail("%s of buffer %s: got bytes %d to %d, it has %d", what, b.label, offset, offset+size, b.size)
	case offset%4 != 0 || size%4 != 0:
		d.fail("%s of buffer %s: got offset %d and size %d, want multiples of 4", what, b.label, offset, size)
	}
	return d.err == nil
}

// Scalar is an element type of device memory.
type Scalar interface {
	~uint8 | ~int8 | ~uint16 | ~int16 | ~uint32 | ~int32 | ~float32
}

// Bytes returns the bytes of s, sharing its memory. All supported platforms are little-endian, as WGSL is.
func Bytes[T Scalar](s []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(*new(T))))
}

// Params returns the bytes of a parameter struct, sharing its memory. The struct has only u32, i32 and f32 fields.
func Params[P any](p *P) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(p)), unsafe.Sizeof(*p))
}

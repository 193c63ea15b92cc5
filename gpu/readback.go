package gpu

import (
	"errors"
	"fmt"
	"math/bits"
)

const (
	// readPiece bounds the memory that Download takes besides the result.
	readPiece = 16 << 20
	// maxStaging free buffers are kept for later readbacks.
	maxStaging = 8
)

// Readback is a copy of device memory on its way to the host. End it with Wait or Discard.
type Readback struct {
	d       *Device
	staging *Buffer // nil once ended
	skip    int     // bytes before the first one wanted
	size    int
	sent    bool
	mapped  eventID
}

// DownloadLater records a copy of size bytes of b from offset. Later commands do not change the result, and waiting for it
// does not wait for what is submitted later.
func (d *Device) DownloadLater(b *Buffer, offset, size int) *Readback {
	r := &Readback{d: d, size: size}
	if size <= 0 || offset < 0 {
		d.fail("reading buffer %s: got offset %d and size %d, want at least 0 and at least 1", b.label, offset, size)
		return r
	}
	start, end := offset&^3, (offset+size+3)&^3
	if !d.usable(b, "reading", start, end-start) {
		return r
	}
	r.skip = offset - start
	staging := d.takeStaging(end - start)
	if staging == nil {
		return r
	}
	d.Copy(staging, 0, b, start, end-start)
	if d.err != nil {
		staging.Release()
		return r
	}
	r.staging = staging
	d.readbacks[r] = struct{}{}
	d.newReadbacks = append(d.newReadbacks, r)
	return r
}

// submitted starts mapping, which completes with the submit.
func (r *Readback) submitted() {
	if r.staging == nil {
		return
	}
	r.sent = true
	r.mapped = r.d.driver.Map(r.staging.handle, r.staging.size)
}

// Ready reports, without waiting, whether Wait would return at once.
func (r *Readback) Ready() bool {
	if !r.sent || r.staging == nil {
		return r.staging == nil
	}
	if r.d.pending(r.mapped) {
		r.d.driver.Poll()
	}
	return !r.d.pending(r.mapped)
}

// Wait waits for the copy, fills dst, which must have the size asked for, and ends the readback. If the copy is still in the
// recording, Wait submits it. An error of the device since its last Flush is returned but not cleared.
func (r *Readback) Wait(dst []byte) error {
	d := r.d
	if len(dst) != r.size {
		panic(fmt.Sprintf("gpu: a readback of %d bytes into %d", r.size, len(dst)))
	}
	if r.staging != nil && !r.sent {
		d.Submit()
	}
	if r.staging == nil || !r.sent {
		r.Discard()
		if d.err == nil {
			return errors.New("gpu: waiting for a readback that has ended or was never sent")
		}
		return d.err
	}
	d.driver.Wait(r.mapped)
	if s := d.driver.Status(r.mapped); s == succeeded {
		copy(dst, d.driver.Mapped(r.staging.handle, r.staging.size)[r.skip:])
	} else if d.check(nil, "mapping a readback") {
		d.fail("mapping a readback failed with status %d", s)
	}
	r.Discard()
	return d.err
}

// Discard ends the readback without waiting. Ending it twice does nothing.
func (r *Readback) Discard() {
	d := r.d
	if r.staging == nil {
		return
	}
	delete(d.readbacks, r)
	if r.sent {
		d.check(d.driver.Unmap(r.staging.handle), "unmapping a readback")
		d.driver.Forget(r.mapped)
	} else {
		// The copy is still in the recording, which needs the staging buffer until it is submitted.
		d.Submit()
		if r.sent {
			r.Discard()
			return
		}
	}
	d.giveStaging(r.staging)
	r.staging = nil
}

// Download returns size bytes of b from offset, after waiting for everything recorded so far.
func (d *Device) Download(b *Buffer, offset, size int) ([]byte, error) {
	if size < 0 || size > b.size {
		d.fail("reading buffer %s: want %d bytes, it has %d", b.label, size, b.size)
	}
	if d.err != nil {
		return nil, d.err
	}
	dst := make([]byte, size)
	for at := 0; at < size; at += readPiece {
		piece := dst[at:min(at+readPiece, size)]
		if err := d.DownloadLater(b, offset+at, len(piece)).Wait(piece); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// takeStaging returns a free staging buffer of at least size bytes. Sizes are powers of two, so that buffers can be reused.
func (d *Device) takeStaging(size int) *Buffer {
	want := max(256, 1<<bits.Len(uint(size-1)))
	for i, b := range d.staging {
		if b.size == want {
			d.staging = append(d.staging[:i], d.staging[i+1:]...)
			return b
		}
	}
	b := d.newBuffer("readback", want, forReadback)
	if b.handle == 0 {
		return nil
	}
	return b
}

func (d *Device) giveStaging(b *Buffer) {
	d.staging = append(d.staging, b)
	if len(d.staging) > maxStaging {
		d.staging[0].Release()
		d.staging = append(d.staging[:0], d.staging[1:]...)
	}
}

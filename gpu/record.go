package gpu

// maxInFlight limits the submits that wait for the device, and with them the memory of their commands when recording is
// faster than running.
const maxInFlight = 16

// openCopies makes the recording ready for commands that must be outside of a pass.
func (d *Device) openCopies() bool {
	if d.err == nil && !d.recording {
		d.recording = d.check(d.driver.Begin(), "making a command encoder")
	}
	d.endPass()
	return d.err == nil
}

func (d *Device) openPass() bool {
	if d.inPass {
		return true
	}
	if !d.openCopies() {
		return false
	}
	d.driver.BeginPass()
	d.inPass, d.passPipeline = true, nil
	return true
}

func (d *Device) endPass() {
	if d.inPass {
		d.inPass = false
		d.check(d.driver.EndPass(), "ending a compute pass")
	}
}

// Copy records a copy of size bytes between two different buffers; offsets and size are multiples of 4.
func (d *Device) Copy(dst *Buffer, dstOffset int, src *Buffer, srcOffset, size int) {
	if !d.usable(dst, "copy to", dstOffset, size) || !d.usable(src, "copy from", srcOffset, size) || size == 0 {
		return
	}
	if dst.handle == src.handle {
		d.fail("copy within buffer %s: WebGPU copies between different buffers only", src.label)
		return
	}
	if d.openCopies() {
		d.check(d.driver.Copy(dst.handle, dst.base+dstOffset, src.handle, src.base+srcOffset, size),
			"copying buffer ", src.label, " to ", dst.label)
	}
}

// Clear records setting size bytes from offset to zero, both multiples of 4.
func (d *Device) Clear(b *Buffer, offset, size int) {
	if d.usable(b, "clear", offset, size) && size > 0 && d.openCopies() {
		d.check(d.driver.Clear(b.handle, b.base+offset, size), "clearing buffer ", b.label)
	}
}

// Submit sends what is recorded without waiting for it.
func (d *Device) Submit() {
	if !d.recording {
		return
	}
	d.endPass()
	err := d.driver.Finish()
	d.recording, d.recorded = false, 0
	sent := d.newReadbacks
	d.newReadbacks = nil
	if !d.check(err, "finishing a command buffer") || d.err != nil {
		d.driver.Drop()
		return
	}
	d.driver.Send()
	d.stats.Submits++
	d.unsent = 0
	for _, r := range sent {
		r.submitted()
	}
	d.check(nil, "submitting")
	d.inFlight = append(d.inFlight, d.driver.Done())
	for len(d.inFlight) > maxInFlight {
		d.driver.Wait(d.inFlight[0])
		d.driver.Forget(d.inFlight[0])
		d.inFlight = append(d.inFlight[:0], d.inFlight[1:]...)
	}
}

// pending reports whether an event has not ended yet.
func (d *Device) pending(e eventID) bool { return d.driver.Status(e) == pending }

// wait blocks until the queue is empty.
func (d *Device) wait() {
	d.inFlight = append(d.inFlight, d.driver.Done())
	d.driver.Wait(d.inFlight[len(d.inFlight)-1])
	for _, e := range d.inFlight {
		d.driver.Forget(e)
	}
	d.inFlight = d.inFlight[:0]
}

// Flush sends what is recorded, waits until the device is idle, and returns and clears the first error since the last Flush;
// it wraps [ErrOutOfMemory] if that is the reason.
func (d *Device) Flush() error {
	d.Submit()
	if d.closed {
		return d.err
	}
	d.wait()
	d.check(nil, "running")
	err := d.err
	d.err = nil
	return err
}

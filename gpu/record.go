package gpu

import "time"

// maxInFlight bounds the submits that wait for the device, and with them the memory their commands take when
// recording is faster than running.
const maxInFlight = 16

func (d *Device) openEncoder() bool {
	if d.err != nil || d.encoder != nil {
		return d.err == nil
	}
	encoder, err := d.device.CreateCommandEncoder(nil)
	if !d.check(err, "making a command encoder") {
		return false
	}
	d.encoder = encoder
	return true
}

func (d *Device) openPass() bool {
	if d.pass != nil {
		return true
	}
	if !d.openEncoder() {
		return false
	}
	d.pass = d.encoder.BeginComputePass(nil)
	d.passPipeline = nil
	return true
}

func (d *Device) endPass() {
	if d.pass == nil {
		return
	}
	d.check(d.pass.End(), "ending a compute pass")
	d.pass.Release()
	d.pass = nil
}

// openCopies makes the encoder ready for commands that stand outside of a pass.
func (d *Device) openCopies() bool {
	if !d.openEncoder() {
		return false
	}
	d.endPass()
	return d.err == nil
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
		d.check(d.encoder.CopyBufferToBuffer(src.handle, uint64(src.base+srcOffset), dst.handle, uint64(dst.base+dstOffset), uint64(size)),
			"copying buffer ", src.label, " to ", dst.label)
	}
}

// Clear records setting size bytes from offset to zero, both multiples of 4.
func (d *Device) Clear(b *Buffer, offset, size int) {
	if d.usable(b, "clear", offset, size) && size > 0 && d.openCopies() {
		d.check(d.encoder.ClearBuffer(b.handle, uint64(b.base+offset), uint64(size)), "clearing buffer ", b.label)
	}
}

// Submit sends what is recorded without waiting for it.
func (d *Device) Submit() {
	if d.encoder == nil {
		return
	}
	d.endPass()
	commands, err := d.encoder.Finish(nil)
	d.encoder.Release()
	d.encoder, d.recorded = nil, 0
	sent := d.newReadbacks
	d.newReadbacks = nil
	if !d.check(err, "finishing a command buffer") || d.err != nil {
		if commands != nil {
			commands.Release()
		}
		return
	}
	d.queue.Submit(commands)
	commands.Release()
	d.stats.Submits++
	d.unsent = 0
	for _, r := range sent {
		r.submitted()
	}
	d.check(nil, "submitting")
	d.inFlight = append(d.inFlight, workDone(d.queue))
	for len(d.inFlight) > maxInFlight {
		d.await(d.inFlight[0])
		d.inFlight[0].free()
		d.inFlight = append(d.inFlight[:0], d.inFlight[1:]...)
	}
}

const (
	firstPause = 20 * time.Microsecond
	mostPause  = 200 * time.Microsecond
)

// await waits for an ending. It asks again and again, with pauses: wgpu-native 0.17 can block instead, but when that
// has taken five seconds it takes the work for done and frees what the device still uses.
func (d *Device) await(e ending) {
	for pause := firstPause; ; pause = min(2*pause, mostPause) {
		if d.device.Poll(false, nil); !e.pending() {
			return
		}
		time.Sleep(pause)
	}
}

// wait blocks until the queue is empty.
func (d *Device) wait() {
	d.inFlight = append(d.inFlight, workDone(d.queue))
	d.await(d.inFlight[len(d.inFlight)-1])
	for _, e := range d.inFlight {
		e.free()
	}
	d.inFlight = d.inFlight[:0]
}

// Flush sends what is recorded, waits until the device has nothing left to do, and returns the first error since the
// last Flush.
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

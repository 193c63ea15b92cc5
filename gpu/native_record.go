//go:build cgo && (darwin || ((amd64 || (arm64 && wgpu22)) && (linux || windows)))

package gpu

import "time"

const (
	firstPause = 20 * time.Microsecond
	mostPause  = 200 * time.Microsecond
)

func (d *nativeDevice) Begin() error {
	encoder, err := d.device.CreateCommandEncoder(nil)
	if err := d.made(err); err != nil {
		return err
	}
	d.encoder = encoder
	return nil
}

func (d *nativeDevice) BeginPass() { d.pass = d.encoder.BeginComputePass(nil) }

func (d *nativeDevice) EndPass() error {
	err := d.pass.End()
	d.pass.Release()
	d.pass = nil
	return failed(err)
}

func (d *nativeDevice) SetPipeline(p pipelineID) { d.pass.SetPipeline(d.pipelines.at(p).compute) }

func (d *nativeDevice) Dispatch(g groupID, x, y, z uint32) {
	d.pass.SetBindGroup(0, d.groups.at(g), nil)
	d.pass.DispatchWorkgroups(x, y, z)
}

func (d *nativeDevice) Copy(dst bufferID, dstOffset int, src bufferID, srcOffset, size int) error {
	return failed(d.encoder.CopyBufferToBuffer(d.buffers.at(src), uint64(srcOffset), d.buffers.at(dst), uint64(dstOffset), uint64(size)))
}

func (d *nativeDevice) Clear(b bufferID, offset, size int) error {
	return failed(d.encoder.ClearBuffer(d.buffers.at(b), uint64(offset), uint64(size)))
}

func (d *nativeDevice) ResolveTimestamp(query int, to bufferID) error {
	return failed(d.encoder.ResolveQuerySet(d.queries, uint32(query), 1, d.buffers.at(to), 0))
}

func (d *nativeDevice) Finish() error {
	commands, err := d.encoder.Finish(nil)
	d.encoder.Release()
	d.encoder, d.commands = nil, commands
	if err := d.made(err); err != nil {
		d.Drop()
		return err
	}
	return nil
}

func (d *nativeDevice) Send() {
	if d.commands == nil {
		d.queue.Submit()
		return
	}
	d.queue.Submit(d.commands)
	d.Drop()
}

func (d *nativeDevice) Drop() {
	if d.commands != nil {
		d.commands.Release()
		d.commands = nil
	}
}

func (d *nativeDevice) Done() eventID { return d.events.add(workDone(d.queue)) }

func (d *nativeDevice) Map(b bufferID, size int) eventID {
	return d.events.add(mapRead(d.buffers.at(b), size))
}

func (d *nativeDevice) Mapped(b bufferID, size int) []byte {
	return d.buffers.at(b).GetMappedRange(0, uint(size))
}

func (d *nativeDevice) Unmap(b bufferID) error { return failed(d.buffers.at(b).Unmap()) }

func (d *nativeDevice) Poll() { d.device.Poll(false, nil) }

// Wait polls again and again, with pauses. wgpu-native 0.17 can block instead, but after five seconds it considers the work
// done and frees what the device still uses.
func (d *nativeDevice) Wait(e eventID) {
	for pause := firstPause; ; pause = min(2*pause, mostPause) {
		if d.Poll(); d.Status(e) != pending {
			return
		}
		time.Sleep(pause)
	}
}

func (d *nativeDevice) Status(e eventID) status { return d.events.at(e).now() }

func (d *nativeDevice) Forget(e eventID) { d.events.remove(e).free() }

//go:build js

package gpu

func (d *browserDevice) Begin() error {
	d.call(callBegin)
	return nil
}

func (d *browserDevice) BeginPass() { d.call(callBeginPass) }

func (d *browserDevice) EndPass() error {
	d.call(callEndPass)
	return nil
}

func (d *browserDevice) SetPipeline(p pipelineID) { d.call(callSetPipeline, float64(p)) }

func (d *browserDevice) Dispatch(g groupID, x, y, z uint32) {
	d.call(callSetGroup, float64(g))
	d.call(callDispatch, float64(x), float64(y), float64(z))
}

func (d *browserDevice) Copy(dst bufferID, dstOffset int, src bufferID, srcOffset, size int) error {
	d.call(callCopy, float64(dst), float64(dstOffset), float64(src), float64(srcOffset), float64(size))
	return nil
}

func (d *browserDevice) Clear(b bufferID, offset, size int) error {
	d.call(callClear, float64(b), float64(offset), float64(size))
	return nil
}

func (d *browserDevice) Finish() error {
	d.call(callFinish)
	return nil
}

func (d *browserDevice) Send() {
	d.call(callSend)
	d.flush()
}

func (d *browserDevice) Drop() { d.call(callDrop) }

func (d *browserDevice) Done() eventID {
	e := d.newEvent()
	d.call(callDone, float64(e))
	return e
}

func (d *browserDevice) Map(b bufferID, size int) eventID {
	e := d.newEvent()
	d.call(callMap, float64(e), float64(b), float64(size))
	return e
}

func (d *browserDevice) newEvent() eventID {
	e := d.events.add(struct{}{})
	if int(e) > len(d.statuses) {
		d.statuses = append(d.statuses, 0)
	}
	d.statuses[e-1] = float64(pending)
	return e
}

func (d *browserDevice) Mapped(b bufferID, size int) []byte {
	data := make([]byte, size)
	d.call(callMapped, float64(b), place(&data[0]), float64(size))
	d.flush()
	return data
}

func (d *browserDevice) Unmap(b bufferID) error {
	d.call(callUnmap, float64(b))
	return nil
}

func (d *browserDevice) Poll() {
	if n := len(d.statuses); n > 0 {
		d.call(callPoll, place(&d.statuses[0]), float64(n))
		d.flush()
	}
}

// Wait waits for a promise.
func (d *browserDevice) Wait(e eventID) {
	if d.Status(e) != pending {
		return
	}
	d.call(callWait, float64(e))
	d.statuses[e-1] = float64(succeeded)
	if d.ask() != nil {
		d.statuses[e-1] = 1
	}
}

func (d *browserDevice) Status(e eventID) status { return status(d.statuses[e-1]) }

func (d *browserDevice) Forget(e eventID) {
	d.events.remove(e)
	d.call(callForget, float64(e))
}

func (d *browserDevice) NewTimestamps() error {
	d.call(callNewTimestamps, 2)
	return nil
}

func (d *browserDevice) Timestamp(query int) error {
	d.call(callTimestamp, float64(query))
	return nil
}

func (d *browserDevice) ResolveTimestamp(query int, to bufferID) error {
	d.call(callResolveTimestamp, float64(query), float64(to))
	return nil
}

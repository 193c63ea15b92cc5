//go:build js

package gpu

import (
	"errors"
	"strings"
	"syscall/js"
	"unsafe"

	"bitgpu/wgsl"
)

// The calls of browser.js, by their index in its table.
const (
	callNewBuffer = iota
	callReleaseBuffer
	callNewPipeline
	callReleasePipeline
	callNewGroup
	callReleaseGroup
	callWrite
	callBegin
	callBeginPass
	callEndPass
	callSetPipeline
	callSetGroup
	callDispatch
	callCopy
	callClear
	callFinish
	callSend
	callDrop
	callDone
	callMap
	callMapped
	callUnmap
	callPoll
	callWait
	callForget
	callNewTimestamps
	callTimestamp
	callResolveTimestamp
	callRelease
)

// browserDevice is a device of a browser. It records calls as numbers and executes them together when something is submitted
// or waited for, or when a result is needed at once.
type browserDevice struct {
	device   js.Value
	far      js.Value // executes a list of calls
	noted    []float64
	crossed  int // number of lists executed
	reports  []js.Func
	answers  chan error // results of what is waited for
	late     error
	lost     error
	statuses []float64 // of events, indexed by number − 1

	buffers   table[bufferID, struct{}]
	pipelines table[pipelineID, struct{}]
	groups    table[groupID, struct{}]
	events    table[eventID, struct{}]
}

func newBrowserDevice(device, far js.Value) *browserDevice {
	d := &browserDevice{device: device, answers: make(chan error, 1)}
	report := func(take func(error)) js.Func {
		f := js.FuncOf(func(_ js.Value, args []js.Value) any {
			var err error
			switch message := args[0].String(); {
			case len(args) > 1 && args[1].Bool():
				err = ErrOutOfMemory
			case message != "":
				err = errors.New(strings.Join(strings.Fields(message), " "))
			}
			take(err)
			return nil
		})
		d.reports = append(d.reports, f)
		return f
	}
	d.far = far.Invoke(device,
		report(func(err error) {
			if d.late == nil {
				d.late = err
			}
		}),
		report(func(err error) { d.answers <- err }),
		report(func(err error) { d.lost = errors.New("the device is lost: " + err.Error()) }))
	return d
}

// call records a call.
func (d *browserDevice) call(name float64, args ...float64) {
	d.noted = append(append(d.noted, name, float64(len(args))), args...)
}

// flush executes the recorded calls. They refer to Go memory by address, which is safe because none of it is on a stack: it
// came through an interface.
func (d *browserDevice) flush() {
	if len(d.noted) > 0 {
		js.CopyBytesToJS(d.far, unsafe.Slice((*byte)(unsafe.Pointer(&d.noted[0])), 8*len(d.noted)))
		d.noted = d.noted[:0]
		d.crossed++
	}
}

// ask executes the recorded calls and waits for the result of the last.
func (d *browserDevice) ask() error {
	d.flush()
	return <-d.answers
}

func place[T any](first *T) float64 { return float64(uintptr(unsafe.Pointer(first))) }

func (d *browserDevice) Late() error {
	if d.lost != nil {
		return d.lost
	}
	err := d.late
	d.late = nil
	return err
}

// Usage bits of the WebGPU standard: 1 map for reading, 4 copy source, 8 copy destination, 64 uniform, 128 storage, 512 query
// results.
var browserUsages = [...]float64{forStorage: 128 + 4 + 8, forUniform: 64 + 8, forReadback: 1 + 8, forQueries: 512 + 4}

func (d *browserDevice) NewBuffer(label string, size int, u usage) (bufferID, error) {
	id := d.buffers.add(struct{}{})
	d.call(callNewBuffer, float64(id), float64(size), browserUsages[u], place(unsafe.StringData(label)), float64(len(label)))
	if err := d.ask(); err != nil {
		d.buffers.remove(id)
		return 0, err
	}
	return id, nil
}

func (d *browserDevice) ReleaseBuffer(b bufferID) {
	d.buffers.remove(b)
	d.call(callReleaseBuffer, float64(b))
}

func (d *browserDevice) Write(b bufferID, offset int, data []byte) error {
	d.call(callWrite, float64(b), float64(offset), place(unsafe.SliceData(data)), float64(len(data)))
	d.flush()
	return nil
}

var browserTypes = map[wgsl.Access]float64{wgsl.Uniform: 0, wgsl.Read: 1, wgsl.ReadWrite: 2}

func (d *browserDevice) NewPipeline(label, text, entryPoint string, access []wgsl.Access) (pipelineID, error) {
	id := d.pipelines.add(struct{}{})
	args := []float64{float64(id)}
	for _, s := range []string{label, text, entryPoint} {
		args = append(args, place(unsafe.StringData(s)), float64(len(s)))
	}
	for _, a := range access {
		args = append(args, browserTypes[a])
	}
	d.call(callNewPipeline, args...)
	if err := d.ask(); err != nil {
		d.pipelines.remove(id)
		return 0, err
	}
	return id, nil
}

func (d *browserDevice) ReleasePipeline(p pipelineID) {
	d.pipelines.remove(p)
	d.call(callReleasePipeline, float64(p))
}

// NewGroup only records the call, so an error comes later.
func (d *browserDevice) NewGroup(_ string, p pipelineID, entries []entry) (groupID, error) {
	id := d.groups.add(struct{}{})
	d.noted = append(d.noted, callNewGroup, float64(2+3*len(entries)), float64(id), float64(p))
	for _, e := range entries {
		d.noted = append(d.noted, float64(e.buffer), float64(e.offset), float64(e.size))
	}
	return id, nil
}

func (d *browserDevice) ReleaseGroup(g groupID) {
	d.groups.remove(g)
	d.call(callReleaseGroup, float64(g))
}

func (d *browserDevice) Release() {
	d.call(callRelease)
	d.flush()
	for _, f := range d.reports {
		f.Release()
	}
}

package gpu

import (
	"errors"
	"fmt"
	"strings"

	"bitgpu/wgsl"
)

// ErrOutOfMemory is wrapped by errors of a device whose memory is full.
var ErrOutOfMemory = errors.New("gpu: out of device memory")

// Options choose a device.
type Options struct {
	// Adapter is an index ("0"), part of a name in upper or lower case, or "software"; "" means the best hardware GPU.
	Adapter string
	// AllowSoftware lets "" choose a software adapter if there is no hardware.
	AllowSoftware bool
	// MaxDispatches is the largest number of dispatches in a submit, so that no command buffer triggers the operating system's
	// watchdog; 0 means 2048.
	MaxDispatches int
}

// Stats counts what a device has done since it was opened. Repeating the same dispatches changes only the last two.
type Stats struct {
	Pipelines   int // compiled
	BindGroups  int // created
	Buffers     int // created, including those for parameters and readback
	ParamWrites int // parameter blocks written
	Evictions   int // bind groups dropped because there were too many
	Dispatches  int
	Submits     int
}

// Device is an opened adapter. The package comment explains how it records commands and reports errors.
type Device struct {
	info   AdapterInfo
	host   *host // not shared, see the package comment
	driver driverDevice
	err    error
	closed bool
	timer  timer

	recording     bool
	inPass        bool
	passPipeline  *Pipeline
	recorded      int // dispatches in the recording
	maxDispatches int
	inFlight      []eventID // the ends of recent submits, oldest first

	pipelines map[pipelineKey]*Pipeline
	groups    map[string]*group
	groupKey  []byte // scratch
	sweep     uint64 // groups used since the last eviction have this mark
	params    paramStore

	buffers      map[*Buffer]struct{}
	nextBuffer   uint64
	bytes, peak  uint64
	unsent       int       // bytes written since the last submit, which a driver may hold a copy of
	staging      []*Buffer // unused ones
	readbacks    map[*Readback]struct{}
	newReadbacks []*Readback // recorded but not submitted
	stats        Stats
}

// Open opens an adapter with all of its limits. The error is ErrNoDriver, ErrNoAdapter or ErrNoSuchAdapter, or says why the
// driver failed.
func Open(o Options) (*Device, error) {
	h, err := takeHost()
	if err != nil {
		return nil, err
	}
	a, err := selectAdapter(h.adapters, o)
	if err != nil {
		giveHost(h)
		return nil, err
	}
	device, err := h.Open(a.place)
	if err != nil {
		h.Release() // a browser's adapter can be used only once
		return nil, fmt.Errorf("gpu: adapter %s: the driver refuses to open it: %w", a.info, err)
	}
	d := &Device{
		info:          a.info,
		host:          h,
		driver:        device,
		maxDispatches: o.MaxDispatches,
		pipelines:     map[pipelineKey]*Pipeline{},
		groups:        map[string]*group{},
		buffers:       map[*Buffer]struct{}{},
		readbacks:     map[*Readback]struct{}{},
	}
	if d.maxDispatches <= 0 {
		d.maxDispatches = 2048
	}
	d.params.init(d)
	return d, nil
}

// Info describes the adapter.
func (d *Device) Info() AdapterInfo { return d.info }

// Limits returns the adapter's limits.
func (d *Device) Limits() Limits { return d.info.Limits }

// Stats returns the counts so far.
func (d *Device) Stats() Stats { return d.stats }

// BytesInUse returns the size of all buffers alive, including those for parameters and readback.
func (d *Device) BytesInUse() uint64 { return d.bytes }

// PeakBytes returns the maximum of BytesInUse so far.
func (d *Device) PeakBytes() uint64 { return d.peak }

// Err returns the first error since the last Flush without clearing it; it wraps [ErrOutOfMemory] if that is the reason.
func (d *Device) Err() error { return d.err }

// Fail makes err the device's error unless it already has one. It is for callers that record through the device and detect a
// mistake of their own.
func (d *Device) Fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

func (d *Device) fail(format string, args ...any) { d.Fail(fmt.Errorf("gpu: "+format, args...)) }

// check keeps an error of the driver, which may have come late. doing says what was being done, in pieces that are joined
// only if there is an error.
func (d *Device) check(err error, doing ...string) bool {
	if late := d.driver.Late(); err == nil {
		err = late
	}
	if err == nil {
		return true
	}
	d.failDoing(strings.Join(doing, ""), err)
	return false
}

func (d *Device) failDoing(doing string, err error) {
	if errors.Is(err, ErrOutOfMemory) {
		err = fmt.Errorf("%w: %s, with %d bytes in use", ErrOutOfMemory, doing, d.bytes)
	} else {
		err = fmt.Errorf("gpu: %s: %w", doing, err)
	}
	d.Fail(err)
}

// Close waits for the device and releases everything made from it. Closing twice does nothing.
func (d *Device) Close() {
	if d.closed {
		return
	}
	d.Flush()
	for r := range d.readbacks {
		r.Discard()
	}
	for _, g := range d.groups {
		d.driver.ReleaseGroup(g.bind)
	}
	for _, p := range d.pipelines {
		d.driver.ReleasePipeline(p.compute)
	}
	for b := range d.buffers {
		d.driver.ReleaseBuffer(b.handle)
	}
	clear(d.groups)
	clear(d.pipelines)
	clear(d.buffers)
	d.bytes, d.closed = 0, true
	d.Fail(errors.New("gpu: the device is closed"))
	d.driver.Release()
	d.host.Release()
}

type pipelineKey struct {
	kernel *wgsl.Kernel
	consts string
}

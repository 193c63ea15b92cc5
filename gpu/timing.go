package gpu

import (
	"encoding/binary"
	"time"

	"github.com/rajveermalviya/go-webgpu/wgpu"
)

// timer is a pair of timestamp queries.
type timer struct {
	queries *wgpu.QuerySet
	result  *Buffer
	tick    float64 // nanoseconds a tick of the device's clock, 0 before calibration
}

func (t *timer) release() {
	if t.queries != nil {
		t.queries.Release()
		t.queries = nil
	}
}

// Time runs record and everything it records, and says how long the device took: by its own clock where the adapter
// offers timestamps, else by the wall clock from submit to completion. It flushes before and after.
func (d *Device) Time(record func()) (time.Duration, error) {
	if err := d.Flush(); err != nil {
		return 0, err
	}
	if !d.info.Timestamps {
		return d.wallTime(record)
	}
	if d.timer.tick == 0 {
		if err := d.calibrate(); err != nil {
			return 0, err
		}
	}
	d.timestamp(0)
	wall, err := d.wallTime(func() {
		record()
		d.timestamp(1)
	})
	if err != nil {
		return 0, err
	}
	first, err := d.ticks(0)
	if err != nil {
		return 0, err
	}
	second, err := d.ticks(1)
	if err != nil {
		return 0, err
	}
	// A driver that offers timestamps and does not write them between passes leaves zeros.
	if second <= first {
		return wall, nil
	}
	return time.Duration(float64(second-first) * d.timer.tick), nil
}

func (d *Device) wallTime(record func()) (time.Duration, error) {
	start := time.Now()
	record()
	err := d.Flush()
	return time.Since(start), err
}

// calibrate finds the length of a tick, which WebGPU knows and wgpu-native 0.17 does not tell, from two timestamps
// that lie a known time apart.
func (d *Device) calibrate() error {
	t := &d.timer
	if t.queries == nil {
		q, err := d.device.CreateQuerySet(&wgpu.QuerySetDescriptor{Label: "timer", Type: wgpu.QueryType_Timestamp, Count: 2})
		if !d.check(err, "making a query set") {
			return d.Flush()
		}
		t.queries = q
		t.result = d.newBuffer("timestamps", wgpu.QueryResolveBufferAlignment, wgpu.BufferUsage_QueryResolve|wgpu.BufferUsage_CopySrc)
	}
	const apart = 50 * time.Millisecond
	stamp := func(query uint32) (uint64, time.Time, error) {
		d.timestamp(query)
		before := time.Now()
		if err := d.Flush(); err != nil {
			return 0, before, err
		}
		now := before.Add(time.Since(before) / 2)
		ticks, err := d.ticks(query)
		return ticks, now, err
	}
	first, from, err := stamp(0)
	if err != nil {
		return err
	}
	time.Sleep(apart)
	second, to, err := stamp(1)
	if err != nil {
		return err
	}
	t.tick = 1
	if second > first {
		t.tick = float64(to.Sub(from)) / float64(second-first)
	}
	// Most devices count nanoseconds; take that where the measurement cannot tell the difference.
	if t.tick > 0.97 && t.tick < 1.03 {
		t.tick = 1
	}
	return nil
}

func (d *Device) timestamp(query uint32) {
	if d.openCopies() {
		d.check(d.encoder.WriteTimestamp(d.timer.queries, query), "writing a timestamp")
	}
}

// ticks reads one query back.
func (d *Device) ticks(query uint32) (uint64, error) {
	if d.openCopies() {
		d.check(d.encoder.ResolveQuerySet(d.timer.queries, query, 1, d.timer.result.handle, 0), "resolving a timestamp")
	}
	raw, err := d.Read(d.timer.result, 0, 8)
	if err != nil {
		return 0, d.Flush()
	}
	return binary.LittleEndian.Uint64(raw), nil
}

package gpu

import (
	"encoding/binary"
	"time"
)

// timer is a pair of timestamp queries.
type timer struct {
	result *Buffer // nil until there are queries
	tick   float64 // nanoseconds per tick of the device's clock, 0 before calibration
}

// Time calls record, runs everything that it records, and returns how long the device took: by its own clock if the adapter
// has timestamps, otherwise by the wall clock from submit to completion. It flushes before and after.
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
	// A driver that offers timestamps but does not write them between passes leaves zeros.
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

// calibrate measures the length of a tick, which wgpu-native 0.17 does not report, by two timestamps a known time apart.
func (d *Device) calibrate() error {
	t := &d.timer
	if t.result == nil {
		if !d.check(d.driver.NewTimestamps(), "making a query set") {
			return d.Flush()
		}
		const alignment = 256 // of the buffer that queries are resolved to
		t.result = d.newBuffer("timestamps", alignment, forQueries)
	}
	const apart = 50 * time.Millisecond
	stamp := func(query int) (uint64, time.Time, error) {
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
	// Most devices count nanoseconds. Assume so where the measurement cannot tell the difference.
	if t.tick > 0.97 && t.tick < 1.03 {
		t.tick = 1
	}
	return nil
}

func (d *Device) timestamp(query int) {
	if d.openCopies() {
		d.check(d.driver.Timestamp(query), "writing a timestamp")
	}
}

// ticks downloads a query's result.
func (d *Device) ticks(query int) (uint64, error) {
	if d.openCopies() {
		d.check(d.driver.ResolveTimestamp(query, d.timer.result.handle), "resolving a timestamp")
	}
	raw, err := d.Download(d.timer.result, 0, 8)
	if err != nil {
		return 0, d.Flush()
	}
	return binary.LittleEndian.Uint64(raw), nil
}

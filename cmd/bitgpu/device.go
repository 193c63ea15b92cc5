package main

import (
	"errors"
	"fmt"

	"bitgpu"
	"bitgpu/internal/units"
	"bitgpu/nn/train/device"
)

// openDevice opens the device for training or measuring, as other commands do.
func openDevice(by computing) (*device.Device, error) {
	if by.backend == bitgpu.CPU {
		return device.CPU(), nil
	}
	return device.Open(by.backend == bitgpu.Auto, by.adapter)
}

// openAdapterDevice is openDevice for adapters, which train on the CPU unless a GPU is asked for.
func openAdapterDevice(by computing) (*device.Device, error) {
	if by.backend == bitgpu.Auto && by.adapter == "" {
		d := device.CPU()
		d.Note = "an adapter is trained there unless --backend gpu asks for a GPU"
		return d, nil
	}
	return openDevice(by)
}

// withAdvice adds which flags help if something needs too much memory.
func withAdvice(err error, flags string) error {
	var m *device.RoomError
	if !errors.As(err, &m) {
		return err
	}
	if m.Recomputed > 0 { // only --recompute off prevents it
		return fmt.Errorf("%w; --recompute on takes %s", err, units.Bytes(m.Recomputed))
	}
	if m.Batch {
		return fmt.Errorf("%w; a smaller %s takes less", err, flags)
	}
	return err
}

const trainingFlags = "--batch-size with more --accumulate"

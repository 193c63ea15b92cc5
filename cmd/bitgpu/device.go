package main

import (
	"errors"
	"fmt"

	"bitgpu"
	"bitgpu/nn/train/device"

	"github.com/urfave/cli/v2"
)

// openDevice opens what trains or measures, by the flags of computeFlags, as the other commands do.
func openDevice(c *cli.Context) (*device.Device, error) {
	backend, adapter, err := backendOf(c)
	if err != nil {
		return nil, err
	}
	if backend == bitgpu.CPU {
		return device.CPU(), nil
	}
	return device.Open(backend == bitgpu.Auto, adapter)
}

// openAdapterDevice is openDevice for adapters, which the CPU trains where nobody asks for a GPU.
func openAdapterDevice(c *cli.Context) (*device.Device, error) {
	backend, adapter, err := backendOf(c)
	if err != nil {
		return nil, err
	}
	if backend == bitgpu.Auto && adapter == "" {
		return device.CPU(), nil
	}
	return openDevice(c)
}

// withAdvice says which flags help where something takes too much memory.
func withAdvice(err error, flags string) error {
	var m *device.MemoryError
	if errors.As(err, &m) && m.Batch {
		return fmt.Errorf("%w; a smaller %s takes less", err, flags)
	}
	return err
}

const trainingFlags = "--batch-size with more --accumulate"

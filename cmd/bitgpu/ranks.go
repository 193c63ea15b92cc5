package main

import (
	"errors"
	"io"
	"strconv"

	"bitgpu"
	"bitgpu/gpu"
	"bitgpu/nn/train/ranks"

	"github.com/urfave/cli/v2"
)

// joinRanks joins the ranks of a launcher, if one started this process, gives each rank of a host the next of its hardware GPUs
// where nobody chose, and lets rank 0 alone be heard. goOn says how to go on with the training when all ranks have to end.
func joinRanks(c *cli.Context, goOn func() string) (*ranks.Ranks, error) {
	r, err := ranks.Join(ranks.Options{Stderr: c.App.ErrWriter, Sentence: sentence, ExitCode: exitCode, GoOn: goOn, KeepThreads: c.IsSet("threads")})
	if errors.Is(err, ranks.ErrCount) {
		return nil, usagef("%s: %w", c.Command.Name, err)
	}
	if err != nil {
		return nil, err
	}
	if !r.Leads() {
		c.App.Writer, c.App.ErrWriter = io.Discard, io.Discard
	}
	if n, here := r.Here(); n > 1 {
		backend, adapter, err := backendOf(c)
		if err == nil && adapter == "" && backend != bitgpu.CPU {
			if number, found := nextGPU(here); found {
				err = c.Set("adapter", strconv.Itoa(number))
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return r, r.Watch()
}

// nextGPU is the number of the hardware GPU that is a rank's, where the host has several.
func nextGPU(rank int) (number int, found bool) {
	var hardware []int
	for _, a := range gpu.Adapters() {
		if a.Hardware() {
			hardware = append(hardware, a.Index)
		}
	}
	if len(hardware) < 2 {
		return 0, false
	}
	return hardware[rank%len(hardware)], true
}

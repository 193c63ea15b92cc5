package main

import (
	"errors"
	"io"
	"strconv"

	"bitgpu"
	"bitgpu/gpu"
	"bitgpu/nn/train/ranks"
)

// joinRanks joins the ranks of a launcher, if one started this process, assigns each rank of a host the next of its hardware
// GPUs unless the user chose one, and silences all ranks but 0. goOn says how to continue the training when all ranks have to
// end.
func joinRanks(c *call, by *computing, goOn func() string) (*ranks.Ranks, error) {
	r, err := ranks.Join(ranks.Options{Stderr: c.log, Sentence: sentence, ExitCode: exitCode, GoOn: goOn, KeepThreads: c.given("threads")})
	if errors.Is(err, ranks.ErrCount) {
		return nil, usagef("%s: %w", c.command, err)
	}
	if err != nil {
		return nil, err
	}
	if !r.Leads() {
		c.out, c.log = io.Discard, io.Discard
	}
	if n, here := r.Here(); n > 1 {
		if by.adapter == "" && by.backend != bitgpu.CPU {
			if number, found := nextGPU(gpu.Adapters(), here); found {
				by.adapter = strconv.Itoa(number)
			}
		}
	}
	return r, r.Watch()
}

// nextGPU returns the number of the hardware GPU for a rank of a host, if the host has several.
func nextGPU(adapters []gpu.AdapterInfo, rank int) (number int, found bool) {
	var hardware []int
	for _, a := range adapters {
		if a.Hardware() {
			hardware = append(hardware, a.Index)
		}
	}
	if len(hardware) < 2 {
		return 0, false
	}
	return hardware[rank%len(hardware)], true
}

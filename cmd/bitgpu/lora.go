package main

import (
	"strconv"
	"strings"

	"bitgpu"
	"bitgpu/nn/storage"
	"bitgpu/nn/storage/peft"

	"github.com/urfave/cli/v2"
)

// loraFlag names adapters to apply.
func loraFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "lora",
		Usage: "apply the low-rank adapter in `FILE|DIR`, PEFT's or that of bitgpu learn; FILE=0.5 adds half of it; may be given several times"}
}

// loraFiles returns the adapters of --lora, with their weights.
func loraFiles(c *cli.Context) (paths []string, weights []float64) {
	for _, text := range c.StringSlice("lora") {
		path, weight := text, 1.0
		if at := strings.LastIndexByte(text, '='); at > 0 {
			if w, err := strconv.ParseFloat(text[at+1:], 64); err == nil {
				path, weight = text[:at], w
			}
		}
		paths, weights = append(paths, path), append(weights, weight)
	}
	return paths, weights
}

// loraOptions returns the adapters as options of bitgpu.Load.
func loraOptions(c *cli.Context) (options []bitgpu.Option) {
	paths, weights := loraFiles(c)
	for i, path := range paths {
		options = append(options, bitgpu.WithLoRA(path, weights[i]))
	}
	return options
}

// adapt makes a model use the adapters of --lora.
func adapt(c *cli.Context, model *storage.Loaded) error {
	paths, weights := loraFiles(c)
	var all []peft.Weighted
	for i, path := range paths {
		a, err := peft.Load(path, model.Config)
		if err != nil {
			return flagError("lora", err)
		}
		w, err := a.Times(weights[i])
		if err != nil {
			return usagef("%s: --lora: %v", c.Command.Name, err)
		}
		all = append(all, w)
	}
	if len(all) == 0 {
		return nil
	}
	var err error
	if model.Config.Adapter, err = peft.Join(model.Config, all...); err != nil {
		return usagef("%s: --lora: %v", c.Command.Name, err)
	}
	return nil
}

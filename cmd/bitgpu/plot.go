package main

import (
	"fmt"
	"os"
	"path/filepath"

	"bitgpu/nn/train"
	"bitgpu/view/learningcurve"

	"github.com/urfave/cli/v2"
)

func plotCommand() *cli.Command {
	return &cli.Command{
		Name:        "plot",
		Usage:       "draw the losses of training runs in one picture",
		UsageText:   "bitgpu plot [-o FILE] RUN…",
		ArgsUsage:   "RUN…",
		Description: example("A RUN is the output directory of a training, or a metrics.jsonl file.", "bitgpu plot -o loss.png first second"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: lossName, Usage: "`FILE` of the picture; its name ends in .png or .svg"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return usagef("plot: want the output directory of a training, or several")
			}
			path := c.String("output")
			if learningcurve.Format(path) == "" {
				return usagef("plot: --output: %s: want a name that ends in .png or .svg", path)
			}
			if err := drawRuns(path, c.Args().Slice()); err != nil {
				return fmt.Errorf("plot: %w", err)
			}
			return nil
		},
	}
}

// drawRuns draws training and validation loss of runs over their steps.
func drawRuns(path string, runs []string) error {
	var all []learningcurve.Run
	for i, run := range runs {
		file := run
		if info, err := os.Stat(run); err == nil && info.IsDir() {
			file = filepath.Join(run, train.MetricsName)
		}
		metrics, err := train.ReadMetrics(file)
		if err != nil {
			return err
		}
		if len(metrics) == 0 {
			return fmt.Errorf("%s: no step to draw", file)
		}
		all = append(all, learningcurve.Run{Name: runName(runs, i), Metrics: metrics})
	}
	picture, err := learningcurve.Draw(all, learningcurve.Format(path))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return writeFile(path, picture)
}

// runName returns the last part of a run's path, or all of it if another run has the same last part.
func runName(runs []string, i int) string {
	name := filepath.Base(filepath.Clean(runs[i]))
	for j, other := range runs {
		if j != i && filepath.Base(filepath.Clean(other)) == name {
			return runs[i]
		}
	}
	return name
}

package main

import (
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"
)

// begunWith are the flags that a training which goes on has from its beginning.
var begunWith = []string{"lora", "rank", "alpha", "layers", "steps", "minutes", "lr", "context", "batch-size", "shards", "pack", "seed"}

// resumeLine is the line that goes on with a training that was stopped, as a shell takes it.
func resumeLine(c *cli.Context) string {
	line := "bitgpu learn"
	for _, f := range c.Command.Flags {
		name := f.Names()[0]
		if !c.IsSet(name) || name == "resume" || slices.Contains(begunWith, name) {
			continue
		}
		switch value := c.Value(name).(type) {
		case bool:
			if value {
				line += " " + dashes(name)
			}
		case cli.StringSlice:
			for _, each := range value.Value() {
				line += " " + dashes(name) + " " + shellWord(each)
			}
		default:
			line += " " + dashes(name) + " " + shellWord(fmt.Sprint(value))
		}
	}
	return line + " --resume"
}

// goOnLearning says how to go on with a training that wrote to out, if it can.
func goOnLearning(out string) string {
	state := out + stateSuffix
	if !exists(state) {
		return ""
	}
	return fmt.Sprintf("to go on from %s: the same line with --resume, without other choices\n", state)
}

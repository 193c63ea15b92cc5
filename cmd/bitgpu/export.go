package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"bitgpu/demo"
	"bitgpu/io/modeldir"
	"bitgpu/nn/storage"

	"github.com/urfave/cli/v2"
)

func exportCommand() *cli.Command {
	return &cli.Command{
		Name:      "export",
		Usage:     "write a model in another form, packed or not",
		UsageText: "bitgpu export -m MODEL -o OUT.bitt [--pack] [--head f32|f16|int8]\nbitgpu export -m MODEL -o DIR/ [--pack] [--head f32|f16|int8]",
		Description: example("Packing stores the ternary matrices in two bits a weight; the model computes the same. Embedding and head in f16 or int8\n"+
			"are smaller and nearly the same. A packed model written without --pack has float weights again that give the same ternary\n"+
			"ones, not those it was once trained with.",
			"bitgpu export -m model.bitt -o small.bitt --pack --head f16",
			"bitgpu export -m model.bitt -o model-dir/"),
		Flags: []cli.Flag{
			modelFlag(),
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Required: true, Usage: "`OUT`: a file whose name ends in .bitt, or a directory, with a / at its end if it is new"},
			&cli.BoolFlag{Name: "pack", Usage: "store ternary weights in two bits each"},
			&cli.StringFlag{Name: "head", Usage: "`f32|f16|int8`: type of embedding and head in the file", DefaultText: "as they are"},
		},
		Action: exportAction,
	}
}

func exportAction(c *cli.Context) error {
	path := c.String("model")
	to, layout := c.String("output"), storage.Layout{Pack: c.Bool("pack"), Head: c.String("head")}
	if err := layout.Validate(); err != nil {
		return usagef("export: --%v", err)
	}
	form, err := storage.CheckTarget(to)
	if err != nil {
		return usagef("export: -o %v", err)
	}
	l, err := loadModel(path, storage.Options{})
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.Export(to, layout); err != nil {
		return err
	}
	if len(l.Ignored) > 0 {
		fmt.Fprintf(c.App.ErrWriter, "bitgpu: left out, as no part of the model: %s\n", strings.Join(l.Ignored, ", "))
	}
	fmt.Fprintf(c.App.ErrWriter, "bitgpu: %s, %s, from %s\n", to, byteCount(modelSize(to, form)), byteCount(modelSize(path, l.Files.Form)))
	return nil
}

// modelSize is the bytes of a model's files, or, without a path, of the demo.
func modelSize(path string, form modeldir.Form) int64 {
	if path == "" {
		return int64(len(demo.Model))
	}
	if form != modeldir.Dir {
		info, err := os.Stat(path)
		if err != nil {
			return 0
		}
		return info.Size()
	}
	var total int64
	for _, name := range []string{modeldir.ConfigName, modeldir.TokenizerName, modeldir.TensorsName} {
		if info, err := fs.Stat(os.DirFS(path), name); err == nil {
			total += info.Size()
		}
	}
	return total
}

// siblingConfig is where the config.json of a lone safetensors file would be.
func siblingConfig(path string) string { return filepath.Join(filepath.Dir(path), modeldir.ConfigName) }

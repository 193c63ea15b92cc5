package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"bitgpu/demo"
	"bitgpu/internal/units"
	"bitgpu/io/modeldir"
	"bitgpu/nn/storage"
	"bitgpu/nn/storage/public"

	"github.com/urfave/cli/v2"
)

func exportCommand() *cli.Command {
	return &cli.Command{
		Name:  "export",
		Usage: "write a model in another form, packed or not",
		UsageText: "bitgpu export -m MODEL -o OUT.bitt [--pack] [--head f32|f16|int8]\nbitgpu export -m MODEL -o DIR/ [--pack] [--head f32|f16|int8]\n" +
			"bitgpu export -m MODEL -o OUT.gguf [--type pq2_0|q2_0|tq2_0|i2_s]",
		Description: example("Packing stores the ternary matrices in two bits a weight; the model computes the same. Embedding and head in f16 or int8\n"+
			"are smaller and nearly the same. A packed model written without --pack has float weights again that give the same ternary\n"+
			"ones, not those it was once trained with.\n"+
			"A model of a public family is written with the same codes and scales, as .bitt, as GGUF, whose --type is otherwise the one that\n"+
			"holds its scales, or as a directory as Hugging Face has them. What a form cannot say is refused.",
			"bitgpu export -m model.bitt -o small.bitt --pack --head f16",
			"bitgpu export -m model.bitt -o model-dir/"),
		Flags: []cli.Flag{
			modelFlag(), mastersFlag(),
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Required: true, Usage: "`OUT`: a file whose name ends in .bitt or .gguf, or a directory, with a / at its end if it is new"},
			&cli.BoolFlag{Name: "pack", Usage: "store ternary weights in two bits each"},
			&cli.StringFlag{Name: "head", Usage: "`f32|f16|int8`: type of embedding and head in the file", DefaultText: "as they are"},
			&cli.StringFlag{Name: "type", Usage: "`pq2_0|q2_0|tq2_0|i2_s`: type of ternary weights in a .gguf file", DefaultText: "what holds their scales"},
		},
		Action: exportAction,
	}
}

func exportAction(c *cli.Context) error {
	path := c.String("model")
	to, layout := c.String("output"), storage.Layout{Pack: c.Bool("pack"), Head: c.String("head"), Type: c.String("type")}
	if err := layout.Validate(); err != nil {
		return usagef("export: --%v", err)
	}
	form := modeldir.Bitt // stands for any single file
	if !public.IsGGUF(to) {
		var err error
		if form, err = storage.CheckTarget(to); err != nil {
			return usagef("export: -o %s: want a name that ends in .bitt or .gguf, or a directory, with a / at its end if it is new", to)
		}
		if layout.Type != "" {
			return usagef("export: --type: got %q, which is for files that end in .gguf", layout.Type)
		}
	}
	options, err := publicOptions(c)
	if err != nil {
		return err
	}
	l, err := loadModel(path, options)
	if err != nil {
		return err
	}
	defer l.Close()
	if l.Public == nil && public.IsGGUF(to) {
		return usagef("export: -o %s: want a name that ends in .bitt, or a directory: a model of our own has no form in GGUF", to)
	}
	if err := l.Export(to, layout); err != nil {
		return err
	}
	if len(l.Ignored) > 0 {
		fmt.Fprintf(c.App.ErrWriter, "bitgpu: left out, as no part of the model: %s\n", strings.Join(l.Ignored, ", "))
	}
	fmt.Fprintf(c.App.ErrWriter, "bitgpu: %s, %s, from %s\n", to, units.Bytes(modelSize(to, form)), units.Bytes(modelSize(path, sourceForm(path, l))))
	return nil
}

// sourceForm returns the form in which a loaded model is stored.
func sourceForm(path string, l *storage.Loaded) modeldir.Form {
	if l.Files != nil {
		return l.Files.Form
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return modeldir.Dir
	}
	return modeldir.Bitt
}

// modelSize returns the bytes of a model's files, or of the demo if there is no path.
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
	names, _ := filepath.Glob(filepath.Join(path, "*.safetensors"))
	for i, name := range names {
		names[i] = filepath.Base(name)
	}
	for _, name := range append(names, modeldir.ConfigName, modeldir.TokenizerName) {
		if info, err := fs.Stat(os.DirFS(path), name); err == nil {
			total += info.Size()
		}
	}
	return total
}

// siblingConfig returns where the config.json of a single safetensors file would be.
func siblingConfig(path string) string { return filepath.Join(filepath.Dir(path), modeldir.ConfigName) }

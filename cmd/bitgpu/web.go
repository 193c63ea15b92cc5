package main

import (
	"fmt"

	"bitgpu/demo"
	"bitgpu/internal/units"
	"bitgpu/web"

	"github.com/urfave/cli/v2"
)

func webCommand() *cli.Command {
	return &cli.Command{
		Name:  "web",
		Usage: "write the page that runs models in a browser",
		Description: example("Writes a static page into a folder, for any web server: it runs the demo, or a model that its user opens, within the\n"+
			"browser, on WebGPU or the CPU. Nothing is sent to the server. Browsers want https, or an address of this computer.",
			"bitgpu web -o page",
			"python3 -m http.server --directory page --bind 127.0.0.1"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "output-dir", Aliases: []string{"o"}, Usage: "write into the folder `DIR`", Required: true},
		},
		Action: func(c *cli.Context) error {
			size, err := web.Write(c.String("output-dir"), demo.Model, licenses)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.App.ErrWriter, "bitgpu: wrote %s of page into %s\n", units.Bytes(size), c.String("output-dir"))
			return err
		},
	}
}

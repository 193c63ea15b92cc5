package main

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"

	"github.com/urfave/cli/v2"
)

// licenses are made by go run ./internal/licenses.
//
//go:embed licenses.txt.gz
var licenses []byte

func licensesCommand() *cli.Command {
	return &cli.Command{
		Name:        "licenses",
		Usage:       "show the licences of this program and of everything in it",
		Description: example("", "bitgpu licenses"),
		Action: func(c *cli.Context) error {
			r, err := gzip.NewReader(bytes.NewReader(licenses))
			if err != nil {
				return err
			}
			_, err = io.Copy(c.App.Writer, r)
			return err
		},
	}
}

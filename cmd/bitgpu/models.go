package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"bitgpu/internal/units"
	"bitgpu/nn"
	"bitgpu/nn/arch/known"
	"bitgpu/nn/op"

	"github.com/urfave/cli/v2"
)

func modelsCommand() *cli.Command {
	return &cli.Command{
		Name:      "models",
		Usage:     "list public models that bitgpu runs, and where to get them",
		UsageText: "bitgpu models [--json]",
		Description: example("Lists ternary models that others have published, in forms that bitgpu reads, with what they take in memory: the weights as\n"+
			"they are packed, and keys and values of a token in float16 (in float32 twice as much). Nothing is downloaded: the names\n"+
			"are those of repositories on Hugging Face, to be got with any program for that. Sizes are counted from the shapes that\n"+
			"are known of them; bitgpu inspect shows those of a file.",
			"bitgpu models",
			"bitgpu models --json"),
		Flags: []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "write JSON"}},
		Action: func(c *cli.Context) error {
			if c.Bool("json") {
				e := json.NewEncoder(c.App.Writer)
				e.SetIndent("", "  ")
				return e.Encode(describeModels())
			}
			// Three lines per model, since one would be too wide for most windows. A line without tabs would end the columns, so it is
			// written around the table.
			var table bytes.Buffer
			w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "model\tparameters\tweights\tKV a token\tstate\tcontext")
			models := describeModels()
			for _, m := range models {
				state := "—"
				if m.State > 0 {
					state = units.Bytes(m.State)
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\n", m.Name, million(m.Parameters), units.Bytes(m.Weights), units.Bytes(m.Cache), state, m.Context)
			}
			if err := w.Flush(); err != nil {
				return err
			}
			rows := strings.SplitAfter(table.String(), "\n")
			fmt.Fprint(c.App.Writer, rows[0])
			for i, m := range models {
				fmt.Fprintf(c.App.Writer, "%s    %s, %s\n    %s\n", rows[i+1], m.Repository, m.Licence, m.Forms)
			}
			return nil
		},
	}
}

// modelInfo is an entry of the list.
type modelInfo struct {
	Name       string `json:"name"`
	Repository string `json:"repository"` // on Hugging Face
	Forms      string `json:"forms"`
	Licence    string `json:"licence"`
	Family     string `json:"family"`
	Parameters int    `json:"parameters"`
	Weights    int64  `json:"weight_bytes"`
	Cache      int64  `json:"kv_bytes_per_token_f16"`
	State      int64  `json:"state_bytes"`
	Context    int    `json:"context"`
}

func describeModels() (list []modelInfo) {
	for _, k := range known.Models() {
		c := k.Config(k.Context)
		list = append(list, modelInfo{
			k.Name, k.Repository, k.Forms, k.Licence, k.Family, c.ParamCount(), c.WeightBytes(c.Packing()), c.Decoder.CacheBytes(2), c.Decoder.StateBytes(), k.Context,
		})
	}
	return list
}

// million returns a number of parameters in millions or billions.
func million(n int) string {
	if n >= 1e9 {
		return fmt.Sprintf("%.2f billion", float64(n)/1e9)
	}
	return fmt.Sprintf("%.0f million", float64(n)/1e6)
}

// largestPublic returns the bytes of the largest buffer of a public model that cannot be split: keys of a layer, or a matrix.
func largestPublic(c nn.Config) int64 {
	d := c.Decoder
	largest := 4 * int64(d.Context) * int64(d.KVHeads) * int64(d.HeadWidth)
	for _, p := range nn.Params(c) {
		if p.Layer >= 0 {
			largest = max(largest, int64(op.Count(p.Shape))/4)
		}
	}
	return largest
}

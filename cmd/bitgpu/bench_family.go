package main

import (
	"fmt"
	"os"
	"strings"

	"bitgpu/bench"
	"bitgpu/bench/family"
	"bitgpu/internal/units"

	"github.com/urfave/cli/v2"
)

// list are the parts of a flag between commas.
func list(c *cli.Context, flag string) (all []string) {
	for part := range strings.SplitSeq(c.String(flag), ",") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}

// familiesOf are those that --family names.
func familiesOf(c *cli.Context) (all []family.Family, err error) {
	for _, name := range list(c, "family") {
		f, err := family.Find(name)
		if err != nil {
			return nil, usagef("bench: --%v", err)
		}
		all = append(all, f)
	}
	return all, nil
}

// familyOptions reads the flags of public families.
func familyOptions(c *cli.Context, o *bench.Options) (err error) {
	if o.Families, err = familiesOf(c); err != nil {
		return err
	}
	o.Types = list(c, "type")
	switch {
	case len(o.Families) > 0:
		err = refuseIdle(c, "--family names shapes of its own", "dim", "layers", "vocab", "mixer")
	case c.IsSet("type"):
		err = usagef("bench: --type has nothing to act on without --family")
	}
	if err == nil && c.IsSet("type") && !c.IsSet("peer") {
		err = usagef("bench: --type has nothing to act on without --peer or --write-gguf: the engines compute on the weights as they are made")
	}
	return err
}

// writeFamily writes a family with random weights to a file.
func writeFamily(c *cli.Context) error {
	err := refuseIdle(c, "--write-gguf measures nothing",
		"full", "only", "dim", "layers", "vocab", "mixer", "batch", "peer", "json", "html", "from", "compare")
	if err != nil {
		return err
	}
	all, err := familiesOf(c)
	if err != nil {
		return err
	}
	types := list(c, "type")
	if len(all) != 1 || len(types) > 1 {
		return usagef("bench: --write-gguf: got %d families and %d types, want one family and one type at most", len(all), len(types))
	}
	f := all[0]
	if c.Bool("quick") {
		f = f.Tiny()
	}
	l, err := f.Layout(strings.Join(types, ""))
	if err != nil {
		return usagef("bench: --%v", err)
	}
	path := c.String("write-gguf")
	if err := f.WriteGGUF(path, l); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "%s: %s with random weights as %v, %s\n", path, f.Name, l, units.Bytes(info.Size()))
	return nil
}

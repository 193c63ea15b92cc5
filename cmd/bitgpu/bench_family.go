package main

import (
	"fmt"
	"os"
	"strings"

	"bitgpu/bench"
	"bitgpu/bench/family"
	"bitgpu/internal/units"
)

// list splits a text at commas.
func list(text string) (all []string) {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}

// familyFlags are bench's flags for public families.
type familyFlags struct {
	*call
	names, types []string
}

// find finds families by name.
func (f familyFlags) find() (all []family.Family, err error) {
	for _, name := range f.names {
		found, err := family.Find(name)
		if err != nil {
			return nil, usagef("bench: --%v", err)
		}
		all = append(all, found)
	}
	return all, nil
}

// options sets what to measure for families.
func (f familyFlags) options(o *bench.Options) (err error) {
	if o.Families, err = f.find(); err != nil {
		return err
	}
	o.Types = f.types
	switch {
	case len(o.Families) > 0:
		err = refuseIdle(f.call, "--family names shapes of its own", "dim", "layers", "vocab", "mixer")
	case f.given("type"):
		err = usagef("bench: --type has nothing to act on without --family")
	}
	if err == nil && f.given("type") && !f.given("peer") {
		err = usagef("bench: --type has nothing to act on without --peer or --write-gguf: the engines compute on the weights as they are made")
	}
	return err
}

// write writes a family with random weights to a file.
func (f familyFlags) write(path string, tiny bool) error {
	err := refuseIdle(f.call, "--write-gguf measures nothing",
		"full", "only", "dim", "layers", "vocab", "mixer", "batch", "peer", "json", "html", "from", "compare")
	if err != nil {
		return err
	}
	all, err := f.find()
	if err != nil {
		return err
	}
	if len(all) != 1 || len(f.types) > 1 {
		return usagef("bench: --write-gguf: got %d families and %d types, want one family and one type at most", len(all), len(f.types))
	}
	model := all[0]
	if tiny {
		model = model.Tiny()
	}
	l, err := model.Layout(strings.Join(f.types, ""))
	if err != nil {
		return usagef("bench: --%v", err)
	}
	if err := model.WriteGGUF(path, l); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	fmt.Fprintf(f.out, "%s: %s with random weights as %v, %s\n", path, model.Name, l, units.Bytes(info.Size()))
	return nil
}

package main

import (
	"flag"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
)

// decimalFlags has flags of whole numbers read 010 as ten. The standard library takes it for octal, and refuses 08, but
// a loop over "seq -w" means tens.
func decimalFlags(flags []cli.Flag) {
	for i, f := range flags {
		switch f.(type) {
		case *cli.IntFlag, *cli.Uint64Flag:
			flags[i] = decimalFlag{f.(valueFlag)}
		}
	}
}

// valueFlag is what the library asks of a flag with a value, to set it and to describe it.
type valueFlag interface {
	cli.DocGenerationFlag
	cli.VisibleFlag
	cli.CategorizableFlag
	cli.RequiredFlag
	RunAction(*cli.Context) error
}

type decimalFlag struct{ valueFlag }

func (f decimalFlag) Apply(set *flag.FlagSet) error {
	if err := f.valueFlag.Apply(set); err != nil {
		return err
	}
	for _, name := range f.Names() {
		known := set.Lookup(name)
		known.Value = decimal{known.Value.(flag.Getter)}
	}
	return nil
}

// decimal is a whole number that is written without a base.
type decimal struct{ flag.Getter }

func (d decimal) Set(text string) error {
	digits := strings.TrimLeft(text, "+-")
	sign := text[:len(text)-len(digits)]
	if _, err := strconv.ParseUint(digits, 10, 64); err != nil || len(sign) > 1 {
		return strconv.ErrSyntax
	}
	if digits = strings.TrimLeft(digits, "0"); digits == "" {
		digits = "0"
	}
	return d.Getter.Set(sign + digits)
}

package main

import (
	"flag"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
)

// decimalFlags makes flags parse numbers the way people write them. The standard library treats 010 as octal and refuses 08,
// although a loop over "seq -w" means decimals, and accepts 1_0 and 0x1p3.
func decimalFlags(flags []cli.Flag) {
	for i, f := range flags {
		switch f.(type) {
		case *cli.IntFlag, *cli.Uint64Flag, *cli.Float64Flag:
			flags[i] = decimalFlag{f.(valueFlag)}
		}
	}
}

// valueFlag is what the library needs to set and describe a flag with a value.
type valueFlag interface {
	cli.DocGenerationFlag
	cli.VisibleFlag
	cli.CategorizableFlag
	cli.RequiredFlag
	RunAction(*cli.Context) error
}

type decimalFlag struct{ valueFlag }

// real reports whether the flag accepts fractions.
func (f decimalFlag) real() bool {
	_, ok := f.valueFlag.(*cli.Float64Flag)
	return ok
}

// takes says what the flag accepts instead of what it got.
func (f decimalFlag) takes(got string) string {
	switch f.valueFlag.(type) {
	case *cli.Float64Flag:
		return "a number"
	case *cli.Uint64Flag:
		return fmt.Sprintf("a whole number from 0 to %d", uint64(math.MaxUint64))
	}
	if strings.Trim(got, "-+0123456789") == "" {
		return fmt.Sprintf("a whole number of at most %d", math.MaxInt)
	}
	return "a whole number"
}

func (f decimalFlag) Apply(set *flag.FlagSet) error {
	if err := f.valueFlag.Apply(set); err != nil {
		return err
	}
	for _, name := range f.Names() {
		known := set.Lookup(name)
		if f.real() {
			known.Value = decimalReal{known.Value.(flag.Getter)}
		} else {
			known.Value = decimal{known.Value.(flag.Getter)}
		}
	}
	return nil
}

// decimal is an integer written without a base prefix.
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

// decimalReal is a number written without a base prefix.
type decimalReal struct{ flag.Getter }

func (d decimalReal) Set(text string) error {
	if strings.ContainsAny(text, "_xX") {
		return strconv.ErrSyntax
	}
	return d.Getter.Set(text)
}

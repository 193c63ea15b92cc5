package main

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"
)

// Every flag of numbers reads decimals, whatever zeros they begin with, and nothing else.
func TestNumbersAreDecimal(t *testing.T) {
	defer restoreThreads(runtime.GOMAXPROCS(0))
	app := newApp(nil, nil, nil)
	tried := 0
	for _, command := range app.Commands {
		for _, f := range command.Flags {
			if _, decimal := f.(decimalFlag); !decimal {
				switch f.(type) {
				case *cli.StringFlag, *cli.StringSliceFlag, *cli.BoolFlag, *cli.DurationFlag: // a duration is decimal
				default:
					t.Errorf("%s %s: a %T, does it read 010 as ten?", command.Name, f.Names()[0], f)
				}
				continue
			}
			tried++
			wanted := map[string]any{"010": 10, "08": 8, "0": 0, "000": 0, "7": 7, "0x10": nil, "1_0": nil, "": nil, "1.5": nil, "+-3": nil}
			if f.(decimalFlag).real() {
				wanted = map[string]any{"010": 10., "08.5": 8.5, "0": 0., "1e2": 100., "-1": -1., "0x1p3": nil, "1_0": nil, "": nil, "x": nil}
			}
			for text, want := range wanted {
				if want == 0 && f.Names()[0] == "threads" {
					continue
				}
				var got any
				command := &cli.Command{Name: "try", Flags: []cli.Flag{f}, Action: func(c *cli.Context) error {
					switch got = c.Value(f.Names()[0]); v := got.(type) {
					case uint64:
						got = int(v)
					}
					return nil
				}}
				try := &cli.App{Commands: []*cli.Command{command}, ExitErrHandler: func(*cli.Context, error) {}, Writer: &strings.Builder{}, ErrWriter: &strings.Builder{}}
				err := try.Run([]string{"bitgpu", "try", dashes(f.Names()[0]) + "=" + text})
				if got != want || (err != nil) != (want == nil) {
					t.Errorf("%s %s=%s: got %v, want %v, %v", command.Name, f.Names()[0], text, got, want, err)
				}
			}
		}
	}
	if tried < 20 {
		t.Errorf("%d flags tried", tried)
	}
	if a, b := bitgpuRun("", "run", "-p", "x", "-n", "010", "--seed", "010"), bitgpuRun("", "run", "-p", "x", "-n", "10", "--seed", "10"); a != b || a.code != 0 {
		t.Errorf("got %+v, want %+v", a, b)
	}
	refuse(t, exitUsage, bitgpuRun("", "run", "-p", "x", "-n", "0x10"), `run: -n: got "0x10", want a whole number`)
	refuse(t, exitUsage, bitgpuRun("", "run", "-p", "x", "--temp", "1_0"), `run: --temp: got "1_0", want a number`)
	refuse(t, exitUsage, bitgpuRun("", "run", "-p", "x", "--seed", "-1"), `run: --seed: got "-1", want a whole number from 0 to 18446744073709551615`)
	refuse(t, exitUsage, bitgpuRun("", "run", "-p", "x", "-n", "99999999999999999999"), `got "99999999999999999999", want a whole number of at most 9223372036854775807`)
}

func TestShellWord(t *testing.T) {
	for word, want := range map[string]string{
		"model": "model", "/a/b-c_d.e": "/a/b-c_d.e", "größe": "größe", "": "''", "my model": "'my model'", "it's": `'it'\''s'`,
		"$HOME": "'$HOME'", "a*": "'a*'", "~x": "'~x'", "a\nb": "'a\nb'", `a"b\c`: `'a"b\c'`,
	} {
		if got := quoted("linux", word); got != want {
			t.Errorf("%q: got %s, want %s", word, got, want)
		}
	}
	for word, want := range map[string]string{`C:\a\model.bitt`: `C:\a\model.bitt`, `C:\my model`: `"C:\my model"`, "it's": `"it's"`, "": `""`} {
		if got := quoted("windows", word); got != want {
			t.Errorf("on Windows, %q: got %s, want %s", word, got, want)
		}
	}
}

// The clock of some systems stands still while a few tokens are read.
func TestSpeedOfAStandingClock(t *testing.T) {
	for took, want := range map[time.Duration]string{0: "2 tokens in less than the clock can tell", time.Second: "2 tokens in 1s, 2.0 tokens/s"} {
		if got := speed(2, took); got != want {
			t.Errorf("%v: got %q, want %q", took, got, want)
		}
	}
}

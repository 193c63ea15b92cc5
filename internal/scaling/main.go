// Command scaling estimates the cost of adding gradients over many ranks, with a model of latency and bandwidth:
//
//	go run ./internal/scaling table                                          # of docs/scale.md
//	go run ./internal/scaling table -latency 20us -bandwidth 25 -shards 64   # of another network
//	go build -tags mpi -o bin/scaling ./internal/scaling && mpirun -n 2 bin/scaling measure
//
// A message of n bytes takes α + n/β. measure fits α and β to messages between ranks 0 and 1 of a launcher, and table adds up
// the messages of a step, which are those of a training ([train.Messages]). "make scaling" does both on this machine.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"bitgpu/nn/train"
	"bitgpu/nn/train/mpi"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "scaling: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) == 0 || args[0] != "table" && args[0] != "measure" {
		return fmt.Errorf("got %q, want table or measure", args)
	}
	f := flag.NewFlagSet(args[0], flag.ContinueOnError)
	if args[0] == "measure" {
		rounds := f.Int("rounds", 200, "messages of each size")
		if err := f.Parse(args[1:]); err != nil {
			return err
		}
		if *rounds < 1 {
			return fmt.Errorf("rounds: got %d, want 1 or more", *rounds)
		}
		return measure(*rounds, out)
	}
	latency := f.Duration("latency", 0, "of a message, in place of the networks of the table")
	bandwidth := f.Float64("bandwidth", 0, "in Gbit/s, with -latency")
	shards := f.Int("shards", mostRanks, "of a step, a power of two")
	gradient := f.String("gradient", train.GradientF32, "f32 or bf16")
	asJSON := f.Bool("json", false, "for programs")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	networks := usual
	switch {
	case *shards < 2 || *shards&(*shards-1) != 0:
		return fmt.Errorf("shards: got %d, want a power of two", *shards)
	case *gradient != train.GradientF32 && *gradient != train.GradientBF16:
		return fmt.Errorf("gradient: got %q, want f32 or bf16", *gradient)
	case (*latency > 0) != (*bandwidth > 0):
		return fmt.Errorf("latency and bandwidth: got one of them, want both")
	case *latency > 0:
		networks = []network{{fmt.Sprintf("%v Gbit/s", *bandwidth), line{latency.Seconds(), *bandwidth * 1e9 / 8}}}
	}
	rows := table(networks, *shards, *gradient)
	if *asJSON {
		return json.NewEncoder(out).Encode(rows)
	}
	return print(out, networks, rows)
}

// measure exchanges messages between ranks 0 and 1, and prints the line fitted to their times. Other ranks wait.
func measure(rounds int, out io.Writer) error {
	world, err := mpi.Start()
	if err != nil {
		return err
	}
	if world == nil {
		return fmt.Errorf("measure: got one process, want two ranks of a launcher: mpirun -n 2")
	}
	defer world.Close()
	if world.Size() < 2 {
		return fmt.Errorf("measure: got %d rank, want two or more", world.Size())
	}
	points, err := exchange(world, rounds)
	if err != nil || world.Rank() > 0 {
		return err
	}
	fmt.Fprintln(out, "measured: bytes each way at once, and the median time of", rounds, "exchanges")
	for _, p := range points {
		fmt.Fprintf(out, "%9.0f  %v\n", p.bytes, time.Duration(p.seconds*float64(time.Second)).Round(100*time.Nanosecond))
	}
	l := fit(points)
	fmt.Fprintf(out, "fitted: α %v, β %.3g Gbit/s; the fit is off by %.0f %% of a time at most\n",
		time.Duration(l.latency*float64(time.Second)).Round(100*time.Nanosecond), l.bandwidth*8/1e9, 100*l.worst(points))
	rows := table([]network{{"this network", l}}, mostRanks, train.GradientF32)
	return print(out, []network{{"this network", l}}, rows)
}

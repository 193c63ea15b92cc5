// Command load lets many clients write with a server at once, and prints how long they wait: for the first token, and from one to
// the next.
//
//	bitgpu serve -m MODEL --parallel 64 &
//	go run ./bench/load http://127.0.0.1:8080
//
// The server is any that has OpenAI's /v1/completions with streams. With --peer it is measured beside another, by turns at each number
// of clients, and with --bare beside the engine without a server: what a server costs. bench/load/run.sh starts the servers for both.
//
// The mix: of 20 requests 14 have a prompt of 24 words and want 64 tokens, 5 one of 200 words and want 128, and 1 one of 1,500 words
// and wants 32. Each prompt begins with a number of its own, so that no beginning is known from before. A client sends its next
// request when the last has ended. The order is drawn by a seed, the same for both servers.
//
// # Why
//
// Why clients that wait, and not arrivals at a rate? The waits then say what the server does at that number of streams; at a rate
// that it cannot serve they would say how long the queue was.
//
// Why are pieces timed and not tokens? A client sees pieces. A server that sends two tokens in one is waited for twice as long.
//
// Why do the clients share the processor with what they measure? Whoever has a second machine gives the address of the first. On one, what
// they take is counted as the server's, and none of it for the bare engine.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"strings"

	"bitgpu"
)

// kind is a kind of request of the mix.
type kind struct{ share, words, tokens int }

var mix = []kind{{14, 24, 64}, {5, 200, 128}, {1, 1500, 32}}

var words = strings.Fields("the sea was calm and the ship went on its way while the old man told of a storm that had come from the north in winter")

// How texts are drawn.
const (
	temperature = 0.8
	seedOfTexts = 1
)

// job is one request.
type job struct {
	prompt string
	tokens int
}

// jobs draws n requests of the mix, with one of so many words of each prompt.
func jobs(n int, seed uint64, divide int) []job {
	random := rand.New(rand.NewPCG(seed, 0))
	all := make([]job, n)
	for i := range all {
		at := random.IntN(20)
		k := mix[0]
		for _, k = range mix {
			if at -= k.share; at < 0 {
				break
			}
		}
		text := []string{strconv.Itoa(random.IntN(1 << 30))}
		for range max(k.words/divide, 1) {
			text = append(text, words[random.IntN(len(words))])
		}
		all[i] = job{strings.Join(text, " "), k.tokens}
	}
	return all
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	streams := flags.String("streams", "1,8,32,64", "numbers of clients, one after the other")
	requests := flags.Int("requests", 200, "requests at each number of clients")
	seed := flags.Uint64("seed", 1, "of the mix")
	rounds := flags.Int("rounds", 1, "times that each is measured at each number of clients")
	divide := flags.Int("divide", 1, "divide the words of prompts, for a tokenizer that makes a token of each letter")
	peer := flags.String("peer", "", "another server, measured by turns")
	model := flags.String("bare", "", "the model that the server has, measured by turns without a server, on the CPU engine of this process")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || min(*requests, *rounds, *divide) < 1 {
		return fmt.Errorf("got %d addresses, %d requests, %d rounds and prompts divided by %d, want one, such as http://127.0.0.1:8080, and one or more",
			flags.NArg(), *requests, *rounds, *divide)
	}
	var most int
	var streamsOf []int
	for _, text := range strings.Split(*streams, ",") {
		clients, err := strconv.Atoi(text)
		if err != nil || clients < 1 {
			return fmt.Errorf("--streams: got %q, want numbers of 1 or more between commas", text)
		}
		streamsOf, most = append(streamsOf, clients), max(most, clients)
	}
	targets := []target{newServer(flags.Arg(0), most)}
	if *peer != "" {
		targets = append(targets, newServer(*peer, most))
	}
	if *model != "" {
		m, err := bitgpu.Load(*model, bitgpu.WithBackend(bitgpu.CPU))
		if err != nil {
			return err
		}
		defer m.Close()
		targets = append(targets, &bare{m})
	}
	fmt.Fprintf(out, "%d requests each: of 20, 14 with %d words for 64 tokens, 5 with %d for 128, 1 with %d for 32\n", *requests, 24 / *divide, 200 / *divide, 1500 / *divide)
	fmt.Fprintf(out, "clients  %-23s  %-23s  %8s  %8s\n", "first token, ms", "between tokens, ms", "tokens", "tokens/s")
	fmt.Fprintf(out, "         %[1]s  %[1]s\n", "    p50     p95     p99")
	for _, clients := range streamsOf {
		all := jobs(*requests, *seed, *divide)
		for _, to := range targets {
			measure(ctx, to, all[:min(len(all), clients)], clients) // what is done once
		}
		var measured [][]*waits
		for round := range *rounds {
			row := make([]*waits, len(targets))
			for i := range targets {
				i = (i + round) % len(targets) // none is always the first
				w := measure(ctx, targets[i], jobs(*requests, *seed+1+uint64(round), *divide), clients)
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if w.write(out, targets[i], clients); len(w.first) == 0 {
					return fmt.Errorf("%s: no request was answered", targets[i].name())
				}
				row[i] = w
			}
			measured = append(measured, row)
		}
		compare(out, targets, measured)
	}
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

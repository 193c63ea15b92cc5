// Command load lets many clients write with a server at once, and prints how long they wait: for the first token, and from one to
// the next.
//
//	bitgpu serve -m MODEL --parallel 64 &
//	go run ./bench/load http://127.0.0.1:8080
//
// The server is any that has OpenAI's /v1/completions with streams. With --peer it is measured beside another, such as llama.cpp's
// with the same shape, the same number of threads and as many slots, by turns at each number of clients:
//
//	llama-server -m MODEL.gguf --threads 2 --parallel 64 --ctx-size 262144 --port 8081 &
//	go run ./bench/load --peer http://127.0.0.1:8081 http://127.0.0.1:8080
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
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// kind is a kind of request of the mix.
type kind struct{ share, words, tokens int }

var mix = []kind{{14, 24, 64}, {5, 200, 128}, {1, 1500, 32}}

var words = strings.Fields("the sea was calm and the ship went on its way while the old man told of a storm that had come from the north in winter")

// job is one request.
type job struct {
	prompt string
	tokens int
}

// jobs draws n requests of the mix.
func jobs(n int, seed uint64) []job {
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
		for range k.words {
			text = append(text, words[random.IntN(len(words))])
		}
		all[i] = job{strings.Join(text, " "), k.tokens}
	}
	return all
}

// waits is what clients of a server have waited.
type waits struct {
	first, between []time.Duration
	tokens         int
	took           time.Duration
	failed         map[string]int // by what was said
}

// send sends one request and adds what it took.
func (w *waits) send(ctx context.Context, client *http.Client, server string, j job, mu *sync.Mutex) error {
	body, err := json.Marshal(map[string]any{
		"prompt": j.prompt, "max_tokens": j.tokens, "temperature": 0.8, "seed": 1, "stream": true, "stream_options": map[string]any{"include_usage": true},
	})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, "POST", server+"/v1/completions", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	last := time.Now()
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(answer.Body, 200))
		return fmt.Errorf("status %d: %s", answer.StatusCode, bytes.TrimSpace(said))
	}
	var first []time.Duration
	var between []time.Duration
	tokens := 0
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !ok || string(data) == "[DONE]" {
			continue
		}
		var v struct {
			Choices []struct{ Text string }
			Usage   *struct {
				Tokens int `json:"completion_tokens"`
			}
			Error *struct{ Message string }
		}
		if err := json.Unmarshal(data, &v); err != nil {
			return err
		}
		if v.Error != nil {
			return fmt.Errorf("%s", v.Error.Message)
		}
		if v.Usage != nil {
			tokens = v.Usage.Tokens
		}
		if len(v.Choices) == 0 || v.Choices[0].Text == "" {
			continue
		}
		now := time.Now()
		if first == nil {
			first = append(first, now.Sub(last))
		} else {
			between = append(between, now.Sub(last))
		}
		last = now
	}
	mu.Lock()
	defer mu.Unlock()
	w.first, w.between = append(w.first, first...), append(w.between, between...)
	w.tokens += tokens
	return lines.Err()
}

// measure has so many clients send all jobs.
func measure(ctx context.Context, server string, all []job, clients int) *waits {
	w := &waits{failed: map[string]int{}}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	queue := make(chan job)
	var mu sync.Mutex
	var group sync.WaitGroup
	begin := time.Now()
	for range clients {
		group.Go(func() {
			for j := range queue {
				if err := w.send(ctx, client, server, j, &mu); err != nil {
					mu.Lock()
					w.failed[err.Error()]++
					mu.Unlock()
				}
			}
		})
	}
	for _, j := range all {
		queue <- j
	}
	close(queue)
	group.Wait()
	w.took = time.Since(begin)
	return w
}

// percentiles are p50, p95 and p99 in milliseconds, by the nearest rank.
func percentiles(all []time.Duration) string {
	if len(all) == 0 {
		return "      -       -       -"
	}
	slices.Sort(all)
	var b strings.Builder
	for _, p := range []int{50, 95, 99} {
		rank := (p*len(all) + 99) / 100
		fmt.Fprintf(&b, "%7.1f ", all[rank-1].Seconds()*1000)
	}
	return strings.TrimRight(b.String(), " ")
}

func (w *waits) write(out io.Writer, server string, clients int) {
	fmt.Fprintf(out, "%7d  %s  %s  %8.1f  %s\n", clients, percentiles(w.first), percentiles(w.between), float64(w.tokens)/w.took.Seconds(), server)
	for said, n := range w.failed {
		fmt.Fprintf(out, "         %d requests failed: %s\n", n, said)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	streams := flags.String("streams", "1,8,32,64", "numbers of clients, one after the other")
	requests := flags.Int("requests", 200, "requests at each number of clients")
	seed := flags.Uint64("seed", 1, "of the mix")
	peer := flags.String("peer", "", "another server, measured by turns")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || *requests < 1 {
		return fmt.Errorf("got %d addresses and %d requests, want one, such as http://127.0.0.1:8080, and one or more", flags.NArg(), *requests)
	}
	servers := []string{flags.Arg(0)}
	if *peer != "" {
		servers = append(servers, *peer)
	}
	fmt.Fprintf(out, "%d requests each: of 20, 14 with 24 words for 64 tokens, 5 with 200 for 128, 1 with 1500 for 32\n", *requests)
	fmt.Fprintf(out, "clients  %-23s  %-23s  %8s\n", "first token, ms", "between tokens, ms", "tokens/s")
	fmt.Fprintf(out, "         %[1]s  %[1]s\n", "    p50     p95     p99")
	for _, text := range strings.Split(*streams, ",") {
		clients, err := strconv.Atoi(text)
		if err != nil || clients < 1 {
			return fmt.Errorf("--streams: got %q, want numbers of 1 or more between commas", text)
		}
		all := jobs(*requests, *seed)
		for _, server := range servers {
			measure(ctx, server, all[:min(len(all), clients)], clients).write(io.Discard, server, clients) // what a server does once
			w := measure(ctx, server, jobs(*requests, *seed+1), clients)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if w.write(out, server, clients); len(w.first) == 0 {
				return fmt.Errorf("%s: no request was answered", server)
			}
		}
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

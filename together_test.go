package bitgpu_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"bitgpu"
	"bitgpu/demo"
)

// Streams that write at the same time, some of which stop early or are slow, each write what they write alone.
func TestStreamsTogether(t *testing.T) {
	m, err := bitgpu.LoadBytes(demo.Name, demo.Model, bitgpu.WithBackend(bitgpu.CPU))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	const streams = 12
	prompt := func(i int) string { return fmt.Sprint("ROMEO:", "What is this "[:i%13]) }
	options := func(i int) bitgpu.Options {
		return bitgpu.Options{MaxTokens: 5 + 2*i, Temperature: 0.9, Seed: uint64(i)}
	}
	var want [streams]string
	for i := range streams {
		if want[i], err = m.Generate(t.Context(), prompt(i), options(i)); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	slow := make(chan struct{})
	for i := range streams {
		all.Go(func() {
			got, pieces := "", 0
			_, err := m.Stream(t.Context(), prompt(i), options(i), func(piece string) bool {
				if pieces++; i == 0 && pieces == 2 {
					<-slow // until most others have ended
				}
				got += piece
				return i%5 != 4 || pieces < 3
			})
			if err != nil || got != want[i] && (i%5 != 4 || len(got) > len(want[i]) || got != want[i][:len(got)]) {
				t.Errorf("stream %d wrote %q (%v), want %q", i, got, err, want[i])
			}
			if i == streams-1 {
				close(slow)
			}
		})
	}
	all.Wait()
}

// Streams under way end when the model is closed, also those that wait for each other.
func TestClosingStreamsTogether(t *testing.T) {
	m, err := bitgpu.LoadBytes(demo.Name, demo.Model, bitgpu.WithBackend(bitgpu.CPU))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var once sync.Once
	for i := range 6 {
		all.Go(func() {
			pieces := 0
			_, err := m.Stream(t.Context(), "ROMEO:", bitgpu.Options{MaxTokens: 100_000, Temperature: 1, Seed: uint64(i)}, func(string) bool {
				if pieces++; pieces == 4 {
					once.Do(func() { m.Close() })
				}
				return true
			})
			if !errors.Is(err, bitgpu.ErrClosed) {
				t.Errorf("got %v, want %v", err, bitgpu.ErrClosed)
			}
		})
	}
	all.Wait()
}

package main

import (
	"fmt"
	"io"
	"time"

	"bitgpu"
	"bitgpu/nn/webgpu"
)

// showStats writes what an answer took.
func showStats(w io.Writer, s *bitgpu.Session, r bitgpu.Result, seed uint64) {
	m := s.Model()
	fmt.Fprintf(w, "\nprompt  %s\n", speed(r.PromptTokens, r.PromptTime))
	fmt.Fprintf(w, "text    %s, ended by %s, seed %d\n", speed(r.Tokens, r.TextTime), r.Reason, seed)
	lookahead := 1
	if m.Backend() == bitgpu.GPU {
		lookahead = webgpu.Lookahead
	}
	need := m.Config().Footprint(1, lookahead)
	fmt.Fprintf(w, "memory  weights %s, work %s, session %s", byteCount(m.WeightBytes()), byteCount(need.Workspace), byteCount(need.Session))
	if peak := m.PeakDeviceBytes(); peak > 0 {
		fmt.Fprintf(w, ", the GPU %s at most", byteCount(peak))
	}
	if peak := peakMemory(); peak > 0 {
		fmt.Fprintf(w, ", the whole program %s at most", byteCount(peak))
	}
	fmt.Fprintf(w, "; %d tokens read since the memory was empty\n", s.Position())
	fmt.Fprintf(w, "device  %s\n", m.Device())
}

func speed(tokens int, took time.Duration) string {
	if tokens == 0 {
		return "0 tokens"
	}
	if took <= 0 { // the clock of some systems does not move in so short a time
		return fmt.Sprintf("%d tokens in less than the clock can tell", tokens)
	}
	return fmt.Sprintf("%d tokens in %v, %.1f tokens/s", tokens, took.Round(10*time.Microsecond), float64(tokens)/took.Seconds())
}

// byteCount writes a number of bytes for people, in powers of 1000.
func byteCount(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	x := float64(n)
	i := 0
	for x >= 999.5 && i < len(units)-1 {
		x /= 1000
		i++
	}
	if i == 0 || x >= 100 {
		return fmt.Sprintf("%.0f %s", x, units[i])
	}
	return fmt.Sprintf("%.1f %s", x, units[i])
}

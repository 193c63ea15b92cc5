package main

import (
	"fmt"
	"io"
	"time"

	"bitgpu"
	"bitgpu/internal/units"
	"bitgpu/nn/webgpu"
)

// showStats writes the speed of an answer.
func showStats(w io.Writer, s *bitgpu.Session, r bitgpu.Result, seed uint64) {
	m := s.Model()
	fmt.Fprintf(w, "\nprompt  %s\n", speed(r.PromptTokens, r.PromptTime))
	fmt.Fprintf(w, "text    %s, ended by %s, seed %d\n", speed(r.Tokens, r.TextTime), r.Reason, seed)
	lookahead := 1
	if m.Backend() == bitgpu.GPU {
		lookahead = webgpu.Lookahead
	}
	need := m.Config().Footprint(1, lookahead)
	fmt.Fprintf(w, "memory  weights %s, work %s, session %s", units.Bytes(m.WeightBytes()), units.Bytes(need.Workspace), units.Bytes(need.Session))
	if peak := m.PeakDeviceBytes(); peak > 0 {
		fmt.Fprintf(w, ", the GPU %s at most", units.Bytes(peak))
	}
	if peak := peakMemory(); peak > 0 {
		fmt.Fprintf(w, ", the whole program %s at most", units.Bytes(peak))
	}
	fmt.Fprintf(w, "; %d tokens read since the memory was empty\n", s.Position())
	fmt.Fprintf(w, "device  %s\n", m.Device())
}

func speed(tokens int, took time.Duration) string {
	if tokens == 0 {
		return "0 tokens"
	}
	if took <= 0 { // the clock of some systems is too coarse
		return fmt.Sprintf("%d tokens in less than the clock can tell", tokens)
	}
	return fmt.Sprintf("%d tokens in %v, %.1f tokens/s", tokens, took.Round(10*time.Microsecond), float64(tokens)/took.Seconds())
}

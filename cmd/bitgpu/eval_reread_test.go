package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/nn/train"
)

// The table and the JSON say the same, a row a length, and what cannot be measured is refused before anything is.
func TestEvalRereads(t *testing.T) {
	m := model("d32-delta")
	data := writeText(t, filepath.Join(t.TempDir(), "a.txt"), strings.Repeat("the ship sailed home, and the ship sailed out again. ", 40))
	args := []string{"eval", "-m", m, "--backend", "cpu", "--data", data, "--reread", "--passages", "5", "--lengths", "8, 16"}
	table, _ := mustRun(t, args...)
	out, _ := mustRun(t, append(args, "--json")...)
	var rows []train.Reread
	if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) != 2 || rows[0].Length != 8 || rows[1].Length != 16 || rows[1].Passages != 5 {
		t.Fatalf("got %s, want rows of 8 and 16 tokens (%v)", out, err)
	}
	for _, r := range rows {
		if r.First <= 0 || r.Again <= 0 || r.After <= 0 {
			t.Errorf("got %+v, want losses", r)
		}
		if want := fmt.Sprintf("%6d  %13.4f  %6.4f  %13.4f\n", r.Length, r.First, r.Again, r.After); !strings.Contains(table, want) {
			t.Errorf("want %q in %s", want, table)
		}
	}
	eval := func(more ...string) []string { return append([]string{"eval", "-m", m, "--data", data}, more...) }
	fails(t, exitUsage, "eval: --lengths: got \"x\", want whole numbers from 2 on, such as 32,64", eval("--reread", "--lengths", "8,x")...)
	fails(t, exitUsage, "eval: --passages: got 1, want 2 or more", eval("--reread", "--passages", "1")...)
	fails(t, exitUsage, "eval: --batch-size has nothing to act on: --reread reads", eval("--reread", "--batch-size", "2")...)
	fails(t, exitUsage, "eval: --passages has nothing to act on: it is for --reread", eval("--passages", "2")...)
	fails(t, exitError, "its 1363 tokens hold 21 passages of 64 tokens, want 40", eval("--reread")...)
}

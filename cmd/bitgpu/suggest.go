package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"github.com/xrash/smetrics"
)

// Other programs' names for our flags and commands.
var (
	otherFlagNames = map[string][]string{
		"device": {"backend", "adapter"}, "gpu": {"backend", "adapter"}, "cpu": {"backend"}, "engine": {"backend"},
		"num-threads": {"threads"}, "jobs": {"threads"}, "cores": {"threads"}, "workers": {"threads"},
		"temperature": {"temp"}, "tokens": {"max-tokens"}, "length": {"max-tokens"}, "max-new-tokens": {"max-tokens"}, "n-predict": {"max-tokens"},
		"repetition-penalty": {"repeat-penalty"}, "text": {"prompt"}, "input": {"prompt", "data"}, "verbose": {"stats"}, "state": {"memory"},
		"epochs": {"steps"}, "iterations": {"steps"}, "iters": {"steps"}, "max-steps": {"steps"}, "learning-rate": {"lr"},
		"width": {"dim"}, "hidden-dim": {"dim"}, "hidden-size": {"dim"}, "d-model": {"dim"}, "depth": {"layers"}, "num-layers": {"layers"}, "n-layer": {"layers"},
		"ctx": {"context", "context-len"}, "seq-len": {"context-len"}, "block-size": {"context-len"}, "sequence-length": {"context-len"}, "ctx-size": {"context", "context-len"}, "n-ctx": {"context", "context-len"}, "num-ctx": {"context"},
		"system-prompt": {"system"}, "reasoning": {"think"}, "chat-template": {"template"},
		"out": {"output", "output-dir"}, "output": {"output-dir", "png"}, "output-dir": {"output"}, "dir": {"output-dir"},
		"init": {"load"}, "pretrained": {"load"}, "checkpoint": {"resume", "model"}, "continue": {"resume"}, "dataset": {"data", "input"}, "corpus": {"data", "input"},
		"data": {"input"}, "file": {"data", "input", "model"}, "vocab": {"vocab-size"}, "save-every": {"save-interval"}, "eval-every": {"val-every"},
		"wd": {"weight-decay"}, "clip": {"grad-clip"}, "quantize": {"pack"}, "dtype": {"head"}, "window": {"png"},
	}
	otherCommandNames = map[string]string{
		"generate": "run", "gen": "run", "complete": "run", "infer": "run", "sample": "run", "ask": "chat", "talk": "chat", "converse": "chat",
		"finetune": "train", "fine-tune": "train", "fit": "train", "pretrain": "train", "resume": "train", "convert": "export", "quantize": "export", "pack": "export",
		"info": "inspect", "show": "inspect", "dump": "inspect", "gpus": "devices", "list": "models", "ls": "models", "pull": "models", "download": "models", "adapters": "devices",
		"perplexity": "eval", "ppl": "eval", "test": "eval", "encode": "tokenize", "decode": "tokenize", "benchmark": "bench",
		"prepare": "data", "preprocess": "data", "watch": "view", "draw": "plot", "graph": "plot", "tokenizer": "vocab", "completions": "completion",
	}
)

// nearest returns the candidate that was probably meant by a word, "" if none is near. The word may be the beginning or the
// last part of the candidate, or begin with all of it; otherwise one mistake in three letters is accepted.
func nearest(word string, candidates []string) string {
	word = strings.ToLower(strings.ReplaceAll(word, "_", "-"))
	best, least := "", (len(word)+2)/3+1
	for _, candidate := range candidates {
		short := min(len(word), len(candidate))
		if short < 2 {
			continue
		}
		off := smetrics.WagnerFischer(word, candidate, 1, 1, 1)
		if short >= 3 && (word[:short] == candidate[:short] || strings.HasSuffix(candidate, "-"+word)) {
			off = min(off, 1)
		}
		if off < least {
			best, least = candidate, off
		}
	}
	return best
}

// suggestCommand suggests the command that may have been meant.
func suggestCommand(commands []*cli.Command, word string) string {
	var names []string
	for _, c := range commands {
		names = append(names, c.Name)
	}
	hint := otherCommandNames[strings.ToLower(word)]
	if hint == "" {
		hint = nearest(word, names)
	}
	if hint == "" {
		return "; bitgpu help lists them"
	}
	return fmt.Sprintf("; did you mean %q?", hint)
}

// suggestFlag suggests the flag that may have been meant.
func suggestFlag(flags []cli.Flag, word string) string {
	names := []string{"help"}
	for _, f := range flags {
		names = append(names, f.Names()...)
	}
	for _, other := range otherFlagNames[strings.ToLower(strings.ReplaceAll(word, "_", "-"))] {
		if slices.Contains(names, other) {
			return fmt.Sprintf("; did you mean %q?", dashes(other))
		}
	}
	if hint := nearest(word, names); hint != "" {
		return fmt.Sprintf("; did you mean %q?", dashes(hint))
	}
	return ""
}

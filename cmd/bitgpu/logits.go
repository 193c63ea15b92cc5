package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"bitgpu"
	"bitgpu/internal/units"
	"bitgpu/io/atomicfile"
	"bitgpu/io/regular"
	"bitgpu/io/safetensors"
	"bitgpu/nn"
	"bitgpu/nn/train/device"

	"github.com/urfave/cli/v2"
)

func logitsCommand() *cli.Command {
	return &cli.Command{
		Name:      "logits",
		Usage:     "write a model's logits and memory for comparison with other engines",
		UsageText: "bitgpu logits -m MODEL (--tokens 1,2,3 | --tokens-file F.u32 | -p TEXT) -o OUT.safetensors [flags]",
		Description: example("Writes tokens I32 (T), logits F32 (T, V), and of each layer i the memory after the last token: state.{i}, F32 (d, d)\n"+
			"or with heads (h, c, c), and for the delta mixer conv.{i}, F32 (3, 3, d). Of a GGUF or Hugging Face model it is, after T tokens,\n"+
			"key.{i} and value.{i} (T, heads, width) of layers with attention, and state.{i} (heads, value, key) and conv.{i} (taps − 1,\n"+
			"channels) of layers with the gated delta rule, heads in the order of Hugging Face.",
			"bitgpu logits -m model.bitt --tokens 1,2,3 -o logits.safetensors",
			"bitgpu logits -m model.bitt -p 'ROMEO:' --rule minibatch --chunk 16 -o logits.safetensors"),
		Flags: slices.Concat(
			group("Model", modelFlags(
				&cli.StringFlag{Name: "rule", Value: nn.RuleSequential, Usage: "`sequential|minibatch`: how the memory learns"},
				&cli.IntFlag{Name: "chunk", Usage: "`N` tokens that the rule takes together; changes the minibatch rule's result, not the sequential one's", DefaultText: "16, or the model's"},
			)...),
			group("Text",
				&cli.StringFlag{Name: "tokens", Usage: "token ids `1,2,3`"},
				&cli.StringFlag{Name: "tokens-file", Usage: "`FILE` of token ids, little-endian uint32"},
				&cli.StringFlag{Name: "prompt", Aliases: []string{"p"}, Usage: "`TEXT`, which gets the tokenizer's special tokens"},
			),
			group("Output",
				&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Required: true, Usage: "safetensors `FILE` to write"}),
			computeFlags(),
		),
		Action: logitsAction,
	}
}

func logitsAction(c *cli.Context) error {
	given := 0
	for _, name := range []string{"tokens", "tokens-file", "prompt"} {
		if c.IsSet(name) {
			given++
		}
	}
	if given != 1 {
		return usagef("logits: got %d of --tokens, --tokens-file and -p, want one", given)
	}
	if c.IsSet("chunk") && c.Int("chunk") < 1 {
		return usagef("logits: --chunk: got %d, want 1 or more", c.Int("chunk"))
	}
	tokens, err := givenTokens(c)
	if err != nil {
		return err
	}
	if err := atomicfile.Check(c.String("output")); err != nil {
		return flagError("output", err)
	}
	m, err := openModel(c)
	if err != nil {
		return err
	}
	defer m.Close()
	if c.IsSet("prompt") {
		if tokens, err = m.Encode(c.String("prompt"), true); err != nil {
			return err
		}
	}
	if len(tokens) == 0 {
		return fmt.Errorf("%s: %w", tokenSource(c), bitgpu.ErrEmptyPrompt)
	}
	if err := checkLogits(len(tokens), m.Config().Vocab, device.FreeMemory()); err != nil {
		return fmt.Errorf("%s: %w", tokenSource(c), err)
	}
	if m.Context() > 0 {
		if err := refuseIdle(callOf(c), "a model of a public family does not learn by a rule", "rule", "chunk"); err != nil {
			return err
		}
	}
	s, err := m.NewSession(bitgpu.WithRule(c.String("rule"), c.Int("chunk")))
	if err != nil {
		return err
	}
	defer s.Close()
	tensors, err := compute(s, tokens)
	if errors.Is(err, bitgpu.ErrTokenRange) {
		return fmt.Errorf("%s: %w", tokenSource(c), err)
	}
	if err != nil {
		return err
	}
	metadata := map[string]string{"model": m.ID(), "rule": c.String("rule"), "device": m.Device()}
	return safetensors.WriteFile(c.String("output"), tensors, metadata)
}

// checkLogits refuses logits (tokens, vocab) that do not fit into free bytes, because the file is built in memory.
func checkLogits(tokens, vocab int, free int64) error {
	if need := 4 * float64(tokens) * float64(vocab); need > float64(free) {
		return fmt.Errorf("the logits of %d tokens take %s of memory, and %s are free", tokens, units.Bytes(int64(min(need, 1<<62))), units.Bytes(free))
	}
	return nil
}

// tokenSource names the source of the tokens.
func tokenSource(c *cli.Context) string {
	switch {
	case c.IsSet("tokens"):
		return "--tokens"
	case c.IsSet("tokens-file"):
		return "--tokens-file: " + c.String("tokens-file")
	}
	return "-p"
}

// givenTokens returns the tokens of --tokens or --tokens-file.
func givenTokens(c *cli.Context) ([]uint32, error) {
	switch {
	case c.IsSet("tokens"):
		ids, err := parseTokens(c.String("tokens"))
		if err != nil {
			return nil, usagef("logits: --tokens: %v", err)
		}
		return ids, nil
	case c.IsSet("tokens-file"):
		return readTokens(c.String("tokens-file"))
	}
	return nil, nil
}

// parseTokens reads 1,2,3 or 1 2 3.
func parseTokens(text string) ([]uint32, error) {
	var ids []uint32
	for _, field := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(", \t\r\n[]", r) }) {
		id, err := strconv.ParseUint(field, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("got %q, want token ids separated by commas", field)
		}
		ids = append(ids, uint32(id))
	}
	return ids, nil
}

// readTokens reads raw little-endian uint32 ids.
func readTokens(path string) ([]uint32, error) {
	data, err := regular.ReadFile(path)
	if err != nil {
		return nil, flagError("tokens-file", err)
	}
	if len(data)%4 != 0 {
		return nil, fmt.Errorf("--tokens-file: %s: got %d bytes, want a multiple of 4, as uint32 ids take", path, len(data))
	}
	ids := make([]uint32, len(data)/4)
	for i := range ids {
		ids[i] = binary.LittleEndian.Uint32(data[4*i:])
	}
	return ids, nil
}

// compute reads tokens and makes the tensors of the file.
func compute(s *bitgpu.Session, tokens []uint32) ([]safetensors.Tensor, error) {
	vocab := s.Model().Config().Vocab
	logits := make([]float32, 0, len(tokens)*vocab)
	err := s.ForwardAll(tokens, func(_ int, rows []float32) error {
		logits = append(logits, rows...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	ids := make([]int32, len(tokens))
	for i, id := range tokens {
		ids[i] = int32(id)
	}
	tensors := []safetensors.Tensor{
		safetensors.FromInt32s("tokens", []int{len(ids)}, ids),
		safetensors.FromFloat32s("logits", []int{len(ids), vocab}, logits),
	}
	if s.Model().Config().Decoder != nil {
		states, err := s.States()
		for _, t := range states {
			tensors = append(tensors, safetensors.FromFloat32s(t.Name, t.Shape, t.Values))
		}
		return tensors, err
	}
	layers, err := s.Memory()
	if err != nil {
		return nil, err
	}
	for i, l := range layers {
		tensors = append(tensors, safetensors.FromFloat32s(fmt.Sprintf("state.%d", i), l.Shape, l.W))
		if l.Tail != nil {
			tensors = append(tensors, safetensors.FromFloat32s(fmt.Sprintf("conv.%d", i), l.TailShape, l.Tail))
		}
	}
	return tensors, nil
}

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"bitgpu/io/gguf"
	"bitgpu/io/modeldir"
	"bitgpu/io/regular"
	"bitgpu/io/tokenizer"

	"github.com/urfave/cli/v2"
)

func tokenizeCommand() *cli.Command {
	return &cli.Command{
		Name:      "tokenize",
		Usage:     "turn text into token ids, or back",
		UsageText: "bitgpu tokenize (-m MODEL | --tokenizer FILE) [-p TEXT] [flags]\nbitgpu tokenize (-m MODEL | --tokenizer FILE) [flags] < FILE",
		Description: example("Writes a line for each token of the text, which is -p or all of stdin: its id and its piece as the tokenizer has it.",
			"bitgpu tokenize -m model.bitt -p 'ROMEO: hello'",
			"bitgpu tokenize -m model.bitt --ids -p 'ROMEO: hello'",
			"bitgpu tokenize -m model.bitt --decode 1,2,3",
			`echo '"one line"' | bitgpu tokenize -m model.bitt --jsonl`),
		Flags: []cli.Flag{
			modelFlag(),
			&cli.StringFlag{Name: "tokenizer", Usage: "`FILE` of a tokenizer, tokenizer.json, instead of a model"},
			&cli.StringFlag{Name: "prompt", Aliases: []string{"p"}, Usage: "`TEXT` to turn into tokens"},
			&cli.BoolFlag{Name: "ids", Usage: "write the ids only, separated by commas"},
			&cli.BoolFlag{Name: "special", Usage: "add the tokens that the tokenizer puts around a text; with --decode, show special tokens"},
			&cli.StringFlag{Name: "decode", Usage: "write the text of the token ids `1,2,3`"},
			&cli.BoolFlag{Name: "jsonl", Usage: "read a JSON string a line, write a JSON array of ids a line"},
		},
		Action: tokenizeAction,
	}
}

func tokenizeAction(c *cli.Context) error {
	if c.IsSet("model") && c.IsSet("tokenizer") {
		return usagef("tokenize: got both -m MODEL and --tokenizer FILE, want one of them")
	}
	if c.IsSet("decode") && (c.IsSet("prompt") || c.Bool("jsonl") || c.Bool("ids")) || c.Bool("jsonl") && (c.IsSet("prompt") || c.Bool("ids")) {
		return usagef("tokenize: --decode and --jsonl stand alone, apart from --special")
	}
	tok, err := openTokenizer(c.String("model"), c.String("tokenizer"))
	if err != nil {
		return err
	}
	out := bufio.NewWriter(c.App.Writer)
	switch {
	case c.IsSet("decode"):
		err = decodeTokens(out, tok, c.String("decode"), c.Bool("special"))
	case c.Bool("jsonl"):
		err = tokenizeLines(out, tok, c.App.Reader, c.Bool("special"))
	default:
		text := c.String("prompt")
		if !c.IsSet("prompt") {
			data, err := readText(c.App.Reader, mostText())
			if err != nil {
				return fmt.Errorf("stdin: %w", err)
			}
			text = string(data)
		}
		var ids []uint32
		if ids, err = tok.Encode(text, c.Bool("special")); err == nil {
			writeTokens(out, tok, ids, c.Bool("ids"))
		}
	}
	return errors.Join(err, out.Flush())
}

// openTokenizer reads the tokenizer of a model, without the weights, or of a file.
func openTokenizer(model, file string) (*tokenizer.Tokenizer, error) {
	if file != "" {
		data, err := regular.ReadFile(file)
		if err != nil {
			return nil, flagError("tokenizer", err)
		}
		return tokenizer.Parse(file, data)
	}
	switch {
	case model != "" && isGGUF(model):
		f, err := gguf.Open(model)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		tok, _, err := tokenizer.FromGGUF(f)
		return tok, err
	case model != "" && isHF(model):
		return hfTokenizer(model)
	}
	m, err := openFiles(model)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	if m.Tokenizer == nil {
		return nil, fmt.Errorf("%s: the model has no tokenizer", m.TokenizerPath)
	}
	return tokenizer.Parse(m.TokenizerPath, m.Tokenizer)
}

// hfTokenizer reads the tokenizer of a directory in Hugging Face's form, or the one beside tensors in such a directory.
func hfTokenizer(path string) (*tokenizer.Tokenizer, error) {
	if filepath.Ext(path) == ".safetensors" {
		path = filepath.Dir(path)
	}
	file := filepath.Join(path, modeldir.TokenizerName)
	data, err := regular.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: the model has no tokenizer", file)
	}
	if err != nil {
		return nil, err
	}
	return tokenizer.Parse(file, data)
}

func writeTokens(out *bufio.Writer, tok *tokenizer.Tokenizer, ids []uint32, idsOnly bool) {
	for i, id := range ids {
		switch piece, _ := tok.Token(id); {
		case !idsOnly:
			fmt.Fprintf(out, "%d\t%s\n", id, strconv.Quote(piece))
		case i > 0:
			fmt.Fprintf(out, ",%d", id)
		default:
			fmt.Fprint(out, id)
		}
	}
	if idsOnly {
		out.WriteByte('\n')
	}
}

func decodeTokens(out *bufio.Writer, tok *tokenizer.Tokenizer, list string, special bool) error {
	ids, err := parseTokens(list)
	if err != nil {
		return usagef("tokenize: --decode: %v", err)
	}
	for _, id := range ids {
		if int64(id) >= int64(tok.Size()) {
			return fmt.Errorf("--decode: got %d, want an id below %d", id, tok.Size())
		}
	}
	out.WriteString(tok.Decode(ids, !special))
	return out.WriteByte('\n')
}

// tokenizeLines converts lines with a JSON string each to lines with a JSON array of ids each.
func tokenizeLines(out *bufio.Writer, tok *tokenizer.Tokenizer, in io.Reader, special bool) error {
	r, most, enc := bufio.NewReaderSize(in, 1<<16), mostText(), tok.NewEncoder()
	for n := 1; ; n++ {
		line, err := readTextLine(r, most)
		if err != nil && err != io.EOF {
			return fmt.Errorf("stdin: line %d: %w", n, err)
		}
		if strings.TrimSpace(line) != "" {
			var text *string
			if json.Unmarshal([]byte(line), &text) != nil || text == nil {
				return fmt.Errorf("stdin: line %d: got %.40q, want a JSON string", n, strings.TrimSpace(line))
			}
			enc.Expect(len(*text))
			ids, err := enc.Encode(*text, special)
			if err != nil {
				return fmt.Errorf("stdin: line %d: %w", n, err)
			}
			list, err := json.Marshal(append([]uint32{}, ids...))
			if err != nil {
				return err
			}
			out.Write(append(list, '\n'))
		}
		if err == io.EOF {
			return nil
		}
	}
}

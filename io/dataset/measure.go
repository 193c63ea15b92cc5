package dataset

import (
	"iter"
	"os"
	"path/filepath"
	"strings"

	"bitgpu/io/corpus"
	"bitgpu/io/tokenizer"
)

// IsTokenFile recognises token files by their extensions, which give the width of an id.
func IsTokenFile(path string) bool {
	ext := strings.ToLower(filepath.Ext(path))
	return ext == ".u16" || ext == ".u32"
}

// IsTokens reports whether path is a data directory or a token file, as opposed to text.
func IsTokens(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir() || IsTokenFile(path)
}

// EstimateBytes estimates how many bytes of text path has without reading it: three for each token, and three times the size
// of a compressed file. Text that a data directory has several times counts once. What cannot be read counts as 0.
func EstimateBytes(path string) (total int64) {
	if IsTokens(path) && !IsTokenFile(path) {
		meta, err := corpus.ReadMeta(filepath.Join(path, corpus.MetaName))
		if err != nil {
			return 0
		}
		return meta.Train.Bytes/int64(max(meta.Copies, 1)) + meta.Val.Bytes
	}
	files, err := corpus.Files([]string{path})
	if err != nil {
		return 0
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			continue
		}
		size := info.Size()
		switch strings.ToLower(filepath.Ext(file)) {
		case ".gz":
			size *= 3
		case ".u32":
			size = size / 4 * 3
		case ".u16":
			size = size / 2 * 3
		}
		total += size
	}
	return total
}

// TextBytes returns how many bytes of text the tokens after the first stand for, not counting special tokens. The loss of
// predicting them is divided by this to give bits per byte.
func TextBytes(tok *tokenizer.Tokenizer, pieces iter.Seq2[[]uint32, error]) (int64, error) {
	stream := tok.NewStream(true)
	total, first, begun := 0, 0, false
	for ids, err := range pieces {
		if err != nil {
			return 0, err
		}
		for _, id := range ids {
			total += len(stream.Next(id))
			if !begun {
				first, begun = len(tok.Decode([]uint32{id}, true)), true
			}
		}
	}
	total += len(stream.Flush())
	return int64(total - first), nil
}

// Text returns the text of tokens, without special tokens.
func Text(tok *tokenizer.Tokenizer, pieces iter.Seq2[[]uint32, error]) ([]byte, error) {
	var text []byte
	stream := tok.NewStream(true)
	for ids, err := range pieces {
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			text = append(text, stream.Next(id)...)
		}
	}
	return append(text, stream.Flush()...), nil
}

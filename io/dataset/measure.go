package dataset

import (
	"iter"
	"os"
	"path/filepath"
	"strings"

	"bitgpu/io/corpus"
	"bitgpu/io/tokenizer"
)

// IsTokenFile tells token files by the ends of their names, which say the width of an id.
func IsTokenFile(path string) bool {
	ext := strings.ToLower(filepath.Ext(path))
	return ext == ".u16" || ext == ".u32"
}

// IsTokens says whether path names tokens, a data directory or a token file, and not text.
func IsTokens(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir() || IsTokenFile(path)
}

// EstimateBytes is about how many bytes of text path has, before it is read: of tokens three for each, of packed text three times
// its size. What cannot be read counts 0.
func EstimateBytes(path string) (total int64) {
	if IsTokens(path) && !IsTokenFile(path) {
		meta, err := corpus.ReadMeta(filepath.Join(path, corpus.MetaName))
		if err != nil {
			return 0
		}
		return meta.Train.Bytes + meta.Val.Bytes
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

// TextBytes is how many bytes of text the tokens behind the first stand for, without special tokens: what the loss of predicting
// them is spread over as bits a byte.
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

// Text is the text of tokens, without special tokens.
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

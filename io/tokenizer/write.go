package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// file returns the tokenizer.json of a byte-level BPE model whose first ids are special tokens.
func (v *trainVocab) file(specials int) ([]byte, error) {
	type addedFile struct {
		ID         int    `json:"id"`
		Content    string `json:"content"`
		SingleWord bool   `json:"single_word"`
		LStrip     bool   `json:"lstrip"`
		RStrip     bool   `json:"rstrip"`
		Normalized bool   `json:"normalized"`
		Special    bool   `json:"special"`
	}
	type byteLevelFile struct {
		Type           string `json:"type"`
		AddPrefixSpace bool   `json:"add_prefix_space"`
		TrimOffsets    bool   `json:"trim_offsets"`
		UseRegex       bool   `json:"use_regex"`
	}
	type bpeFile struct {
		Type                    string       `json:"type"`
		Dropout                 *float64     `json:"dropout"`
		UnkToken                *string      `json:"unk_token"`
		ContinuingSubwordPrefix *string      `json:"continuing_subword_prefix"`
		EndOfWordSuffix         *string      `json:"end_of_word_suffix"`
		FuseUnk                 bool         `json:"fuse_unk"`
		ByteFallback            bool         `json:"byte_fallback"`
		IgnoreMerges            bool         `json:"ignore_merges"`
		Vocab                   orderedVocab `json:"vocab"`
		Merges                  []string     `json:"merges"`
	}
	added := make([]addedFile, specials)
	for id := range added {
		added[id] = addedFile{ID: id, Content: v.pieces[id], Special: true}
	}
	merges := make([]string, len(v.merges))
	for i, m := range v.merges {
		merges[i] = v.pieces[m.left] + " " + v.pieces[m.right]
	}
	data, err := marshal(struct {
		Version       string        `json:"version"`
		Truncation    *struct{}     `json:"truncation"`
		Padding       *struct{}     `json:"padding"`
		AddedTokens   []addedFile   `json:"added_tokens"`
		Normalizer    *struct{}     `json:"normalizer"`
		PreTokenizer  byteLevelFile `json:"pre_tokenizer"`
		PostProcessor byteLevelFile `json:"post_processor"`
		Decoder       byteLevelFile `json:"decoder"`
		Model         bpeFile       `json:"model"`
	}{
		Version:       "1.0",
		AddedTokens:   added,
		PreTokenizer:  byteLevelFile{Type: "ByteLevel", TrimOffsets: true, UseRegex: true},
		PostProcessor: byteLevelFile{Type: "ByteLevel", UseRegex: true},
		Decoder:       byteLevelFile{Type: "ByteLevel", TrimOffsets: true, UseRegex: true},
		Model:         bpeFile{Type: "BPE", Vocab: v.pieces, Merges: merges},
	})
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return append(data, '\n'), nil
}

// orderedVocab is a map from piece to index, written in the order of the indices.
type orderedVocab []string

func (v orderedVocab) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for id, piece := range v {
		if id > 0 {
			b = append(b, ',')
		}
		name, err := marshal(piece)
		if err != nil {
			return nil, err
		}
		b = fmt.Appendf(append(b, name...), ":%d", id)
	}
	return append(b, '}'), nil
}

// marshal is json.Marshal without escaping < and >, because people read these files.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

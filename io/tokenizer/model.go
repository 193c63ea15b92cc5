package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"bitgpu/io/internal/jsonscan"
)

// parseModel reads the member "model". Its vocabulary and merges, which are most of a file, are read without decoding them
// first: encoding/json would take ten times their memory.
func parseModel(raw json.RawMessage) (model, error) {
	if !jsonscan.IsObject(raw) {
		return nil, fmt.Errorf("got %.20q, want an object", raw)
	}
	f := membersOf(raw, "type", "vocab", "merges", "unk_id", "byte_fallback")
	vocab, merges := f["vocab"], f["merges"]
	var kind string
	if f["type"] != nil {
		if err := json.Unmarshal(f["type"], &kind); err != nil {
			return nil, err
		}
	} else { // in files of the first versions
		switch {
		case jsonscan.IsObject(vocab) && merges != nil:
			kind = "BPE"
		case jsonscan.IsArray(vocab):
			kind = "Unigram"
		default:
			return nil, errors.New(`"type" is missing, want BPE or Unigram`)
		}
	}
	var m model
	var err error
	switch kind {
	case "BPE":
		m, err = parseBPE(raw, vocab, merges)
	case "Unigram":
		m, err = parseUnigram(vocab, f["unk_id"], f["byte_fallback"])
	default:
		return nil, unsupported(kind, "BPE, Unigram")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	return m, nil
}

func parseBPE(raw, vocab, merges json.RawMessage) (model, error) {
	switch {
	case !jsonscan.IsObject(vocab):
		return nil, errors.New(`"vocab" is missing or not an object, want pieces with their ids`)
	case !jsonscan.IsArray(merges):
		return nil, errors.New(`"merges" is missing or not a list`)
	}
	ids, err := parseVocab(vocab)
	if err != nil {
		return nil, err
	}
	pairs, err := parseMerges(merges)
	if err != nil {
		return nil, err
	}
	var opt bpeOptions
	if err := json.Unmarshal(raw, &opt); err != nil {
		return nil, err
	}
	return newBPE(ids, pairs, opt)
}

func parseUnigram(vocab, unknown, fallback json.RawMessage) (model, error) {
	if !jsonscan.IsArray(vocab) {
		return nil, errors.New(`"vocab" is missing or not a list, want pieces with their scores`)
	}
	pieces := make([]scored, 0, count(jsonscan.Elements(vocab)))
	for element := range jsonscan.Elements(vocab) {
		p, err := parseScored(element)
		if err != nil {
			return nil, err
		}
		pieces = append(pieces, p)
	}
	var id *int64
	if unknown != nil {
		if err := json.Unmarshal(unknown, &id); err != nil {
			return nil, fmt.Errorf("unk_id: %w", err)
		}
	}
	bytes := false
	if fallback != nil {
		if isNull(fallback) {
			return nil, errors.New("byte_fallback is null, want true or false")
		}
		if err := json.Unmarshal(fallback, &bytes); err != nil {
			return nil, fmt.Errorf("byte_fallback: %w", err)
		}
	}
	return newUnigram(pieces, id, bytes)
}

// count returns how many values seq has.
func count[T any](seq func(func(T) bool)) int {
	n := 0
	for range seq {
		n++
	}
	return n
}

// parseVocab reads a map from piece to id; of equal pieces the last is used.
func parseVocab(raw json.RawMessage) (map[string]uint32, error) {
	ids := make(map[string]uint32, count(jsonscan.Members(raw)))
	for member := range jsonscan.Members(raw) {
		piece, err := jsonscan.String(member.Name)
		if err != nil {
			return nil, fmt.Errorf("vocab: %w", err)
		}
		id, err := strconv.ParseUint(string(member.Value[:min(len(member.Value), 40)]), 10, 32)
		if err != nil {
			return nil, fmt.Errorf("vocab: %.40q has the id %.40s, want a whole number below 2³²", piece, member.Value)
		}
		ids[piece] = uint32(id)
	}
	return ids, nil
}

// merge is two pieces to join.
type merge [2]string

// parseMerges reads merges, "left right" or ["left", "right"], and skips the version line of a merges.txt.
func parseMerges(raw json.RawMessage) ([]merge, error) {
	all := make([]merge, 0, count(jsonscan.Elements(raw)))
	for element := range jsonscan.Elements(raw) {
		m, err := parseMerge(element)
		if err != nil {
			return nil, err
		}
		if m != (merge{}) {
			all = append(all, m)
		}
	}
	return all, nil
}

func parseMerge(data []byte) (m merge, err error) {
	var pieces []string
	if jsonscan.IsString(data) {
		line, err := jsonscan.String(data)
		if err != nil {
			return m, err
		}
		if strings.HasPrefix(line, "#version") {
			return m, nil
		}
		pieces = strings.SplitN(line, " ", 3)
	} else {
		for element := range jsonscan.Elements(data) {
			piece, err := jsonscan.String(element)
			if err != nil || len(pieces) == 2 {
				pieces = nil
				break
			}
			pieces = append(pieces, piece)
		}
	}
	if len(pieces) != 2 || slices.Contains(pieces, "") {
		return m, fmt.Errorf("a merge is %.40s, want two pieces", data)
	}
	return merge(pieces), nil
}

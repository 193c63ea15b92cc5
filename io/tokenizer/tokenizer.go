package tokenizer

import (
	"fmt"
	"slices"
	"sync"
)

// A Tokenizer turns text into ids and back. It is immutable and safe for concurrent use.
type Tokenizer struct {
	name   string // for messages
	model  model
	pieces []string          // by id, as in the file
	marks  []mark            // by id
	texts  map[uint32]string // the text that decoders start from, if it is not the piece
	ids    map[string]uint32 // of added tokens

	raw, normalized *addedSet // added tokens to match before and after normalization
	normalizers     normalizers
	preTokenizers   []preTokenizer
	prefix, suffix  []uint32 // special tokens put around a text
	decoders        []decoder

	workers sync.Pool // of *worker
}

// mark is a set of properties of an id.
type mark uint8

const (
	known   mark = 1 << iota // unset for holes in the file's ids
	special                  // controls the model and is not part of the text
	skipped                  // can be left out of decoded text
)

func (t *Tokenizer) has(id uint32, m mark) bool {
	return uint64(id) < uint64(len(t.marks)) && t.marks[id]&m != 0
}

// text returns what decoders start from for a known id.
func (t *Tokenizer) text(id uint32) string {
	if text, ok := t.texts[id]; ok {
		return text
	}
	return t.pieces[id]
}

// Encode returns the ids of text. With addSpecial they include the tokens that the tokenizer's post-processor puts around a
// text. Added tokens that are spelled out in the text, special or not, are recognised in either case. Invalid UTF-8 becomes
// U+FFFD, one for each maximal ill-formed part.
//
// It is an error if the vocabulary cannot express a character, except that a BPE model without unk_token leaves such
// characters out, as Hugging Face's library does; if a normalizer makes the text much longer; or if a pattern takes too many
// steps. Steps are counted, so the same text gives the same ids or error every time.
func (t *Tokenizer) Encode(text string, addSpecial bool) ([]uint32, error) {
	ids, _, err := t.encode(text, nil, nil, dropout{})
	if err == nil && addSpecial {
		ids = slices.Concat(t.prefix, ids, t.suffix)
	}
	return ids, err
}

// EncodeBroken is Encode without special tokens around the text, and does not recognise an added token that extends over one
// of the breaks, which are byte positions in ascending order. It thus treats such text as plain text, like
// split_special_tokens in Hugging Face's library. With breaks, the text must be UTF-8.
func (t *Tokenizer) EncodeBroken(text string, breaks []int) ([]uint32, error) {
	ids, _, err := t.encode(text, breaks, nil, dropout{})
	return ids, err
}

// Prefix returns the ids that Encode puts before a text: usually that of the beginning of a text, or none.
func (t *Tokenizer) Prefix() []uint32 { return slices.Clone(t.prefix) }

// encode returns the ids, an error for the first character left out, and the first other error. It adds its steps to all, if
// not nil.
func (t *Tokenizer) encode(text string, breaks []int, all *total, d dropout) (ids []uint32, dropped, err error) {
	text = validUTF8(text)
	w := t.workers.Get().(*worker)
	w.begin(len(text))
	d.begin(w, text)
	ids = make([]uint32, 0, len(text)/3)
	token := func(id uint32) { ids = append(ids, id) }
	whole := part{text, true}
	between := func(start, end int) {
		normal := t.normalizers.normalize(w, whole.cut(start, end))
		t.normalized.split(normal.text, nil, token, func(start, end int) {
			for _, p := range preTokenize(t.preTokenizers, w, normal.cut(start, end)) {
				ids = t.model.encode(ids, p.text, w)
			}
		})
	}
	t.raw.split(text, breaks, token, func(start, end int) {
		for _, b := range breaks { // positions in the normalized text are unknown
			if t.normalized != nil && start < b && b < end {
				between(start, b)
				start = b
			}
		}
		between(start, end)
	})
	if all != nil {
		all.count(w)
	}
	if w.err != nil {
		ids, err = nil, t.failed(w.err)
	}
	if w.dropped != nil {
		dropped = t.failed(w.dropped)
	}
	w.tidy()
	t.workers.Put(w)
	return ids, dropped, err
}

func (t *Tokenizer) failed(err error) error { return fmt.Errorf("tokenizer: %s: %w", t.name, err) }

// Decode returns the text of ids. With skipSpecial, special tokens are left out. Unknown ids are ignored.
func (t *Tokenizer) Decode(ids []uint32, skipSpecial bool) string {
	s := t.NewStream(skipSpecial)
	for _, id := range ids {
		s.push(id)
	}
	return s.Flush()
}

// Size returns the highest id plus one; this counts added tokens and holes.
func (t *Tokenizer) Size() int { return len(t.pieces) }

// Token returns the piece of an id, as written in the file.
func (t *Tokenizer) Token(id uint32) (piece string, ok bool) {
	if !t.has(id, known) {
		return "", false
	}
	return t.pieces[id], true
}

// ID returns the id of a piece, as written in the file.
func (t *Tokenizer) ID(piece string) (uint32, bool) {
	if id, ok := t.ids[piece]; ok {
		return id, true
	}
	id, ok := t.model.vocabulary().ids[piece]
	return id, ok
}

// IsSpecial reports whether id is a special token, which controls the model and is not part of the text.
func (t *Tokenizer) IsSpecial(id uint32) bool {
	return t.has(id, special)
}

// endings are the special tokens with which well-known models end a text or an answer.
var endings = []string{
	"<|endoftext|>", "</s>", "<|eot_id|>", "<|end_of_text|>", "<|im_end|>", "<eos>", "<end_of_turn>", "<|end|>", "<|eom_id|>",
	"<|eot|>", "<|return|>", "<｜end▁of▁sentence｜>", "[EOS]",
}

// EndOfText returns the ids that end a text, such as that of <|endoftext|>: those well-known names that are special tokens
// here.
func (t *Tokenizer) EndOfText() []uint32 {
	var ids []uint32
	for _, name := range endings {
		if id, ok := t.ids[name]; ok && t.IsSpecial(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

package tokenizer

import (
	"fmt"
	"slices"
	"sync"
)

// A Tokenizer turns text into ids and back. It does not change, and is safe for concurrent use.
type Tokenizer struct {
	name   string // for messages
	model  model
	pieces []string          // by id, as in the file
	marks  []mark            // by id
	texts  map[uint32]string // what decoders make text of, where it is not the piece
	ids    map[string]uint32 // of added tokens

	raw, normalized *addedSet // added tokens to find before and after normalization
	normalizers     normalizers
	preTokenizers   []preTokenizer
	prefix, suffix  []uint32 // special tokens put around a text
	decoders        []decoder

	workers sync.Pool // of *worker
}

// mark is what is to know about an id.
type mark uint8

const (
	known   mark = 1 << iota // else the file leaves a hole here
	special                  // steers the model and is no part of the text
	skipped                  // left out of decoded text on demand
)

func (t *Tokenizer) has(id uint32, m mark) bool {
	return uint64(id) < uint64(len(t.marks)) && t.marks[id]&m != 0
}

// text is what the decoders make text of for an id that is known.
func (t *Tokenizer) text(id uint32) string {
	if text, ok := t.texts[id]; ok {
		return text
	}
	return t.pieces[id]
}

// Encode returns the ids of text; with addSpecial, the tokens that the tokenizer's post-processor puts around a text are
// among them. Added tokens that are written out in the text, special or not, are recognised either way. What is not
// UTF-8 counts as U+FFFD, one for each maximal ill-formed part.
//
// It is an error if the vocabulary has no way to write a character, though of a BPE model without unk_token such
// characters are left out, as Hugging Face's library does; if a normalizer makes far more of the text than it was; and
// if a pattern takes too many steps, which are counted: the same text gives the same ids or error every time.
func (t *Tokenizer) Encode(text string, addSpecial bool) ([]uint32, error) {
	ids, _, err := t.encode(text, nil, nil)
	if err == nil && addSpecial {
		ids = slices.Concat(t.prefix, ids, t.suffix)
	}
	return ids, err
}

// EncodeBroken is Encode without special tokens around the text, in which no added token is recognised that reaches over one
// of the breaks, places in bytes in ascending order: what a text says there is text, as Hugging Face's library has it with
// split_special_tokens. The text must be UTF-8 where there are breaks.
func (t *Tokenizer) EncodeBroken(text string, breaks []int) ([]uint32, error) {
	ids, _, err := t.encode(text, breaks, nil)
	return ids, err
}

// Prefix returns the ids that Encode puts before a text: that of its beginning, as a rule, or none.
func (t *Tokenizer) Prefix() []uint32 { return slices.Clone(t.prefix) }

// encode gives the ids, the first character that was left out, and the first error. The steps count among those of all, if not nil.
func (t *Tokenizer) encode(text string, breaks []int, all *total) (ids []uint32, dropped, err error) {
	text = validUTF8(text)
	w := t.workers.Get().(*worker)
	w.begin(len(text))
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
		for _, b := range breaks { // places in the normalized text are not known
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

// Decode returns the text of ids; with skipSpecial, special tokens are left out. Ids that stand for nothing are ignored.
func (t *Tokenizer) Decode(ids []uint32, skipSpecial bool) string {
	s := t.NewStream(skipSpecial)
	for _, id := range ids {
		s.push(id)
	}
	return s.Flush()
}

// Size is the number of ids, from 0 to the highest; added tokens count, and so do holes.
func (t *Tokenizer) Size() int { return len(t.pieces) }

// Token is the piece that id stands for, as it is written in the file.
func (t *Tokenizer) Token(id uint32) (piece string, ok bool) {
	if !t.has(id, known) {
		return "", false
	}
	return t.pieces[id], true
}

// ID is the id of a piece, as it is written in the file.
func (t *Tokenizer) ID(piece string) (uint32, bool) {
	if id, ok := t.ids[piece]; ok {
		return id, true
	}
	id, ok := t.model.vocabulary().ids[piece]
	return id, ok
}

// IsSpecial tells whether id is a special token: one that steers the model and is no part of the text.
func (t *Tokenizer) IsSpecial(id uint32) bool {
	return t.has(id, special)
}

// endings are the special tokens with which well-known models end a text or an answer.
var endings = []string{
	"<|endoftext|>", "</s>", "<|eot_id|>", "<|end_of_text|>", "<|im_end|>", "<eos>", "<end_of_turn>", "<|end|>", "<|eom_id|>",
	"<|eot|>", "<|return|>", "<｜end▁of▁sentence｜>", "[EOS]",
}

// EndOfText returns the ids that end a text, such as that of <|endoftext|>: of well-known names those that are special
// tokens here.
func (t *Tokenizer) EndOfText() []uint32 {
	var ids []uint32
	for _, name := range endings {
		if id, ok := t.ids[name]; ok && t.IsSpecial(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

package dataset

import (
	"context"
	"errors"
	"iter"
	"slices"

	"bitgpu/io/corpus"
	"bitgpu/io/lesson"
	"bitgpu/io/tokenizer"
)

// ErrRoom is returned for text whose tokens need more memory than is free.
var ErrRoom = errors.New("the tokens of the text take more memory than is free")

// tokenBytes is the memory per token while a list is assembled: once in a piece and once in the whole.
const tokenBytes = 8

// pieces collects a list in pieces that are not moved as it grows; append would need several times the memory.
type pieces[V uint32 | byte] struct {
	full [][]V
	last []V
}

func (p *pieces[V]) add(values ...V) {
	const piece = 1 << 18
	for len(values) > 0 {
		if len(p.last) == cap(p.last) {
			if p.last != nil {
				p.full = append(p.full, p.last)
			}
			p.last = make([]V, 0, piece)
		}
		n := min(len(values), cap(p.last)-len(p.last))
		p.last, values = append(p.last, values[:n]...), values[n:]
	}
}

func (p *pieces[V]) all() []V { return slices.Concat(append(p.full, p.last)...) }

// Tokens returns all tokens of documents in memory, with an end-of-text token before each document if the tokenizer has one,
// and the size of the documents in bytes. The error is [ErrRoom] as soon as they need more than room bytes, at 8 per token.
func Tokens(ctx context.Context, tok *tokenizer.Tokenizer, docs iter.Seq2[corpus.Document, error], room int64) (ids []uint32, bytes int64, err error) {
	ends := tok.EndOfText()
	ends = ends[:min(len(ends), 1)]
	var list pieces[uint32]
	n := int64(0)
	err = Encode(ctx, tok, docs, func(text string, tokens []uint32) error {
		if n += int64(len(ends) + len(tokens)); n > room/tokenBytes {
			return ErrRoom
		}
		list.add(ends...)
		list.add(tokens...)
		bytes += int64(len(text))
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	return list.all(), bytes, nil
}

// ChatTokens is Tokens for conversations as a teacher renders them, and also returns the marks of the tokens. The error is
// [ErrRoom] as soon as they need more than room bytes, at 10 per token.
func ChatTokens(t *lesson.Teacher, docs iter.Seq2[corpus.Document, error], room int64) (ids []uint32, marks []byte, err error) {
	var list pieces[uint32]
	var marked pieces[byte]
	n := int64(0)
	err = EncodeChats(t, docs, func(_ string, d lesson.Document) error {
		if n += int64(len(d.IDs)); n > room/(tokenBytes+2) {
			return ErrRoom
		}
		list.add(d.IDs...)
		marked.add(d.Marks...)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return list.all(), marked.all(), nil
}

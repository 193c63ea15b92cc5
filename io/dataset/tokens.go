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

// ErrRoom is returned for text whose tokens take more memory than they may.
var ErrRoom = errors.New("the tokens of the text take more memory than is free")

// tokenBytes is what a token takes while a list of tokens is put together: its place in a piece, and that in the whole.
const tokenBytes = 8

// pieces collects a list of values, which does not move while it grows: an append would take several times the memory.
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

// Tokens gives all tokens of documents in memory, one that ends a text before each document where the tokenizer has such, and how
// many bytes the documents have. The error is [ErrRoom] as soon as they take more than room bytes, 8 a token.
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

// ChatTokens is Tokens of conversations, as a teacher renders them, with the marks of the tokens. The error is [ErrRoom] as soon as
// they take more than room bytes, 10 a token.
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

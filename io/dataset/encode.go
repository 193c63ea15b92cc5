package dataset

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"

	"bitgpu/internal/await"
	"bitgpu/io/corpus"
	"bitgpu/io/lesson"
	"bitgpu/io/tokenizer"
)

// Encode encodes documents on all cores, about a megabyte of text at a time, and passes them to use in order. If the context
// is cancelled, the error is its cause.
func Encode(ctx context.Context, tok *tokenizer.Tokenizer, docs iter.Seq2[corpus.Document, error], use func(text string, ids []uint32) error) error {
	return encodeAll(ctx, tok.NewEncoder(), docs, use)
}

func encodeAll(ctx context.Context, enc *tokenizer.Encoder, docs iter.Seq2[corpus.Document, error], use func(text string, ids []uint32) error) error {
	const together = 1 << 20 // bytes of text
	var pending []corpus.Document
	size := 0
	flush := func() error {
		enc.Expect(size)
		all, err := encode(ctx, enc, pending)
		if err != nil {
			return err
		}
		for i, ids := range all {
			if err := use(pending[i].Text, ids); err != nil {
				return err
			}
		}
		clear(pending)
		pending, size = pending[:0], 0
		return nil
	}
	for doc, err := range docs {
		if err != nil {
			return err
		}
		pending = append(pending, doc)
		if size += len(doc.Text); size >= together {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

func encode(ctx context.Context, enc *tokenizer.Encoder, docs []corpus.Document) ([][]uint32, error) {
	return await.For(ctx, func() ([][]uint32, error) {
		ids, errs := make([][]uint32, len(docs)), make([]error, len(docs))
		const each = 64
		var all sync.WaitGroup
		var failed atomic.Bool // whatever made one text fail may take as long in the others, so stop
		for from := 0; from < len(docs); from += each {
			all.Go(func() {
				for i := from; i < min(from+each, len(docs)) && ctx.Err() == nil && !failed.Load(); i++ {
					if ids[i], errs[i] = enc.EncodeDocument(docs[i].Text); errs[i] != nil {
						failed.Store(true)
						errs[i] = fmt.Errorf("%s: the document that begins with %.40q: %w", docs[i].Path, docs[i].Text, errs[i])
					}
				}
			})
		}
		all.Wait()
		if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
			return nil, errs[i]
		}
		return ids, context.Cause(ctx)
	})
}

// EncodeChats encodes conversations, one per document, and passes each on with its record.
func EncodeChats(t *lesson.Teacher, docs iter.Seq2[corpus.Document, error], use func(record string, d lesson.Document) error) error {
	n := 0
	for doc, err := range docs {
		if err != nil {
			return err
		}
		n++
		all, err := t.Documents([]byte(doc.Text))
		if err != nil {
			return fmt.Errorf("%s: conversation %d, which begins with %.40q: %w", doc.Path, n, doc.Text, err)
		}
		for _, d := range all {
			if err := use(doc.Text, d); err != nil {
				return err
			}
		}
	}
	return nil
}

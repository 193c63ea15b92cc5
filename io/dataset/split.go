package dataset

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"bitgpu/io/corpus"
)

// SplitError is the error of a share for validation that takes all documents, or none.
type SplitError struct {
	Ratio     float64
	Documents int
	All       bool // all go to validation, so that none is left for training
}

func (e *SplitError) Error() string {
	if e.All {
		return fmt.Sprintf("a share of %v takes all of %d documents, so none is left for training", e.Ratio, e.Documents)
	}
	return fmt.Sprintf("a share of %v gives none of %d documents for validation", e.Ratio, e.Documents)
}

// Split makes sure, before any work, that both parts get something. If no document's hash falls into the share for
// validation, or all do, the end of the text is taken for validation instead, provided that the text is a single file and not
// conversations. Otherwise the error is a *[SplitError]; unless its All is set, the source can still be written, with nothing
// for validation.
func (s *Source) Split() error {
	if s.Ratio == 0 {
		return nil
	}
	documents, validation, bytes, path, files := 0, 0, 0, "", 0
	for doc, err := range s.Docs {
		if err != nil {
			return err
		}
		if corpus.InValidation(doc.Text, s.Ratio) {
			validation++
		}
		if doc.Path != path {
			path = doc.Path
			files++
		}
		documents++
		bytes += len(doc.Text)
		if 0 < validation && validation < documents {
			return nil
		}
	}
	if files == 1 && bytes > 1 && s.Template == nil {
		s.tail(int(float64(bytes) * (1 - s.Ratio)))
		return nil
	}
	return &SplitError{s.Ratio, documents, validation > 0}
}

// tail takes what follows the first `bytes` bytes of the text for validation, from the next line on if there is one.
func (s *Source) tail(bytes int) {
	docs, cut, seen := s.Docs, bytes, 0
	s.Docs = func(yield func(corpus.Document, error) bool) {
		at := 0
		seen = 0
		for doc, err := range docs {
			end := at + len(doc.Text)
			if err == nil && at <= bytes && bytes < end {
				head := doc
				head.Text, doc.Text = cutText(doc.Text, bytes-at)
				cut = end - len(doc.Text)
				if head.Text != "" && !yield(head, nil) {
					return
				}
			}
			if !yield(doc, err) {
				return
			}
			at = end
		}
	}
	s.inVal = func(text string) bool {
		seen += len(text)
		return seen > cut
	}
}

// cutText cuts a text after the line that contains a byte, or before that line, or before the character. The second part is
// never empty.
func cutText(text string, at int) (string, string) {
	if i := strings.IndexByte(text[at:], '\n'); i >= 0 && at+i+1 < len(text) {
		at += i + 1
	} else if i := strings.LastIndexByte(text[:at], '\n'); i >= 0 {
		at = i + 1
	}
	for at > 0 && !utf8.RuneStart(text[at]) {
		at--
	}
	return text[:at], text[at:]
}

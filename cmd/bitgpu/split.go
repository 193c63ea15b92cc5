package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"bitgpu/io/corpus"

	"github.com/urfave/cli/v2"
)

// split makes sure that the validation share is not empty: if no document's hash falls into it, or every one's does, the end of
// the text is taken instead, provided the text is one file. Otherwise it is an error, before any work.
func (s *source) split(c *cli.Context) error {
	if s.ratio == 0 {
		return nil
	}
	documents, validation, bytes, path, files := 0, 0, 0, "", 0
	for doc, err := range s.docs {
		if err != nil {
			return err
		}
		if corpus.InValidation(doc.Text, s.ratio) {
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
	if files == 1 && bytes > 1 && !c.Bool("chat") { // a conversation has no tail
		s.tail(int(float64(bytes) * (1 - s.ratio)))
		return nil
	}
	if validation > 0 {
		return usagef("%s: --val-ratio: a share of %v takes all of %d documents, so none is left for training; a smaller one, or `bitgpu data --val-input`, does",
			c.Command.Name, s.ratio, documents)
	}
	const found = "--val-ratio: a share of %v gives none of %d documents for validation"
	if c.IsSet("val-ratio") || c.Int("val-every") > 0 {
		return usagef("%s: "+found+"; a larger one, or `bitgpu data --val-input`, does", c.Command.Name, s.ratio, documents)
	}
	fmt.Fprintf(c.App.ErrWriter, found+": there will be no validation\n", s.ratio, documents)
	return nil
}

// tail takes what follows the first bytes of the text for validation, from the next line on if there is one.
func (s *source) tail(bytes int) {
	docs, cut, seen := s.docs, bytes, 0
	s.docs = func(yield func(corpus.Document, error) bool) {
		at := 0
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

// cutText cuts behind the line that holds a place, or before it, or at the character. The second part is never empty.
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

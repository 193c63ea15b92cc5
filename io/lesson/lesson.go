// Package lesson turns conversations into tokens to learn from, each marked as counting or not. It renders them with a chat
// template and encodes them with a tokenizer. Holding a conversation is the business of io/chat and a session.
package lesson

import (
	"fmt"

	"bitgpu/io/chat"
	"bitgpu/io/corpus"
	"bitgpu/io/tokenizer"
)

// Teacher encodes conversations for one model.
type Teacher struct {
	tok      *tokenizer.Tokenizer
	enc      *tokenizer.Encoder
	template *chat.Template
	control  []string
	bos, eos string
}

// NewTeacher makes a Teacher for a model's tokenizer and template.
func NewTeacher(tok *tokenizer.Tokenizer, template *chat.Template) *Teacher {
	t := &Teacher{tok: tok, enc: tok.NewEncoder(), template: template}
	for id := range uint32(tok.Size()) {
		if text, ok := tok.Token(id); ok && tok.IsSpecial(id) {
			t.control = append(t.control, text)
		}
	}
	if prefix := tok.Prefix(); len(prefix) > 0 {
		t.bos, _ = tok.Token(prefix[0])
	}
	if ends := tok.EndOfText(); len(ends) > 0 {
		t.eos, _ = tok.Token(ends[0])
	}
	return t
}

// Document is a conversation as tokens with a mark for each.
type Document struct {
	IDs   []uint32
	Marks []byte // of corpus.Counts and corpus.Begins
}

// Documents encodes a line of chat data, in the form that chat.ParseRecord reads.
func (t *Teacher) Documents(line []byte) ([]Document, error) {
	c, err := chat.ParseRecord(line)
	if err != nil {
		return nil, err
	}
	c.BOS, c.EOS = t.bos, t.eos
	lessons, err := t.template.Lessons(c, t.control)
	if err != nil {
		return nil, err
	}
	var all []Document
	for _, l := range lessons {
		d, err := t.encode(l)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// encode returns the tokens of a lesson. They start with those that the tokenizer puts before a text. If the last answer does
// not end with an ending token, the end-of-text token is appended, so that the model learns to stop.
func (t *Teacher) encode(l chat.Lesson) (d Document, err error) {
	t.enc.Expect(len(l.Text))
	ids, err := t.enc.EncodeBroken(l.Text, l.Breaks)
	if err != nil {
		return d, err
	}
	stream, at := t.tok.NewStream(false), 0
	counted := false
	for _, id := range ids {
		start := at
		at += len(stream.Next(id))
		mark := byte(0)
		for _, a := range l.Answers {
			// If several tokens make up a character, all but the last have length zero.
			if start < a.End && (at > a.Start || at == start && start >= a.Start) {
				mark, counted = corpus.Counts, true
			}
		}
		d.IDs, d.Marks = append(d.IDs, id), append(d.Marks, mark)
	}
	if at += len(stream.Flush()); at != len(l.Text) {
		return d, fmt.Errorf("the tokenizer makes %d bytes of %d of the rendered conversation, and where its answers are is not known", at, len(l.Text))
	}
	if !counted {
		return d, fmt.Errorf("no token of an answer")
	}
	if ends := t.tok.EndOfText(); len(ends) > 0 && !t.ended(d.IDs) && l.Answers[len(l.Answers)-1].End == len(l.Text) {
		d.IDs, d.Marks = append(d.IDs, ends[0]), append(d.Marks, corpus.Counts)
	}
	if prefix := t.tok.Prefix(); len(prefix) > 0 && (len(d.IDs) < len(prefix) || d.IDs[0] != prefix[0]) {
		d.IDs, d.Marks = append(prefix, d.IDs...), append(make([]byte, len(prefix)), d.Marks...)
	}
	d.Marks[0] = d.Marks[0]&^corpus.Counts | corpus.Begins
	return d, nil
}

// ended reports whether the last token, ignoring white space, is a special one.
func (t *Teacher) ended(ids []uint32) bool {
	for i := len(ids) - 1; i >= max(0, len(ids)-3); i-- {
		if t.tok.IsSpecial(ids[i]) {
			return true
		}
	}
	return false
}

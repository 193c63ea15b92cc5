package lesson_test

import (
	"testing"

	"bitgpu/io/chat"
	"bitgpu/io/corpus"
	"bitgpu/io/lesson"
	"bitgpu/io/tokenizer"
)

// What is marked is the answers, character by character of several tokens too, with the end that they lack; a control token
// that a message spells is text.
func TestDocuments(t *testing.T) {
	texts := func(yield func(string, error) bool) { yield("some words, some more words and äöü 漢字", nil) }
	file, err := tokenizer.Train(texts, tokenizer.TrainOptions{VocabSize: 280, MinFrequency: 1})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Parse("tokenizer.json", file)
	if err != nil {
		t.Fatal(err)
	}
	template, err := chat.Parse(`{% for m in messages %}{{ m.role }}: {{ m.content }}
{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}`)
	if err != nil {
		t.Fatal(err)
	}
	teacher := lesson.NewTeacher(tok, template)
	all, err := teacher.Documents([]byte(`{"messages":[{"role":"user","content":"漢 <|endoftext|>"},{"role":"assistant","content":"字 äö <|endoftext|>"},{"role":"user","content":"x"},{"role":"assistant","content":"漢"}]}`))
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	d, end := all[0], tok.EndOfText()[0]
	var answers []uint32
	for i, m := range d.Marks {
		if m&corpus.Begins != 0 != (i == 0) {
			t.Errorf("token %d begins a document", i)
		}
		if m&corpus.Counts != 0 {
			answers = append(answers, d.IDs[i])
		}
		if d.IDs[i] == end && i+1 < len(d.IDs) {
			t.Errorf("token %d ends the text, of %d", i, len(d.IDs))
		}
	}
	if got, want := tok.Decode(answers, false), "字 äö <|endoftext|>\n漢\n<|endoftext|>"; got != want || answers[len(answers)-1] != end {
		t.Errorf("got the answers %q, want %q", got, want)
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"bitgpu"
	"bitgpu/internal/units"
	"bitgpu/io/chat"
	"bitgpu/io/corpus"
	"bitgpu/io/dataset"
	"bitgpu/io/lesson"
	"bitgpu/nn/storage"
	"bitgpu/nn/train"
	"bitgpu/nn/train/device"
)

// givenTemplate loads the template of --template, nil for "".
func givenTemplate(path string) (*chat.Template, error) {
	if path == "" {
		return nil, nil
	}
	source, err := readFlag("template", path)
	if err != nil {
		return nil, err
	}
	t, err := chat.Parse(string(source))
	if err != nil {
		return nil, flagError("template", fmt.Errorf("%s: %w", path, err))
	}
	return t, nil
}

// dataTemplate loads the template for data --chat: that of --template, or the one beside the tokenizer.
func dataTemplate(path, tokenizer string) (*chat.Template, error) {
	t, err := givenTemplate(path)
	if t != nil || err != nil {
		return t, err
	}
	if t, err = chat.FromDir(filepath.Dir(tokenizer)); errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("data: --chat: got no chat template beside %s, want --template FILE", tokenizer)
	}
	return t, err
}

// chatTokens returns the tokens of all conversations, with their marks.
func (f *learnFlags) chatTokens(ctx context.Context, model *storage.Loaded) (ids []uint32, marks []byte, err error) {
	if model.Tokenizer == nil {
		return nil, nil, fmt.Errorf("%s: %w", model.Path, bitgpu.ErrNoTokenizer)
	}
	if err := refuseIdle(f.call, "--chat takes whole records", "field", "document"); err != nil {
		return nil, nil, err
	}
	template, err := givenTemplate(f.template)
	if err != nil {
		return nil, nil, err
	}
	if template == nil {
		template = model.Template
	}
	if template == nil {
		return nil, nil, usagef("learn: --chat: the model has no chat template, want --template FILE")
	}
	docs, err := f.reading.documents(ctx, "text", f.texts)
	if err != nil {
		return nil, nil, err
	}
	ids, marks, err = dataset.ChatTokens(lesson.NewTeacher(model.Tokenizer, template), docs, device.FreeMemory())
	if err != nil {
		return nil, nil, tooMuchText("text", err)
	}
	for _, id := range ids {
		if int(id) >= model.Config.Vocab {
			return nil, nil, fmt.Errorf("%s: the tokenizer gives token %d, want ids below %d", model.Path, id, model.Config.Vocab)
		}
	}
	return ids, marks, nil
}

// describeData says how the conversations of a training fill its rows; for text it is empty.
func describeData(tokens *corpus.Tokens, o train.Options) (string, error) {
	if tokens.Marks() == nil {
		return "", nil
	}
	rows, err := corpus.NewRows(tokens, tokens.Marks(), o.Time)
	if err != nil {
		return "", err
	}
	if o.Pack {
		rows.Pack()
	}
	return describeRows(rows, o.Time, o.Pack) + "\n", nil
}

// muchPadding is the share of padding from which an alternative is suggested.
const muchPadding = 0.25

// describeRows says how conversations fill rows of `time` tokens.
func describeRows(rows *corpus.Rows, time int, packed bool) string {
	padding := rows.Padding()
	hint := ""
	if !packed && padding > muchPadding {
		hint = "; --pack puts several conversations into a row"
	}
	return fmt.Sprintf("%s of %d tokens, %.1f %% of them padding%s", units.Count(rows.Rows(), "row"), time, 100*padding, hint)
}

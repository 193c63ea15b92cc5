package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"

	"bitgpu"
	"bitgpu/io/chat"
	"bitgpu/io/corpus"
	"bitgpu/io/dataset"
	"bitgpu/io/lesson"
	"bitgpu/nn/storage"
	"bitgpu/nn/train"
	"bitgpu/nn/train/device"

	"github.com/urfave/cli/v2"
)

// givenTemplate is the template that --template names, nil without it.
func givenTemplate(c *cli.Context) (*chat.Template, error) {
	if !c.IsSet("template") {
		return nil, nil
	}
	source, err := readFlag(c, "template")
	if err != nil {
		return nil, err
	}
	t, err := chat.Parse(string(source))
	if err != nil {
		return nil, flagError("template", fmt.Errorf("%s: %w", c.String("template"), err))
	}
	return t, nil
}

// dataTemplate is the template of data --chat.
func dataTemplate(c *cli.Context) (*chat.Template, error) {
	t, err := givenTemplate(c)
	if t != nil || err != nil {
		return t, err
	}
	dir := filepath.Dir(c.String("tokenizer"))
	if t, err = chat.FromDir(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("data: --chat: got no chat template beside %s, want --template FILE", c.String("tokenizer"))
	}
	return t, err
}

// chatTokens are the tokens of all conversations, and their marks.
func chatTokens(ctx context.Context, c *cli.Context, model *storage.Loaded) (ids []uint32, marks []byte, err error) {
	if model.Tokenizer == nil {
		return nil, nil, fmt.Errorf("%s: %w", model.Path, bitgpu.ErrNoTokenizer)
	}
	if err := refuseIdle(c, "--chat takes whole records", "field", "document"); err != nil {
		return nil, nil, err
	}
	template, err := givenTemplate(c)
	if err != nil {
		return nil, nil, err
	}
	if template == nil {
		template = model.Template
	}
	if template == nil {
		return nil, nil, usagef("learn: --chat: the model has no chat template, want --template FILE")
	}
	docs, err := openDocuments(ctx, c, "text", c.StringSlice("text"))
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

// fitChats bounds rows by the longest conversation, or by all that they could hold, and reads all so often where nobody says how
// many steps. It says how the rows are filled.
func fitChats(o train.AdaptOptions, ids []uint32, marks []byte) (train.AdaptOptions, string, error) {
	rows, err := corpus.NewRows(tokenSlice(ids), marks, o.Time)
	if err != nil {
		return o, "", err
	}
	if o.Pack {
		o.Time = min(o.Time, rows.Inputs())
	} else {
		o.Time = min(o.Time, rows.Longest())
	}
	if rows, err = corpus.NewRows(tokenSlice(ids), marks, o.Time); err != nil {
		return o, "", err
	}
	if o.Pack {
		rows.Pack()
	}
	o = o.FitRows(rows.Rows())
	if o.Steps == 0 && o.Minutes == 0 {
		o.Steps = max(int(math.Ceil(learnPasses*float64(rows.Rows())/float64(o.Batch))), 1)
	}
	return o, describeRows(rows, o.Time, o.Pack), nil
}

// describeData says how the conversations of a training fill its rows; of text it says nothing.
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

// muchPadding is the share of padding from which on another way is named.
const muchPadding = 0.25

// describeRows says how conversations fill rows of so many tokens.
func describeRows(rows *corpus.Rows, time int, packed bool) string {
	all := rows.Rows() * time
	padding := float64(all-rows.Inputs()) / float64(all)
	hint := ""
	if !packed && padding > muchPadding {
		hint = "; --pack puts several conversations into a row"
	}
	return fmt.Sprintf("%d rows of %d tokens, %.1f %% of them padding%s", rows.Rows(), time, 100*padding, hint)
}

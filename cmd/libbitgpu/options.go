//go:build cgo

package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"bitgpu"
	"bitgpu/io/chat"
)

// parse reads a JSON object, refusing unknown members.
func parse(what, data string, into any) error {
	if strings.TrimSpace(data) == "" {
		return fmt.Errorf("%w: %s: got an empty text, want a JSON object", errArgument, what)
	}
	d := json.NewDecoder(strings.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if rest := strings.TrimSpace(data[d.InputOffset():]); err == nil && rest != "" {
		err = fmt.Errorf("got %.40q behind the object, want nothing", rest)
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w", errArgument, what, err)
	}
	return nil
}

// loraOption is an adapter to apply.
type loraOption struct {
	Path   string   `json:"path"`
	Weight *float64 `json:"weight"` // default 1
}

// parseOptions reads the options of bitgpu_model_open.
func parseOptions(data string) ([]bitgpu.Option, error) {
	var o struct {
		Config  json.RawMessage `json:"config"`
		Device  *string         `json:"device"`
		Adapter *string         `json:"adapter"`
		Context int             `json:"context"`
		Masters *string         `json:"masters"`
		LoRA    []loraOption    `json:"lora"`
	}
	if err := parse("options", data, &o); err != nil {
		return nil, err
	}
	if o.Context < 0 {
		return nil, fmt.Errorf("%w: options: context: got %d, want 0 or more", errArgument, o.Context)
	}
	opts := []bitgpu.Option{bitgpu.WithContext(o.Context)}
	for _, word := range []struct {
		name  string
		given *string
		with  func(string) bitgpu.Option
	}{
		{"device", o.Device, func(s string) bitgpu.Option { return bitgpu.WithBackend(bitgpu.Backend(s)) }},
		{"adapter", o.Adapter, bitgpu.WithAdapter}, {"masters", o.Masters, bitgpu.WithMasters},
	} {
		if word.given == nil {
			continue
		}
		if err := notEmpty("options: "+word.name, *word.given); err != nil {
			return nil, err
		}
		opts = append(opts, word.with(*word.given))
	}
	for i, l := range o.LoRA {
		if l.Path == "" {
			return nil, fmt.Errorf("%w: options: lora: adapter %d: got no path", errArgument, i)
		}
		weight := 1.0
		if l.Weight != nil {
			weight = *l.Weight
		}
		opts = append(opts, bitgpu.WithLoRA(l.Path, weight))
	}
	if o.Config != nil && string(o.Config) != "null" {
		c, err := parseConfig(string(o.Config))
		if err != nil {
			return nil, err
		}
		opts = append(opts, bitgpu.WithConfig(c))
	}
	return opts, nil
}

// errNoTemplate is the error of a model without a chat template.
var errNoTemplate = errors.New("the model has no chat template")

// render renders the conversation in a JSON object.
func render(m *bitgpu.Model, data string) (string, error) {
	var o struct {
		Messages json.RawMessage `json:"messages"`
		Tools    json.RawMessage `json:"tools"`
		Answer   bool            `json:"add_generation_prompt"`
		Think    *bool           `json:"enable_thinking"`
	}
	if err := parse("conversation", data, &o); err != nil {
		return "", err
	}
	t := m.ChatTemplate()
	if t == nil {
		return "", errNoTemplate
	}
	if err := checkConversation(o.Messages, o.Tools); err != nil {
		return "", fmt.Errorf("%w: conversation: %w", errArgument, err)
	}
	c := chat.Conversation{AddGenerationPrompt: o.Answer, EnableThinking: o.Think}
	for _, part := range []struct {
		name string
		data json.RawMessage
		to   *chat.Value
	}{{"messages", o.Messages, &c.Messages}, {"tools", o.Tools, &c.Tools}} {
		if part.data == nil {
			continue
		}
		v, err := chat.DecodeJSON(part.data)
		if err != nil {
			return "", fmt.Errorf("%w: conversation: %s: %w", errArgument, part.name, err)
		}
		*part.to = v
	}
	text, err := t.Render(c)
	if err != nil {
		return "", fmt.Errorf("%w: conversation: %w", errArgument, err)
	}
	return text, nil
}

// checkConversation refuses what a template would write as Python prints it, or leave out.
func checkConversation(messages, tools json.RawMessage) error {
	type object map[string]json.RawMessage
	objects := func(name string, data json.RawMessage) (all []object, err error) {
		var items []json.RawMessage
		if data != nil && json.Unmarshal(data, &items) != nil {
			return nil, fmt.Errorf("%s: got %.40s, want an array", name, data)
		}
		for i, item := range items {
			var o object
			if json.Unmarshal(item, &o) != nil || o == nil {
				return nil, fmt.Errorf("%s[%d]: got %.40s, want an object", name, i, item)
			}
			all = append(all, o)
		}
		return all, nil
	}
	all, err := objects("messages", messages)
	if err != nil {
		return err
	}
	for i, m := range all {
		var role string
		if json.Unmarshal(m["role"], &role) != nil || role == "" {
			return fmt.Errorf("messages[%d]: role: got %.40s, want a word", i, cmp.Or(string(m["role"]), "none"))
		}
		content := string(m["content"])
		if (content == "" || content == "null") && len(m["tool_calls"]) > len("null") {
			continue
		}
		if !strings.HasPrefix(content, `"`) && !strings.HasPrefix(content, "[") {
			return fmt.Errorf("messages[%d]: content: got %.40s, want a text, or a list of its parts", i, cmp.Or(content, "none"))
		}
	}
	_, err = objects("tools", tools)
	return err
}

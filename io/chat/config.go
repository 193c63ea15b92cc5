package chat

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"bitgpu/io/internal/jsonscan"
	"bitgpu/io/regular"
)

// maxConfig limits the size of tokenizer_config.json, which lists all added tokens.
const maxConfig = 64 << 20

// The variables for special tokens.
var tokenNames = []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}

// Source holds the texts of a model's template and tokens, as read from its files. [Source.Template] loads them.
type Source struct {
	Templates map[string]string // by name, "default" and perhaps "tool_use"
	Tokens    map[string]string // the texts of special tokens by their names, "bos_token" and the like
}

// Template loads the template. If there is none, the error wraps [fs.ErrNotExist].
func (s Source) Template() (*Template, error) { return fromNamed(s.Templates, s.Tokens) }

// FromDir loads the chat template from a model's directory: from chat_template.jinja (with additional_chat_templates/*.jinja)
// or, if that is missing, from "chat_template" in tokenizer_config.json. Special tokens come from the latter and, where that does
// not list the added tokens, from special_tokens_map.json first, as in transformers. Without any template the error wraps
// [fs.ErrNotExist].
func FromDir(dir string) (*Template, error) {
	s, err := SourceFromDir(dir)
	if err != nil {
		return nil, err
	}
	t, err := s.Template()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return t, nil
}

// SourceFromDir reads what [FromDir] loads. For a directory without a template the result is empty.
func SourceFromDir(dir string) (Source, error) {
	config, err := readFile(filepath.Join(dir, "tokenizer_config.json"), maxConfig)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Source{}, err
	}
	jinja, err := readFile(filepath.Join(dir, "chat_template.jinja"), maxSource)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Source{}, err
	}
	special, err := readFile(filepath.Join(dir, "special_tokens_map.json"), maxConfig)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Source{}, err
	}
	named := map[string]string{}
	more, err := filepath.Glob(filepath.Join(dir, "additional_chat_templates", "*.jinja"))
	if err != nil {
		return Source{}, err
	}
	for _, path := range more {
		text, err := readFile(path, maxSource)
		if err != nil {
			return Source{}, err
		}
		named[strings.TrimSuffix(filepath.Base(path), ".jinja")] = string(text)
	}
	s, err := fromConfig(config, special, jinja, named)
	if err != nil {
		return Source{}, fmt.Errorf("%s: %w", dir, err)
	}
	return s, nil
}

// readFile reads a regular file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	info, err := regular.Check(path)
	switch {
	case err != nil:
		return nil, err
	case info.Size() > limit:
		return nil, fmt.Errorf("%s: got %d bytes, want at most %d", path, info.Size(), limit)
	}
	return regular.ReadFile(path)
}

// FromConfig loads the chat template from the contents of tokenizer_config.json and chat_template.jinja, either of which may
// be nil. If both have a template, that of chat_template.jinja is used. "chat_template" is a string, or a list of objects
// with "name" and "template", of which "tool_use" renders conversations with tools and "default" all others.
func FromConfig(tokenizerConfig, jinja []byte) (*Template, error) {
	s, err := fromConfig(tokenizerConfig, nil, jinja, map[string]string{})
	if err != nil {
		return nil, err
	}
	return s.Template()
}

// addedTokens is the member that lists all added tokens, which are not read: tokenizer.json has them, too.
const addedTokens = "added_tokens_decoder"

// fromConfig takes the contents of tokenizer_config.json, special_tokens_map.json and chat_template.jinja, nil where one is missing.
func fromConfig(tokenizerConfig, special, jinja []byte, named map[string]string) (Source, error) {
	tokens := map[string]string{}
	listed := false
	if tokenizerConfig != nil {
		config, err := configMembers(tokenizerConfig)
		if err == nil {
			err = addTokens(tokens, config)
		}
		if err != nil {
			return Source{}, fmt.Errorf("tokenizer_config.json: %w", err)
		}
		_, listed = config.get(addedTokens)
		if given, ok := config.get("chat_template"); ok && jinja == nil {
			if err := templateList(given, named); err != nil {
				return Source{}, err
			}
		}
	}
	if special != nil && !listed {
		config, err := configMembers(special)
		if err == nil {
			err = addTokens(tokens, config)
		}
		if err != nil {
			return Source{}, fmt.Errorf("special_tokens_map.json: %w", err)
		}
	}
	if jinja != nil {
		named["default"] = string(jinja)
	}
	return Source{named, tokens}, nil
}

// addTokens adds the special tokens of a configuration to those that are known.
func addTokens(tokens map[string]string, config *dict) error {
	for _, name := range tokenNames {
		token, err := tokenText(config, name)
		if err != nil {
			return err
		}
		if token != "" {
			tokens[name] = token
		}
	}
	return nil
}

// configMembers reads the relevant members and skips the added tokens, which can be many.
func configMembers(data []byte) (*dict, error) {
	// Some editors put a byte order mark at the start, which JSON does not allow.
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if err := jsonscan.Check(data); err != nil {
		return nil, fmt.Errorf("is not JSON: %w", err)
	}
	if !jsonscan.IsObject(data) {
		return nil, errors.New("not a JSON object")
	}
	config := &dict{}
	for m := range jsonscan.Members(data) {
		name, err := jsonscan.String(m.Name)
		if err != nil {
			return nil, err
		}
		if name == addedTokens {
			config.set(name, true)
		}
		if name != "chat_template" && !slices.Contains(tokenNames, name) {
			continue
		}
		v, err := DecodeJSON(m.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		config.set(name, v.v)
	}
	return config, nil
}

// tokenText returns a special token of a configuration: a string, an object with "content", or null.
func tokenText(config *dict, name string) (string, error) {
	v, _ := config.get(name)
	if token, ok := v.(*dict); ok {
		v, _ = token.get("content")
	}
	switch v := v.(type) {
	case nil, noneType, bool:
		return "", nil
	case string:
		return v, nil
	}
	return "", fmt.Errorf("%s: got %s, want a string or an object with \"content\"", name, jsonName(v))
}

func templateList(given value, named map[string]string) error {
	switch given := given.(type) {
	case noneType:
		return nil
	case string:
		named["default"] = given
		return nil
	case *list:
		for i, item := range given.items {
			d, _ := item.(*dict)
			if d == nil {
				d = &dict{}
			}
			name, _ := d.get("name")
			text, _ := d.get("template")
			n, ok := name.(string)
			s, ok2 := text.(string)
			if !ok || !ok2 {
				return fmt.Errorf("tokenizer_config.json: chat_template[%d] is no object with the strings \"name\" and \"template\"", i)
			}
			named[n] = s
		}
		return nil
	}
	return fmt.Errorf("tokenizer_config.json: chat_template: got %s, want a string or an array", jsonName(given))
}

// SourceFromGGUF picks the chat templates out of a GGUF file's metadata: the strings "tokenizer.chat_template" and
// "tokenizer.chat_template.NAME". bos and eos are the texts of the file's special tokens, or "".
func SourceFromGGUF(metadata map[string]string, bos, eos string) Source {
	const key = "tokenizer.chat_template"
	named := map[string]string{}
	for k, text := range metadata {
		if k == key {
			named["default"] = text
		} else if name, ok := strings.CutPrefix(k, key+"."); ok {
			named[name] = text
		}
	}
	tokens := map[string]string{}
	if bos != "" {
		tokens["bos_token"] = bos
	}
	if eos != "" {
		tokens["eos_token"] = eos
	}
	return Source{named, tokens}
}

// noTemplate is the error of a model without a chat template.
type noTemplate struct{}

func (noTemplate) Error() string { return "chat: the model has no chat template" }

func (noTemplate) Is(target error) bool { return target == fs.ErrNotExist }

func fromNamed(named, texts map[string]string) (*Template, error) {
	if len(named) == 0 {
		return nil, noTemplate{}
	}
	text, ok := named["default"]
	if !ok {
		names := slices.Sorted(maps.Keys(named))
		if len(names) > 1 {
			return nil, fmt.Errorf("chat: got the templates %s, want one of them to be named default", strings.Join(names, ", "))
		}
		text = named[names[0]]
	}
	tokens := map[string]value{}
	for name, token := range texts {
		tokens[name] = token
	}
	t, err := Parse(text)
	if err != nil {
		return nil, err
	}
	t.tokens = tokens
	if tools, ok := named["tool_use"]; ok && tools != text {
		if t.withTools, err = Parse(tools); err != nil {
			return nil, fmt.Errorf("the template tool_use: %w", err)
		}
		t.withTools.tokens = tokens
	}
	return t, nil
}

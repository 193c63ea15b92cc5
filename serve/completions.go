package serve

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"bitgpu"
	"bitgpu/io/jsonform"
)

// refusedOfCompletions are fields of OpenAI's API that have no effect here.
var refusedOfCompletions = map[string]string{
	"best_of": "ask for n texts and choose",
	"suffix":  "the model writes what follows a text, not what stands within it",
	"lora":    "there are no adapters", "adapter": "there are no adapters",
	"ignore_eos": "a text ends where the model ends it", "min_tokens": "a text ends where the model ends it",
	"use_beam_search": "texts are sampled", "prompt_logprobs": "ask for echo with logprobs",
}

// unused are fields that change nothing, whatever their values.
type unused struct {
	User           json.RawMessage `json:"user"`
	Safety         json.RawMessage `json:"safety_identifier"`
	CacheKey       json.RawMessage `json:"prompt_cache_key"`
	CacheRetention json.RawMessage `json:"prompt_cache_retention"`
	Metadata       json.RawMessage `json:"metadata"`
}

// streaming are the fields that say how to send the answer.
type streaming struct {
	Stream        bool `json:"stream"`
	StreamOptions *struct {
		IncludeUsage       bool            `json:"include_usage"`
		IncludeObfuscation json.RawMessage `json:"include_obfuscation"` // there is none
	} `json:"stream_options"`
}

func (o streaming) check() error {
	if o.StreamOptions != nil && !o.Stream {
		return invalid("stream_options", "got some without stream, want them with it")
	}
	return nil
}

func (o streaming) usage() bool { return o.StreamOptions != nil && o.StreamOptions.IncludeUsage }

type completionRequest struct {
	sampling
	remember
	streaming
	unused
	Model     string  `json:"model"`
	Prompt    prompts `json:"prompt"`
	MaxTokens *int    `json:"max_tokens"`
	N         *int    `json:"n"`
	LogProbs  *int    `json:"logprobs"`
	Echo      bool    `json:"echo"`

	ResponseFormat *responseFormat `json:"response_format"` // OpenAI only has it for chats
}

// prompts are texts, or lists of ids.
type prompts []prompt

type prompt struct {
	text string
	ids  ids // nil if it is a text
}

// UnmarshalJSON implements [json.Unmarshaler].
func (p *prompts) UnmarshalJSON(data []byte) error {
	var one *string
	var texts []*string
	var list ids
	var lists []ids
	*p = nil
	switch {
	case string(data) == "null":
	case json.Unmarshal(data, &one) == nil:
		*p = prompts{{text: *one}}
	case json.Unmarshal(data, &texts) == nil && !slices.Contains(texts, nil):
		for _, text := range texts {
			*p = append(*p, prompt{text: *text})
		}
	case json.Unmarshal(data, &list) == nil:
		*p = prompts{{ids: list}}
	case json.Unmarshal(data, &lists) == nil && !slices.ContainsFunc(lists, func(l ids) bool { return l == nil }):
		for _, list := range lists {
			*p = append(*p, prompt{ids: list})
		}
	default:
		return invalid("prompt", "got another type, want a text, texts, token ids or lists of token ids")
	}
	return nil
}

// ids are token ids; null is read as no list, nil.
type ids []uint32

// UnmarshalJSON implements [json.Unmarshaler].
func (l *ids) UnmarshalJSON(data []byte) error {
	var found []*uint32
	if err := json.Unmarshal(data, &found); err != nil || slices.Contains(found, nil) {
		return invalid("tokens", "got another type, want a list of token ids")
	}
	if *l = nil; found != nil {
		*l = make(ids, 0, len(found))
		for _, id := range found {
			*l = append(*l, *id)
		}
	}
	return nil
}

func (s *Server) completions(c *call) error {
	var in completionRequest
	if err := c.decode(&in, refusedOfCompletions, false); err != nil {
		return err
	}
	if err := c.checkModel(in.Model); err != nil {
		return err
	}
	if err := c.needText(); err != nil {
		return err
	}
	if len(in.Prompt) == 0 { // without a prompt, the text continues from the memory
		in.Prompt = prompts{{}}
	}
	o, err := in.options(c, firstGiven(in.MaxTokens, nil, defaultTokens))
	if err != nil {
		return err
	}
	form, err := in.ResponseFormat.form("response_format")
	if err != nil {
		return err
	}
	if err := s.hold(&o, form, jsonform.NoThought); err != nil {
		return err
	}
	n := firstGiven(in.N, nil, 1)
	learns := in.Memory != "" && (in.Learn == nil || *in.Learn)
	switch {
	case n < 1 || n > mostChoices:
		return invalid("n", "got %d, want 1 to %d", n, mostChoices)
	case len(in.Prompt) > mostPrompts:
		return invalid("prompt", "got %d prompts, want at most %d", len(in.Prompt), mostPrompts)
	case in.LogProbs != nil && (*in.LogProbs < 0 || *in.LogProbs > mostTopLogProbs):
		return invalid("logprobs", "got %d, want 0 to %d", *in.LogProbs, mostTopLogProbs)
	case learns && (n > 1 || len(in.Prompt) > 1):
		return invalid("learn", "got several texts, want one where a memory learns; the others name it with \"learn\": false")
	}
	if err := in.check(); err != nil {
		return err
	}
	w := &completionWriter{c: c, in: &in, n: n, id: "cmpl-" + c.id, created: time.Now().Unix(), offsets: map[int]int{}}
	leave, err := c.place()
	if err != nil {
		return err
	}
	defer leave()
	if in.Stream {
		w.events = c.stream()
		defer w.events.close()
	}
	err = w.write(o)
	if w.events != nil {
		if err == nil && in.usage() {
			chunk := w.body([]any{})
			chunk["usage"] = c.usage.body()
			w.events.send(chunk)
		}
		return w.events.finish(err, sseDone)
	}
	if err != nil {
		return err
	}
	body := w.body(w.choices)
	body["usage"] = c.usage.body()
	return c.answer(200, body)
}

// completionWriter writes the choices of a completion, whole or in pieces.
type completionWriter struct {
	c       *call
	in      *completionRequest
	n       int
	id      string
	created int64
	events  *events // nil for an answer in one piece

	choices []any
	text    strings.Builder // of the current choice
	log     completionLogProbs
	offsets map[int]int // characters of a choice so far
}

// completionLogProbs is OpenAI's form of probabilities in a completion.
type completionLogProbs struct {
	Tokens      []string             `json:"tokens"`
	LogProbs    []*float64           `json:"token_logprobs"`
	TopLogProbs []map[string]float64 `json:"top_logprobs"`
	TextOffset  []int                `json:"text_offset"`
}

func (w *completionWriter) body(choices []any) map[string]any {
	body := map[string]any{"id": w.id, "object": "text_completion", "created": w.created, "model": w.c.s.o.Name, "choices": choices}
	if w.in.usage() {
		body["usage"] = nil
	}
	return body
}

// choice returns a choice, or a piece of it.
func (w *completionWriter) choice(i int, text string, log *completionLogProbs, reason any) map[string]any {
	choice := map[string]any{"index": i, "text": text, "logprobs": nil, "finish_reason": reason}
	if log != nil && w.in.LogProbs != nil {
		choice["logprobs"] = log
	}
	return choice
}

func (w *completionWriter) write(o bitgpu.TokenOptions) error {
	top := -1
	if w.in.LogProbs != nil {
		top = *w.in.LogProbs
	}
	for i, p := range w.in.Prompt {
		if err := w.prompt(i, p, o, top); err != nil {
			return err
		}
	}
	return nil
}

func (w *completionWriter) prompt(number int, p prompt, o bitgpu.TokenOptions, top int) error {
	t, err := w.c.open(w.in.remember)
	if err != nil {
		return err
	}
	defer t.close()
	ids := p.ids
	if ids == nil {
		if ids, err = w.c.encode(t, p.text); err != nil {
			return err
		}
	}
	if len(ids) == 0 && t.fresh {
		return bitgpu.ErrEmptyPrompt
	}
	var echo piece
	if w.in.Echo {
		echo.text = p.text
		if p.ids != nil {
			if echo.text, err = w.c.s.model.Decode(ids); err != nil {
				return err
			}
		}
	}
	if w.in.Echo && top >= 0 {
		if echo.logProbs, err = w.c.readShowing(t, ids, top); err != nil {
			return err
		}
	} else if err := w.c.read(t, ids); err != nil {
		return err
	}
	first := number * w.n
	for i := range w.n {
		if w.events != nil && w.in.Echo && !w.show(first+i, echo) {
			return errGone
		}
	}
	return w.c.choices(t, w.n, o, top,
		func(i int, p piece) bool {
			if w.events == nil && w.text.Len() == 0 && len(w.log.Tokens) == 0 && w.in.Echo {
				w.show(first+i, echo)
			}
			return w.show(first+i, p)
		},
		func(i int, r bitgpu.Reason) bool {
			if w.events == nil && w.text.Len() == 0 && len(w.log.Tokens) == 0 && w.in.Echo {
				w.show(first+i, echo) // nothing was written
			}
			return w.end(first+i, r)
		})
}

// show adds a piece to a choice, and reports whether to continue.
func (w *completionWriter) show(i int, p piece) bool {
	log := w.logProbs(i, p)
	w.offsets[i] += utf8.RuneCountInString(p.text)
	if w.events != nil {
		return w.events.send(w.body([]any{w.choice(i, p.text, &log, nil)}))
	}
	w.text.WriteString(p.text)
	w.log.Tokens = append(w.log.Tokens, log.Tokens...)
	w.log.LogProbs = append(w.log.LogProbs, log.LogProbs...)
	w.log.TopLogProbs = append(w.log.TopLogProbs, log.TopLogProbs...)
	w.log.TextOffset = append(w.log.TextOffset, log.TextOffset...)
	return true
}

func (w *completionWriter) end(i int, r bitgpu.Reason) bool {
	if w.events != nil {
		return w.events.send(w.body([]any{w.choice(i, "", nil, finishReason(r))}))
	}
	log := w.log
	w.choices = append(w.choices, w.choice(i, w.text.String(), &log, finishReason(r)))
	w.text.Reset()
	w.log = completionLogProbs{}
	return true
}

func (w *completionWriter) logProbs(i int, p piece) completionLogProbs {
	log := completionLogProbs{Tokens: []string{}, LogProbs: []*float64{}, TopLogProbs: []map[string]float64{}, TextOffset: []int{}}
	at := w.offsets[i]
	for _, t := range p.logProbs {
		text := w.c.tokenText(t.id)
		log.Tokens = append(log.Tokens, text)
		log.TextOffset = append(log.TextOffset, at)
		at += utf8.RuneCountInString(text)
		if t.top == nil && t.log == 1 { // nothing comes before it
			log.LogProbs, log.TopLogProbs = append(log.LogProbs, nil), append(log.TopLogProbs, nil)
			continue
		}
		log.LogProbs = append(log.LogProbs, &t.log)
		most := map[string]float64{text: t.log}
		for _, other := range t.top {
			name := w.c.tokenText(other.id)
			if had, ok := most[name]; !ok || had < other.log {
				most[name] = other.log
			}
		}
		log.TopLogProbs = append(log.TopLogProbs, most)
	}
	return log
}

// tokenText returns a token as a text by itself; one that is not whole characters is shown by its number.
func (c *call) tokenText(id uint32) string {
	text, err := c.s.model.TokenText(id)
	if err != nil || strings.ContainsRune(text, utf8.RuneError) {
		return fmt.Sprintf("token:%d", id)
	}
	return text
}

// readShowing is read with the probability of every token of the prompt. If nothing was read before, the first has none, for
// which 1 stands.
func (c *call) readShowing(t *text, ids []uint32, top int) ([]tokenLogProb, error) {
	if err := t.session.CheckRoom(len(ids)); err != nil {
		return nil, err
	}
	c.usage.prompt += len(ids)
	var found []tokenLogProb
	var before []float32
	if t.session.Position() > 0 {
		var err error
		if before, err = t.session.Forward(nil); err != nil {
			return nil, err
		}
	}
	piece := c.s.model.PieceTokens()
	for from := 0; from < len(ids); from += piece {
		if err := c.r.Context().Err(); err != nil {
			return nil, err
		}
		part := ids[from:min(from+piece, len(ids))]
		if before == nil {
			found = append(found, tokenLogProb{id: part[0], log: 1})
		} else if int64(part[0]) < int64(len(before)) {
			found = append(found, logProb(before, part[0], top))
		}
		vocab := c.s.model.Config().Vocab
		err := c.reading(len(part), func() error {
			return t.session.ForwardAll(part, func(at int, logits []float32) error {
				for i := 0; i < len(logits)/vocab; i++ {
					row := logits[i*vocab : (i+1)*vocab]
					if next := at + i + 1; next < len(part) {
						found = append(found, logProb(row, part[next], top))
					} else {
						before = append(before[:0], row...)
					}
				}
				return nil
			})
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

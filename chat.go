package bitgpu

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"bitgpu/io/chat"
)

var (
	// ErrNoTemplate is returned if a conversation is asked of a model without a chat template.
	ErrNoTemplate = errors.New("the model has no chat template: it goes on from text, and cannot hold a conversation")
	// ErrTemplate is returned if a chat template cannot be parsed or does not accept a conversation. The text has the line.
	ErrTemplate = errors.New("the chat template cannot be used")
	// ErrNoTurn is returned if there is no turn to take back or answer again.
	ErrNoTurn = errors.New("there is no turn yet")
)

// ChatOptions says how to render a chat.
type ChatOptions struct {
	System   string         // the system message before the first turn; "" for none
	Think    *bool          // whether the model thinks before it answers; nil: as its template decides
	Template *chat.Template // used instead of the model's own, unless nil
}

// ChatMessage is a message of a chat.
type ChatMessage struct {
	Role      string          `json:"role"` // "user" or "assistant"
	Content   string          `json:"content"`
	Reasoning string          `json:"reasoning_content,omitempty"` // the model's thoughts, which many templates leave out in later turns
	Calls     []chat.ToolCall `json:"tool_calls,omitempty"`        // made by the model although no tool was offered
}

// Reply is an answer, and what it took. PromptTokens counts the tokens of the prompt that were read, Kept those that were
// already in the memory.
type Reply struct {
	Result
	Answer chat.Answer
	Kept   int
}

// Chat is a conversation by a model's chat template. Between turns the session keeps what it has read, and of each prompt
// only the new part is read. If the template renders earlier turns differently, for example without earlier thoughts, reading
// resumes at the first difference. A Chat is for one goroutine.
//
// # Why
//
// The strings of a conversation are always plain text, even if they spell a control token: a user cannot type the end of one
// turn and the start of another. Hugging Face's transformers and llama.cpp encode the rendering as a whole, and so turn such
// text into the token. Tokens that are not control tokens, such as <think> in some models, are recognised everywhere, as in
// those programs.
//
// A beginning-of-text token, if the tokenizer adds one, comes before the conversation exactly once: it is not added if the
// rendering already begins with it. llama.cpp does the same.
type Chat struct {
	s        *Session
	o        ChatOptions
	own      bool // the template is not the model's, so it does not know the texts of special tokens
	template *chat.Template
	messages []ChatMessage

	held   rendered // what the session has read
	marks  []chatMark
	broken bool // it is unknown what the session has read
}

// NewChat begins a conversation in a session, which it resets and from then on owns. The error is [ErrNoTemplate] without a
// template, [ErrTemplate] for one that cannot be parsed, or [ErrNoTokenizer], [ErrBusy] or [ErrClosed].
func NewChat(s *Session, o ChatOptions) (*Chat, error) {
	m := s.model
	c := &Chat{s: s, o: o, template: o.Template, own: o.Template != nil}
	if c.template == nil {
		if err := m.templateError(); err != nil {
			return nil, err
		}
		c.template = m.chat
	}
	if m.tok == nil {
		return nil, m.noTokenizer()
	}
	return c, s.Reset()
}

// templateError says why there is no usable template, nil if there is one.
func (m *Model) templateError() error {
	switch {
	case m.chat != nil:
		return nil
	case m.chatError == nil || errors.Is(m.chatError, fs.ErrNotExist):
		return fmt.Errorf("%s: %w", m.name, ErrNoTemplate)
	case strings.HasPrefix(m.chatError.Error(), m.name):
		return fmt.Errorf("%w: %w", ErrTemplate, m.chatError)
	}
	return fmt.Errorf("%w: %s: %w", ErrTemplate, m.name, m.chatError)
}

// Close closes the chat and its session. While the session is at work the error is [ErrBusy].
func (c *Chat) Close() error {
	err := c.s.work(func() error {
		c.dropMarks(0)
		return nil
	})
	if err != nil && !errors.Is(err, ErrClosed) {
		return err
	}
	return c.s.Close()
}

// Session returns the chat's session, for its properties. Reading with it directly makes the chat lose its place in the text.
func (c *Chat) Session() *Session { return c.s }

// Messages returns the conversation so far, without the system message.
func (c *Chat) Messages() []ChatMessage { return slices.Clone(c.messages) }

// Options returns the options for rendering the chat.
func (c *Chat) Options() ChatOptions { return c.o }

// SetSystem changes the system message, which comes before the first turn; "" removes it.
func (c *Chat) SetSystem(text string) { c.o.System = text }

// SetThink changes whether the model thinks before it answers; nil: its template decides.
func (c *Chat) SetThink(think *bool) { c.o.Think = think }

// Thinks reports whether the template supports thinking.
func (c *Chat) Thinks() bool { return c.template.Features().Thinking }

// Clear takes back all turns. The system message stays.
func (c *Chat) Clear() { c.messages = nil }

// Undo removes the last turn: the user's message and the answer. If there is none, the error is [ErrNoTurn].
func (c *Chat) Undo() error {
	at := c.lastTurn()
	if at < 0 {
		return ErrNoTurn
	}
	c.messages = c.messages[:at]
	return nil
}

// lastTurn returns the index of the user's last message, -1 if there is none.
func (c *Chat) lastTurn() int {
	for i := len(c.messages) - 1; i >= 0; i-- {
		if c.messages[i].Role == "user" {
			return i
		}
	}
	return -1
}

// Send says text to the model and calls stream, which may be nil, with each part of the answer as soon as it is certain; when
// stream returns false, the answer ends. MaxTokens 0 means as long as there is room for.
//
// After an error the turn is not part of the conversation, with one exception: if ctx is cancelled after a part of the answer
// was written, the turn stays with that part. The error is that of ctx, [ErrContext] for a conversation that does not fit
// into the session, [ErrTemplate], [ErrOption], [ErrTokenRange], [ErrEmptyPrompt] if the template renders nothing,
// [ErrNotFinite], [ErrBusy] or [ErrClosed].
func (c *Chat) Send(ctx context.Context, text string, o Options, stream func(chat.Delta) bool) (Reply, error) {
	return c.turn(ctx, append(slices.Clone(c.messages), ChatMessage{Role: "user", Content: strings.ToValidUTF8(text, "\ufffd")}), o, stream)
}

// Again answers the last message again. If there is none, the error is [ErrNoTurn]; other errors are those of [Chat.Send].
func (c *Chat) Again(ctx context.Context, o Options, stream func(chat.Delta) bool) (Reply, error) {
	at := c.lastTurn()
	if at < 0 {
		return Reply{}, ErrNoTurn
	}
	return c.turn(ctx, slices.Clone(c.messages[:at+1]), o, stream)
}

// turn answers messages. If that succeeds, they and the answer become the conversation.
func (c *Chat) turn(ctx context.Context, messages []ChatMessage, o Options, stream func(chat.Delta) bool) (Reply, error) {
	r, err := c.Answer(ctx, c.conversation(messages), o, stream)
	a := r.Answer
	said := a.Content != "" || a.Reasoning != "" || len(a.ToolCalls) > 0
	if err == nil || said && r.Reason == EndCancelled {
		c.messages = append(messages, ChatMessage{Role: "assistant", Content: a.Content, Reasoning: a.Reasoning, Calls: a.ToolCalls})
	}
	return r, err
}

// Prompt returns what the model would read up to the answer if text were said now, including what it has read already. The
// error is [ErrTemplate] or [ErrTokenRange].
func (c *Chat) Prompt(text string) (string, error) {
	p, err := c.render(c.conversation(append(slices.Clone(c.messages), ChatMessage{Role: "user", Content: text})))
	return p.text, err
}

// conversation returns what the template renders for messages.
func (c *Chat) conversation(messages []ChatMessage) chat.Conversation {
	var all []chat.Value
	if c.o.System != "" {
		all = append(all, chat.Message("system", strings.ToValidUTF8(c.o.System, "\ufffd")))
	}
	for _, m := range messages {
		all = append(all, m.value())
	}
	return chat.Conversation{Messages: chat.List(all...), AddGenerationPrompt: true, EnableThinking: c.o.Think}
}

func (m ChatMessage) value() chat.Value {
	members := []chat.Member{{Name: "role", Value: chat.String(m.Role)}, {Name: "content", Value: chat.String(m.Content)}}
	if m.Reasoning != "" {
		members = append(members, chat.Member{Name: "reasoning_content", Value: chat.String(m.Reasoning)})
	}
	var calls []chat.Value
	for _, call := range m.Calls {
		function := chat.Object(chat.Member{Name: "name", Value: chat.String(call.Name)}, chat.Member{Name: "arguments", Value: call.Arguments})
		calls = append(calls, chat.Object(chat.Member{Name: "type", Value: chat.String("function")}, chat.Member{Name: "function", Value: function}))
	}
	if calls != nil {
		members = append(members, chat.Member{Name: "tool_calls", Value: chat.List(calls...)})
	}
	return chat.Object(members...)
}

package bitgpu

import (
	"encoding/json"
	"fmt"

	"bitgpu/io/memory"
	"bitgpu/nn"
	"bitgpu/nn/op"
)

// savedChat is a conversation in a memory file.
type savedChat struct {
	System   string        `json:"system,omitempty"`
	Think    *bool         `json:"think,omitempty"`
	Messages []ChatMessage `json:"messages"`
	Tokens   []uint32      `json:"tokens"` // read
	Text     string        `json:"text,omitempty"`
	Breaks   []int         `json:"breaks,omitempty"`
	Mark     int           `json:"mark,omitempty"` // position of a second set of states in the file
}

// Save writes the conversation, and what the session has read of it, to a memory file, which it replaces as a whole. Apart
// from file errors, the error is [ErrNotFinite], [ErrBusy] or [ErrClosed].
func (c *Chat) Save(path string) error {
	if c.broken {
		if err := c.reset(); err != nil {
			return err
		}
	}
	file, err := c.s.memoryFile()
	if err != nil {
		return err
	}
	saved := savedChat{c.o.System, c.o.Think, c.messages, c.held.ids, c.held.text, c.held.breaks, 0}
	if n := len(c.marks); n > 0 {
		saved.Mark = c.marks[n-1].position
		err := c.s.work(func() error {
			states, err := c.marks[n-1].mark.States()
			for _, t := range states {
				file.Mark = append(file.Mark, memory.State(t))
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if file.Chat, err = json.Marshal(saved); err != nil {
		return err
	}
	return memory.WriteFile(path, file)
}

// Load continues a conversation that Save has written, without reading it again. Apart from errors in the file, the error is
// [ErrOtherModel] for a file of another model, [ErrContext] for more tokens than the session has room for, [ErrTokenRange],
// [ErrBusy] or [ErrClosed]. If the file is refused the chat does not change.
func (c *Chat) Load(path string) error {
	file, err := memory.Read(path)
	if err != nil {
		return err
	}
	if file.Chat == nil {
		return fmt.Errorf("memory: %s: got a memory without a conversation, want one that a chat has saved", path)
	}
	if err := c.s.checkModel(path, file); err != nil {
		return err
	}
	var saved savedChat
	if err := json.Unmarshal(file.Chat, &saved); err != nil {
		return fmt.Errorf("memory: %s: the conversation: %w", path, err)
	}
	if int64(len(saved.Tokens)) != file.Tokens {
		return fmt.Errorf("memory: %s: got a conversation of %d tokens, want the memory's %d", path, len(saved.Tokens), file.Tokens)
	}
	if err := c.s.model.checkTokens(saved.Tokens); err != nil {
		return fmt.Errorf("memory: %s: %w", path, err)
	}
	for i, m := range saved.Messages {
		if m.Role != "user" && m.Role != "assistant" {
			return fmt.Errorf("memory: %s: message %d: got the role %q, want user or assistant", path, i, m.Role)
		}
	}
	if saved.Mark < 0 || saved.Mark > len(saved.Tokens) {
		return fmt.Errorf("memory: %s: got a mark behind %d tokens, want 0 to %d", path, saved.Mark, len(saved.Tokens))
	}
	var marks []chatMark
	if err := c.s.work(func() error {
		marks, err = c.markOf(saved.Mark, saved.Tokens, file.Mark)
		return err
	}); err != nil {
		return fmt.Errorf("memory: %s: %w", path, err)
	}
	err = c.s.work(func() error {
		err := c.s.take(path, file)
		if err != nil {
			for _, m := range marks {
				m.mark.Release()
			}
			return err
		}
		c.dropMarks(0)
		c.marks = marks
		return nil
	})
	if err != nil {
		return err
	}
	c.o.System, c.o.Think, c.messages = saved.System, saved.Think, saved.Messages
	c.held, c.broken = rendered{saved.Text, saved.Breaks, saved.Tokens}, false
	return nil
}

// markOf makes the mark of a file, if it has one.
func (c *Chat) markOf(position int, ids []uint32, tensors []memory.State) ([]chatMark, error) {
	if position == 0 || c.s.run.Cuts() {
		return nil, nil
	}
	var states []nn.StateTensor
	for _, t := range tensors {
		states = append(states, nn.StateTensor(t))
	}
	m, err := c.s.run.markOf(states, int64(position), ids[max(0, position-op.RecentWindow):position])
	if err != nil {
		return nil, err
	}
	return []chatMark{{position, m}}, nil
}

package bitgpu

import (
	"encoding/json"
	"fmt"

	"bitgpu/io/memory"
)

// savedChat is a conversation as a memory file has it.
type savedChat struct {
	System   string        `json:"system,omitempty"`
	Think    *bool         `json:"think,omitempty"`
	Messages []ChatMessage `json:"messages"`
	Tokens   []uint32      `json:"tokens"` // read
	Text     string        `json:"text,omitempty"`
	Breaks   []int         `json:"breaks,omitempty"`
}

// Save writes the conversation and what the session has read of it to a memory file, which it replaces as a whole.
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
	file.Chat, err = json.Marshal(savedChat{c.o.System, c.o.Think, c.messages, c.held.ids, c.held.text, c.held.breaks})
	if err != nil {
		return err
	}
	return memory.WriteFile(path, file)
}

// Load goes on from a conversation that Save has written, and reads nothing of it again. A file of another model is refused
// with [ErrOtherModel]; after a file that is refused the chat is what it was.
func (c *Chat) Load(path string) error {
	file, err := memory.Read(path)
	if err != nil {
		return err
	}
	if file.Chat == nil {
		return fmt.Errorf("memory: %s: got a memory without a conversation, want one that a chat has saved", path)
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
	if err := c.s.takeMemory(path, file); err != nil {
		return err
	}
	err = c.s.work(func() error {
		c.dropMarks(0)
		return nil
	})
	c.o.System, c.o.Think, c.messages = saved.System, saved.Think, saved.Messages
	c.held, c.broken = rendered{saved.Text, saved.Breaks, saved.Tokens}, false
	return err
}

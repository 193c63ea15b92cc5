package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// server is one with OpenAI's /v1/completions, by its address.
type server struct {
	address string
	client  *http.Client
}

func newServer(address string, clients int) *server {
	return &server{address, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}}
}

func (s *server) name() string { return s.address }

func (s *server) write(ctx context.Context, j job, piece func()) (tokens int, err error) {
	body, err := json.Marshal(map[string]any{
		"prompt": j.prompt, "max_tokens": j.tokens, "temperature": temperature, "seed": seedOfTexts, "stream": true, "stream_options": map[string]any{"include_usage": true},
	})
	if err != nil {
		return 0, err
	}
	r, err := http.NewRequestWithContext(ctx, "POST", s.address+"/v1/completions", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := s.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(answer.Body, 200))
		return 0, fmt.Errorf("status %d: %s", answer.StatusCode, bytes.TrimSpace(said))
	}
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !ok || string(data) == "[DONE]" {
			continue
		}
		var v struct {
			Choices []struct{ Text string }
			Usage   *struct {
				Tokens int `json:"completion_tokens"`
			}
			Error *struct{ Message string }
		}
		if err := json.Unmarshal(data, &v); err != nil {
			return tokens, err
		}
		if v.Error != nil {
			return tokens, fmt.Errorf("%s", v.Error.Message)
		}
		if v.Usage != nil {
			tokens = v.Usage.Tokens
		}
		if len(v.Choices) > 0 && v.Choices[0].Text != "" {
			piece()
		}
	}
	return tokens, lines.Err()
}

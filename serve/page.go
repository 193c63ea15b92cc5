package serve

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"net/http"
)

//go:embed page.html
var page []byte

//go:embed openapi.json
var openAPI []byte

// pagePolicy lets the page run its own code and talk to its server, and nothing else.
var pagePolicy = fmt.Sprintf("default-src 'none'; script-src %s; style-src %s; connect-src 'self'; img-src data: blob:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
	hashOf("script"), hashOf("style"))

// hashOf returns the policy's name for the page's only element of a kind.
func hashOf(element string) string {
	_, rest, _ := bytes.Cut(page, []byte("<"+element+">"))
	text, _, _ := bytes.Cut(rest, []byte("</"+element+">"))
	sum := sha256.Sum256(text)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func (s *Server) showPage(c *call) error {
	h := c.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
	return c.give(page)
}

func (s *Server) showOpenAPI(c *call) error {
	c.w.Header().Set("Content-Type", "application/json")
	return c.give(openAPI)
}

func (c *call) give(data []byte) error {
	c.w.WriteHeader(http.StatusOK)
	if _, err := c.w.Write(data); err != nil {
		return errGone
	}
	return nil
}

package jsonwords

import (
	"encoding/json"
	"testing"
)

func TestPlain(t *testing.T) {
	type inner struct {
		B struct {
			C int `json:"c"`
		} `json:"b"`
		List []float64       `json:"list"`
		Flag *bool           `json:"flag"`
		Text string          `json:"text"`
		Any  map[string]bool `json:"any"`
	}
	for data, want := range map[string]string{
		`{"b": "x"}`:          "f: b: got a string, want an object",
		`{"b": {"c": 1.5}}`:   "f: b.c: got a number 1.5, want a whole number",
		`{"b": {"c": "1"}}`:   "f: b.c: got a string, want a whole number",
		`{"list": {}}`:        "f: list: got an object, want a list",
		`{"list": [true]}`:    "f: list: got true or false, want a number",
		`{"flag": 1}`:         "f: flag: got a number, want true or false",
		`{"text": []}`:        "f: text: got a list, want a string",
		`{"any": {"x": "y"}}`: "f: any: got a string, want true or false",
		`[]`:                  "f: got a list, want an object",
	} {
		err := json.Unmarshal([]byte(data), new(inner))
		if err == nil {
			t.Fatalf("%s was read", data)
		}
		if got := Plain("f: " + err.Error()); got != want {
			t.Errorf("%s: got %q, want %q", data, got, want)
		}
	}
	if got := Plain("nothing of JSON"); got != "nothing of JSON" {
		t.Error(got)
	}
}

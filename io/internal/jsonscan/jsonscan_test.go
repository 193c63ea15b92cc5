package jsonscan

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMembers(t *testing.T) {
	text := []byte(" { \"a\" : 1 ,\n\"b\\\"}\":[1,[2,{\"x\":\"]\"}], \"\\\\\"],\"c\":{},\"d\":null,\"a\":\"}\" } ")
	if err := Check(text); err != nil {
		t.Fatal(err)
	}
	var got []string
	for m := range Members(text) {
		got = append(got, string(m.Name)+"="+string(m.Value))
	}
	want := []string{`"a"=1`, `"b\"}"=[1,[2,{"x":"]"}], "\\"]`, `"c"={}`, `"d"=null`, `"a"="}"`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for range Members([]byte(` {} `)) {
		t.Error("an empty object has no members")
	}
	for range Members([]byte(`[1]`)) {
		t.Error("an array has no members")
	}
	for range Elements([]byte(`"[1]"`)) {
		t.Error("a string has no elements")
	}
}

func TestCheckNamesThePlace(t *testing.T) {
	err := Check([]byte(`{"a":x}`))
	if err == nil || !strings.Contains(err.Error(), "at byte 6") {
		t.Errorf("got %v, want the place", err)
	}
	if err := Check([]byte(strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000))); err == nil {
		t.Error("bottomless nesting was accepted")
	}
}

// FuzzMembers compares the walk with encoding/json on whatever it accepts.
func FuzzMembers(f *testing.F) {
	for _, s := range []string{`{}`, `[]`, `{"a":[1,-2.5e3,{"b":null}],"c":"\u00e9\\\""}`, "\t[ true , \"x\" ]\n", `7`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if Check(data) != nil {
			return
		}
		members := map[string]json.RawMessage{}
		for m := range Members(data) {
			name, err := String(m.Name)
			if err != nil {
				t.Fatalf("name %q: %v", m.Name, err)
			}
			members[name] = m.Value
		}
		if IsObject(data) {
			want := map[string]json.RawMessage{}
			if err := json.Unmarshal(data, &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, members); diff != "" {
				t.Fatal(diff)
			}
		}
		elements := []json.RawMessage{}
		for e := range Elements(data) {
			elements = append(elements, e)
		}
		if IsArray(data) {
			var want []json.RawMessage
			if err := json.Unmarshal(data, &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, elements); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

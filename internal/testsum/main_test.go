package main

import (
	"strings"
	"testing"
)

func TestSummary(t *testing.T) {
	const events = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:7: said on the way\n"}
{"Action":"pass","Package":"p","Test":"TestA/part","Elapsed":31}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":31.4}
{"Action":"output","Package":"p","Test":"TestB","Output":"=== RUN   TestB\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:9: no screen: DISPLAY is not set\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestC","Output":"    c_test.go:1: wrong\n"}
{"Action":"fail","Package":"p","Test":"TestC","Elapsed":2}
{"Action":"output","Package":"p","Test":"TestD","Output":"panic: at once\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
{"Action":"output","Package":"q","Output":"PASS\n"}
{"Action":"output","Package":"q","Output":"ok  \tq\t0.1s\n"}
{"Action":"pass","Package":"q"}
{"ImportPath":"r","Action":"build-output","Output":"r.go:1: no\n"}
no JSON
`
	var out strings.Builder
	s := summary{out: &out, output: map[string][]string{}}
	if err := s.read(strings.NewReader(events)); err != nil {
		t.Fatal(err)
	}
	if want := "    c_test.go:1: wrong\nFAIL\tp\t0.1s\npanic: at once\nok  \tq\t0.1s\nr.go:1: no\nno JSON\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	want := `2 tests passed, 1 failed, 1 skipped
  failed   p TestC
  skipped  p TestB: no screen: DISPLAY is not set
   31 s    p TestA
  untested SIMD level AVX9: this processor lacks it
`
	if got := s.account([]string{"AVX9"}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

//go:build js

package webgpu

import (
	"syscall/js"
	"testing"

	"bitgpu/gpu/gputest"
	"bitgpu/wgsl"
)

// compileAll is a function that takes texts and returns the first error or warning of each, "" if there is none.
const compileAll = `async (texts) => {
	const adapter = await navigator.gpu.requestAdapter();
	const device = await adapter.requestDevice();
	const said = [];
	for (const code of texts) {
		device.pushErrorScope("validation");
		const info = await device.createShaderModule({ code }).getCompilationInfo();
		const error = await device.popErrorScope();
		const m = info.messages[0];
		said.push(m ? m.type + " at " + m.lineNum + ":" + m.linePos + ": " + m.message : error ? error.message : "");
	}
	device.destroy();
	return said;
}`

// TestEveryTextCompiles gives the browser's compiler every kernel with every set of constants that can be chosen, and checks that it
// finds a deliberate fault among them.
func TestEveryTextCompiles(t *testing.T) {
	gputest.Device(t)
	compile := js.Global().Get("Function").New("return " + compileAll).Invoke()
	total := 0
	for _, k := range wgsl.All() {
		var sets []wgsl.Consts
		list := []any{}
		for consts, text := range texts(k) {
			sets, list = append(sets, consts), append(list, text)
		}
		total += len(list)
		list = append(list, "fn fault() { let x: u32 = 1.5; }")
		came := make(chan js.Value)
		then := js.FuncOf(func(_ js.Value, said []js.Value) any { came <- said[0]; return nil })
		compile.Invoke(list).Call("then", then)
		said := <-came
		then.Release()
		for i, consts := range sets {
			if message := said.Index(i).String(); message != "" {
				t.Errorf("%s with %v: %s", k.Name, consts, message)
			}
		}
		if said.Index(len(sets)).String() == "" {
			t.Fatal("the compiler lets a fault pass")
		}
		t.Logf("%s: %d texts", k.Name, len(sets))
	}
	t.Logf("%d texts in all", total)
}

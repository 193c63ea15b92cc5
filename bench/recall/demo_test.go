package main

import (
	"testing"

	"bitgpu/demo"
	"bitgpu/io/corpus"
	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/storage"
	"bitgpu/nn/train"
)

// unread is a text that the demo was not trained on.
const unread = `HELENA:
The baker's boy has lost his silver key,
And swears the miller's daughter has it still.
She walks at evening by the harbour wall
And counts the lanterns of the fishing boats.

BAKER:
Good sir, my son is but a careless youth;
He dropped it in the flour, or in the well.
Go ask the ferryman, who sees all things,
And asks a penny for each thing he sees.

FERRYMAN:
I saw no key. I saw a yellow dog
Run down the lane with something in its mouth,
And after it the parson, out of breath,
Who cried, Come back, thou thief! and lost his hat.

HELENA:
Then follow me, the parson's hat is found:
It hangs upon the branches of the oak
Where once my brother carved his lady's name,
And underneath it sleeps a yellow dog.

BAKER:
Wake him, and gently. If the key be there,
I'll bake a loaf as broad as Dover beach,
With honey in it, raisins, and a crown,
And every child in town shall have a piece.

FERRYMAN:
And I a penny, for I told you where.
`

// TestDemoRemembers: the embedded model predicts a passage far better at the second reading, and after another passage about as
// well as from an empty memory.
func TestDemoRemembers(t *testing.T) {
	l, err := storage.Parse(demo.Name, demo.Model, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ids, err := l.Tokenizer.Encode(unread, true)
	if err != nil {
		t.Fatal(err)
	}
	m, err := nn.NewModel(cpu.New(), l.Config, l.Weights)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Release()
	for length, least := range map[int]float64{32: 1.2, 64: 1.0, 128: 0.8} {
		r, err := train.MeasureReread(m, corpus.IDs(ids), len(ids)/length, length)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v", r)
		if r.First-r.Again < least || r.After > r.First+0.1 {
			t.Errorf("%d tokens: got %+v, want at least %v nats a token less at the second reading, and at most 0.1 more after another passage", length, r, least)
		}
	}
}

package main

import (
	"testing"

	"bitgpu/demo"
	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/storage"
	"bitgpu/nn/train"
)

// unread is text that no model was trained on.
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

type someTokens []uint32

func (t someTokens) Len() int { return len(t) }

func (t someTokens) CopyTo(dst []uint32, from int) (int, error) { return copy(dst, t[from:]), nil }

// TestDemoRemembers: the model inside the program predicts what it reads for the second time far better, and what it
// reads after something else no worse than from an empty memory.
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
		r, err := train.MeasureReread(m, someTokens(ids), len(ids)/length, length)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v", r)
		if r.First-r.Again < least || r.After > r.First+0.1 {
			t.Errorf("got %+v, want at least %v nats a token less the second time, and about the same after another passage", r, least)
		}
	}
}

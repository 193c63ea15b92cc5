package train_test

import (
	"fmt"
	"log"

	"bitgpu/demo"
	"bitgpu/io/corpus"
	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/storage"
	"bitgpu/nn/train"
)

// How well a model predicts a text, and how much better passages of it when they are read again.
func ExampleNewEvaluator() {
	loaded, err := storage.Parse(demo.Name, demo.Model, storage.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer loaded.Close()
	model, err := nn.NewModel(cpu.New(), loaded.Config, loaded.Weights)
	if err != nil {
		log.Fatal(err)
	}
	defer model.Release()
	const text = "My lord, the ship that left us in the spring is back, and all her company are well. " +
		"They bring us silk and pepper from the east, and letters from your brother and his wife."
	ids, err := loaded.Tokenizer.Encode(text, true)
	if err != nil {
		log.Fatal(err)
	}

	const rows, length = 1, 64 // read so many rows of so many tokens at once, each from an empty memory
	evaluator, err := train.NewEvaluator(model, rows, length)
	if err != nil {
		log.Fatal(err)
	}
	defer evaluator.Release()
	e, err := evaluator.Evaluate(corpus.IDs(ids), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("bits a byte:", e.BitsPerByte(int64(len(text))) < 3)

	r, err := train.MeasureReread(model, corpus.IDs(ids), 2, 24)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("a second reading costs less:", r.Again < r.First-0.5)
	// Output:
	// bits a byte: true
	// a second reading costs less: true
}

package device_test

import (
	"fmt"
	"log"

	"bitgpu/nn"
	"bitgpu/nn/train"
	"bitgpu/nn/train/device"
)

// A few steps of a small model on the CPU, planned for the memory that there is.
func Example() {
	d := device.CPU() // or device.Open(true, "") for a GPU where there is one
	defer d.Close()
	config := nn.Config{Vocab: 300, Width: 32, Layers: 2}.WithDefaults()
	options := train.DefaultOptions()
	options.Batch, options.Time = 2, 8

	shape, err := d.Plan(config, options)
	if err != nil {
		log.Fatal(err) // what it takes, and what is free
	}
	trainer, err := d.NewTrainer(config, options, shape, train.InitialWeights(config, 1))
	if err != nil {
		log.Fatal(err)
	}
	defer trainer.Release()

	tokens := make([]uint32, 2*8+1)
	for i := range tokens {
		tokens[i] = uint32(i % 5)
	}
	for range 3 {
		trainer.Step(0.01, tokens[:16], tokens[1:])
	}
	results, err := trainer.Results()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(results), "steps; the loss falls:", results[2].Loss < results[0].Loss)
	// Output: 3 steps; the loss falls: true
}

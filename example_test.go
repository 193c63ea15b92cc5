package bitgpu_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"bitgpu"
	"bitgpu/io/chat"
)

// The examples run an untrained model of the test data; a path to any model may stand in its place.
const path = "testdata/reference/d32-none/model.bitt"

func ExampleLoad() {
	model, err := bitgpu.Load(path, bitgpu.WithBackend(bitgpu.CPU))
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	c := model.Config()
	fmt.Println(c.Layers, "layers of width", c.Width, "on the", model.Backend())
	// Output: 2 layers of width 32 on the cpu
}

func ExampleModel_StreamCompletion() {
	model, err := bitgpu.Load(path, bitgpu.WithBackend(bitgpu.CPU))
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	pieces := 0
	err = model.StreamCompletion(ctx, "ROMEO:", 100, 0.8, func(token string) bool {
		pieces++ // or print token, or send it to a client
		return pieces < 3
	})
	fmt.Println(pieces, "pieces,", err)
	// Output: 3 pieces, <nil>
}

func ExampleModel_Generate() {
	model, err := bitgpu.Load(path, bitgpu.WithBackend(bitgpu.CPU))
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	o := bitgpu.Options{MaxTokens: 20, Temperature: 0.8, TopP: 0.95, Seed: 1, Stop: []string{"\n\n"}}
	first, err := model.Generate(context.Background(), "ROMEO:", o)
	if err != nil {
		log.Fatal(err)
	}
	again, err := model.Generate(context.Background(), "ROMEO:", o)
	fmt.Println("the same seed, the same text:", first == again, err)
	// Output: the same seed, the same text: true <nil>
}

func ExampleSession_Learn() {
	model, err := bitgpu.Load(path, bitgpu.WithBackend(bitgpu.CPU))
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	session, err := model.NewSession()
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	if _, err := session.Learn(context.Background(), "The ship is called Persephone."); err != nil {
		log.Fatal(err)
	}

	dir, err := os.MkdirTemp("", "memory")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "ship.soul")
	if err := session.SaveMemory(file); err != nil {
		log.Fatal(err)
	}
	later, err := model.NewSession()
	if err != nil {
		log.Fatal(err)
	}
	defer later.Close()
	err = later.LoadMemory(file)
	fmt.Println("goes on after", later.Position(), "tokens,", err)
	// Output: goes on after 23 tokens, <nil>
}

func ExampleSession_Forward() {
	model, err := bitgpu.Load(path, bitgpu.WithBackend(bitgpu.CPU))
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	session, err := model.NewSession()
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	logits, err := session.Forward([]uint32{17, 4, 250})
	fmt.Println(len(logits), "logits,", err)
	// Output: 300 logits, <nil>
}

// A chat reads of each turn what is new. The models of the public families bring their templates; that of the example has none.
func ExampleChat() {
	model, err := bitgpu.Load(path, bitgpu.WithBackend(bitgpu.CPU))
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	template, err := chat.Parse("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}")
	if err != nil {
		log.Fatal(err)
	}
	session, err := model.NewSession()
	if err != nil {
		log.Fatal(err)
	}
	talk, err := bitgpu.NewChat(session, bitgpu.ChatOptions{System: "Answer in verse.", Template: template})
	if err != nil {
		log.Fatal(err)
	}
	defer talk.Close()
	o := bitgpu.Options{MaxTokens: 20, Temperature: 0.8, Seed: 1}
	for _, text := range []string{"Who is there?", "And who else?"} {
		reply, err := talk.Send(context.Background(), text, o, func(part chat.Delta) bool {
			// part.Content is to be shown, part.Reasoning is what the model thinks before
			return true
		})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("some of the prompt was in the memory:", reply.Kept > 0)
	}
	fmt.Println(len(talk.Messages()), "messages")
	// Output:
	// some of the prompt was in the memory: false
	// some of the prompt was in the memory: true
	// 4 messages
}

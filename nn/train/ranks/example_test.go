package ranks_test

import (
	"fmt"
	"os"

	"bitgpu/nn/train/ranks"
)

// A program that a launcher may have started tells the others of its errors, and lets rank 0 alone write.
func Example() {
	r, err := ranks.Join(ranks.Options{
		Stderr: os.Stderr, Sentence: error.Error, ExitCode: func(error) int { return 1 }, GoOn: func() string { return "" },
	})
	if err == nil {
		err = r.Watch()
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	err = r.Agree(nil) // of what was read before the training
	if r.Leads() {
		fmt.Println(r.Size(), "rank:", err)
	}
	fmt.Println(r.End(err))
	// Output:
	// 1 rank: <nil>
	// <nil>
}

// Package bench measures the engines and compares them with the reference; `bitgpu bench` runs it.
// [Run] fills a [Report], which is printed as a table, kept as JSON, drawn as a page, and compared
// with an older one.
//
// It is not a test: tests say, on every commit, whether the operations are right; this says how far
// they are from exact, and from the limits of the machine. Only two things can fail: parity, and that
// a token must not cost more after many others. [Report.Err] says so.
//
// A row of the report is called by its path, and --only chooses rows by it:
//
//	floor                          what the device can do: read or copy memory, multiply-add, start work
//	parity/ops/…                   every operation against the reference in float64
//	parity/model/…                 whole models: logits, top tokens, KL divergence
//	parity/text/…                  sampled text with a seed, token for token
//	parity/training/…              losses and weights of training steps
//	op/METHOD/FORM/SHAPE           time of one operation, and its share of the floor
//	model/SIZE/KIND/MIXER/bN       tokens a second of a whole model for prompt, text and training
//	model/SIZE/streams/MIXER/bN    text of so many sequences of one batch, each with rules and a seed of its own
//	head/SIZE/FORMAT               text with the head in float32, float16 and int8
//	position/SIZE/MIXER            time and memory a token after many tokens
//	family/NAME/prompt/b1          a public family's shape with random weights: a prompt, text of so many streams, and
//	family/NAME/text/bN            text behind so many tokens; only where families are asked for, and then nothing else
//	family/NAME/context/N
//
// # Why
//
// Why is the floor measured, and not taken from a data sheet? A share of what this device did in the
// same run does not rely on promises, and means the same on a laptop and on a server.
//
// Why are operations run on many copies of their tensors? A model reads the weights of each layer once
// per token, from memory. A single matrix would be read from the cache again and again.
//
// Why is the processor checked before and after each measurement? The host of a virtual machine may run
// two of its processors on one core for a while. No load average shows that, but the multiply-add loop
// then takes twice as long. Such measurements are repeated, and a note says so.
//
// Why is a change marked only if medians differ by more than a tenth, and by more than the range of
// either run? A median has noise, and the few repetitions of a run do not show its distribution: with
// three repetitions each of the same thing, the ranges do not overlap in one row of ten. Machines also
// differ from one day to the next, so the change of the floor is shown beside that of each row.
package bench

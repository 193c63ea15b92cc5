// Package bench measures the engines and holds them against the reference: what `bitgpu bench`
// runs. [Run] fills a [Report], which is printed as a table, kept as JSON, drawn as a page and
// compared with an older one.
//
// It is not a test: tests say whether the operations are right, on every commit; this says how
// far from exact and how far from the machine's limits they are. Only parity can fail, and a token
// that costs more after many; [Report.Err] says so.
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
// Why is the floor measured, and not taken from a data sheet? A share of what this device did in
// this run needs no trust in either, and means the same on a laptop and a server.
//
// Why are operations run over many copies of their tensors? A model reads each layer's weights
// once a token, from memory. One matrix again and again would be read from the cache.
//
// Why is the processor looked at before and after each measurement? The host of a virtual machine may run
// two of its processors on one core for a while. No load average shows that, but the multiply-add loop
// takes twice as long; what was measured then is measured again, and a note says so.
//
// Why is a change marked only where medians differ by more than a tenth and by more than the range of
// either run? A median has noise, and the few repetitions of a run do not tell its distribution: of
// three repetitions and three of the same thing the ranges lie apart in one row of ten. And machines
// differ from one day to the next, so the change of the floor stands beside that of each row.
package bench

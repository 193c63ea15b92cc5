// Package train turns tokens into weights: the step (forward, backward, AdamW), its schedule, the
// first weights, evaluation, and the run around it with checkpoints and metrics. It is not for
// making tokens (io/corpus, io/tokenizer), and it talks to nobody: what a run reports goes through
// [Reporter].
//
// [Learner] is the step, written once over a backend; [Trainer] is the same without its type
// parameter. [Run] is the loop around a trainer.
//
// # Why
//
// Why are losses read late? A read waits for the device. The loss and the gradient's norm of each step are copied on the device
// into a ring, which is read every few steps, and always before a checkpoint: weights behind a loss that is not finite are
// never saved. No loss has seen the last update yet, so the weights themselves are checked before they are written.
//
// Why is a checkpoint a directory with a whole model in it? So that every command reads it as it
// is, the best one above all. Beside the model lie the two moments and state.json, which names
// each file's checksum and is written last.
//
// Why does a resumed run cut metrics.jsonl? The steps after the checkpoint are done again; a line
// of each remains.
//
// Why must a resumed run read the same tokens, but not in the same batches? A checkpoint's position
// counts windows of one context length in one order of one file. Elsewhere the same number would
// leave out some windows and read others twice; a batch of another size just takes more of them.
//
// Why is validation cut into rows as long as the training context? The loss depends on how much a
// memory has read. Rows that all start empty make it comparable with the training loss, and they
// fill a batch.
package train

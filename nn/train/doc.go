// Package train turns tokens into weights: the step (forward, backward, AdamW), its schedule, the initial weights,
// evaluation, and the run around it with checkpoints and metrics. Tokens are made by io/corpus and io/tokenizer. The package
// prints nothing: a run reports through [Reporter].
//
// [Learner] is the step, written once over a backend; [Trainer] is the same without its type parameter. [Run] is the loop
// around a trainer.
//
// # Why
//
// Why are losses read late? Reading waits for the device. The loss and the gradient's norm of each step are copied into a
// ring on the device, which is read every few steps, and always before a checkpoint: weights with a loss that is not finite
// are never saved. No loss reflects the last update yet, so the weights themselves are checked before they are written.
//
// Why does a checkpoint directory contain a whole model? So that every command can read it as it is, above all the best one.
// Besides the model there are the two moments and state.json, which has every file's checksum and is written last.
//
// Why does a resumed run cut metrics.jsonl? The steps after the checkpoint are done again, and each should have one line.
//
// Why must a resumed run read the same tokens, but not in the same batches? A checkpoint's position counts windows of one
// context length in one order of one file. For other tokens, the same number would skip some windows and read others twice; a
// batch of another size merely takes more or fewer of them.
//
// Why is validation cut into rows as long as the training context? The loss depends on how much a memory has read. Rows that
// all start empty make it comparable with the training loss, and they fill a batch.
package train

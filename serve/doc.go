// Package serve answers HTTP requests with a model: with OpenAI's API, with ollama's, and with memories, which neither has. A
// memory is what the model has learned from what it read. It takes a few hundred kilobytes or megabytes however long the text
// was, so it can be named in a request, forked, taught, downloaded as a file, and found again after a restart.
//
//	server, err := serve.New(model, serve.Options{Name: "demo"})
//	if err != nil {
//		return err
//	}
//	defer server.Close()
//	return http.ListenAndServe("127.0.0.1:8080", server)
//
// A request without a memory always begins with an empty one, and one key's memories do not exist for another key.
//
// Encryption, sockets and signals belong to the program that listens, such as "bitgpu serve".
//
// # Why
//
// Why is the number of requests at work limited? Each has a session with a state of its own. The model reads the tokens that
// they have drawn in one pass if its device can, each with bit for bit the result that it would get alone. It reads their
// prompts in turns, a piece at a time, so that texts being written get a step between two pieces, and a short prompt only
// waits for one piece of each long one.
//
// Why is every field that has no effect refused? A client that sets a field expects it to work. Only fields that change
// nothing, such as the name of a user, are ignored.
//
// Why does a request learn on a copy? The copy replaces the memory when the request has ended, so that a request that fails
// leaves the memory as it was, and others can read it meanwhile. If the client disconnects during an answer, the memory keeps
// what was sent, because the client has read it.
package serve

// Package serve answers HTTP requests with a model: as OpenAI's API has them, as ollama has them, and with memories, which
// neither has. A memory is what the model has learned from what it read; it is a few hundred kilobytes or megabytes however
// long the text was, so it can be named in a request, forked, taught, given back as a file and found again after a restart.
//
//	server, err := serve.New(model, serve.Options{Name: "demo"})
//	if err != nil {
//		return err
//	}
//	defer server.Close()
//	return http.ListenAndServe("127.0.0.1:8080", server)
//
// A request without a memory begins with an empty one, always, and one key's memories do not exist for another key.
//
// It is not for encryption, sockets and signals, which belong to who listens; "bitgpu serve" is one such.
//
// # Why
//
// Why do requests take turns on the model? Up to [Options].Parallel of them are at work, and the sessions of a model take
// turns after every token and every piece of a prompt. Computing the tokens of many texts in one program would read the
// weights once for all of them; the model's own interface does not offer that yet.
//
// Why is every field that has no effect refused? Who sets a field expects what it says. Only what changes nothing, as the name
// of a user, is passed over.
//
// Why does a request learn on a copy? A copy takes the place of the memory when the request has ended, so that one that fails
// leaves the memory as it was, and others can read it meanwhile.
package serve

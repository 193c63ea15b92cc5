// Package jsonform holds what a model writes to JSON, or to a JSON schema: at each place it says which tokens of a vocabulary
// can continue a text so that it can still become valid, and whether the text may end.
//
//	form, err := jsonform.Schema(schema)
//	writer := form.Begin(vocabulary)
//	mask, err := writer.Mask() // of the tokens that may come next
//	err = writer.Add(id)       // one of them was drawn
//
// A form is an automaton over bytes with a stack, which takes tokens by their bytes. Whatever it lets pass can be continued to
// a whole value, so no text gets stuck; a text is incomplete only if its writer is stopped. Texts are one line, or as many as a
// pretty print has; members of objects come in the order of the schema.
//
// # Why
//
// Why is every keyword that is not supported refused? A caller who gives a schema relies on it. Annotations alone, "format"
// among them, as the standard has it, are passed over.
//
// Why bytes and not characters? Tokens end within characters.
//
// Why are the states numbered and kept? Within a string each place is the one before: its mask is found once, and a token costs
// a look at the table. Both tables are bounded; when they are full they begin anew.
package jsonform

// Package jsonform restricts what a model writes to JSON, or to a JSON schema. At each point it says which tokens of a
// vocabulary can continue a text so that it can still become valid, and whether the text may end.
//
//	form, err := jsonform.Schema(schema)
//	writer := form.Begin(vocabulary)
//	mask, err := writer.Mask() // of the tokens that may come next
//	err = writer.Add(id)       // one of them was drawn
//
// A form is an automaton over bytes with a stack; tokens are fed to it by their bytes. Whatever it accepts can be continued
// to a complete value, so no text gets stuck; a text is only incomplete if its writer is stopped. A text is written on one
// line or pretty-printed. Members of objects come in the order of the schema.
//
// # Why
//
// Why is every unsupported keyword refused? A caller who provides a schema relies on it. Only annotations, which in the
// standard include "format", are ignored.
//
// Why bytes and not characters? Because tokens end within characters.
//
// Why are states numbered and kept? Most places within a string are in the same state: its mask is computed once, and then a
// token costs one table look-up. Both tables are limited; when they are full they start again empty.
package jsonform

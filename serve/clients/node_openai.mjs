// OpenAI's client for JavaScript against a server: node node_openai.mjs ADDRESS
import assert from "node:assert";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(process.cwd() + "/"); // where npm has put it
const { default: OpenAI } = await import(pathToFileURL(require.resolve("openai")));
const { VERSION } = await import(pathToFileURL(require.resolve("openai/version")));
const client = new OpenAI({ baseURL: process.argv[2] + "/v1", apiKey: "none", maxRetries: 0 });
const model = (await client.models.list()).data[0].id;
const messages = [{ role: "user", content: "Who art thou?" }];

const whole = await client.completions.create({ model, prompt: "ROMEO:", max_tokens: 20, seed: 7, temperature: 0.8 });
let text = "";
for await (const piece of await client.completions.create({ model, prompt: "ROMEO:", max_tokens: 20, seed: 7, temperature: 0.8, stream: true })) text += piece.choices[0].text;
assert.equal(text, whole.choices[0].text);

const stream = client.chat.completions.stream({ model, messages, max_tokens: 12, seed: 1 });
const final = await stream.finalChatCompletion();
assert.equal(final.choices[0].finish_reason, "length");

const schema = { type: "object", properties: { speaker: { type: "string", maxLength: 12 }, act: { type: "integer", minimum: 1, maximum: 5 } }, required: ["speaker", "act"], additionalProperties: false };
const held = await client.chat.completions.create({ model, messages, max_tokens: 300, response_format: { type: "json_schema", json_schema: { name: "verse", strict: true, schema } } });
assert(JSON.parse(held.choices[0].message.content).act <= 5);

const response = await client.responses.create({ model, input: "Who art thou?", max_output_tokens: 10 });
const next = await client.responses.create({ model, input: "And then?", previous_response_id: response.id, max_output_tokens: 10 });
assert(next.usage.input_tokens_details.cached_tokens > 0);

const going = await client.completions.create({ model, prompt: "ROMEO:", max_tokens: 1000000, stream: true });
for await (const piece of going) { going.controller.abort(); break; }
await assert.rejects(client.models.retrieve("nothing"), OpenAI.NotFoundError);
await assert.rejects(client.completions.create({ model, prompt: "a", suffix: "b" }), OpenAI.BadRequestError);
console.log(`openai ${VERSION} for JavaScript: completions, chats, schemas, responses, an abort, errors`);

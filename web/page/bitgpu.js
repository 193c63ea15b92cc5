// bitgpu in a browser: ternary language models whose memory learns while they read. The engine runs in a worker beside this file.
//
//   import {load} from "./bitgpu.js";
//   const model = await load();                          // the demo; or an address, a File, the Files of a directory
//   for await (const text of model.generate("ROMEO:", {maxTokens: 60, seed: 7})) console.log(text);
//
// bitgpu.d.ts has the types, docs/web.md tells more.

// Engine is a worker and the calls that it has not answered.
class Engine {
  #worker = new Worker(new URL("./worker.js", import.meta.url), {type: "module", name: "bitgpu"});
  #waiting = new Map();
  #calls = 0;
  #dead = null;

  constructor(onProgress) {
    this.onProgress = onProgress;
    this.#worker.onmessage = ({data}) => {
      if (data.dead) return this.#end(data.dead);
      const call = this.#waiting.get(data.id);
      if (data.progress) return (call?.progress ?? this.onProgress)?.(data.progress);
      if (!call) return;
      if ("part" in data) return call.part?.(data.part);
      this.#waiting.delete(data.id);
      if (data.error) call.failed(Object.assign(new Error(data.error.message), {name: data.error.name}));
      else call.done(data.value);
    };
    this.#worker.onerror = e => this.#end(`the engine's worker cannot run: ${e.message ?? "it was not found"}`);
  }

  call(method, options, {part, progress, signal} = {}) {
    if (this.#dead) return Promise.reject(new Error(this.#dead));
    if (signal?.aborted) return Promise.reject(aborted());
    return new Promise((done, failed) => {
      const id = ++this.#calls;
      this.#waiting.set(id, {part, progress, done, failed});
      signal?.addEventListener("abort", () => this.#waiting.has(id) && this.#worker.postMessage({stop: id}), {once: true});
      this.#worker.postMessage({id, method, options});
    });
  }

  #end(reason) {
    this.#dead = reason;
    this.#worker.terminate();
    for (const call of this.#waiting.values()) call.failed(new Error(reason));
    this.#waiting.clear();
  }
  close() { this.#end("the model is closed") }
}

const aborted = () => new DOMException("stopped", "AbortError");

// load opens a model: the demo without a source, else an address, a File or Blob, an array of the Files of a directory, or
// {kept: name} for one that is kept in this browser.
export async function load(source, {onProgress, ...options} = {}) {
  const engine = new Engine(onProgress);
  try {
    if (source instanceof URL) source = source.href;
    if (typeof source === "string") source = new URL(source, globalThis.location?.href).href;
    return new Model(engine, await engine.call("load", {source, options}, {progress: onProgress}));
  } catch (e) {
    engine.close();
    throw e;
  }
}

async function once(method, options) {
  const engine = new Engine();
  try { return await engine.call(method, options) } finally { engine.close() }
}

// kept lists the models that are kept in this browser, forget removes one.
export const kept = () => once("kept");
export const forget = name => once("forget", {name});

export class Model {
  #engine;
  constructor(engine, info) {
    this.#engine = engine;
    this.info = info;
  }

  // generate goes on from the memory with a prompt, and gives the text by pieces; what it returns at last is a Result.
  generate(prompt, options) { return this.#stream("generate", {prompt}, options, p => p.text) }

  // chat says something to a model with a chat template, and gives the answer by parts: {text} or {thought}.
  chat(prompt, options) { return this.#stream("chat", {prompt}, options, p => p.text || p.thought ? p : undefined) }

  async *#stream(method, given, {signal, onProgress, ...options} = {}, value) {
    const parts = [], stop = new AbortController();
    let wake = () => {}, end = null;
    const abort = () => stop.abort();
    if (signal?.aborted) throw aborted();
    signal?.addEventListener("abort", abort, {once: true});
    const call = this.#engine.call(method, {...given, ...options}, {signal: stop.signal, part: p => {
      if ("read" in p) { onProgress?.({what: "prompt", loaded: p.read, total: p.of}); return }
      parts.push(p);
      wake();
    }}).then(result => { end = {result} }, error => { end = {error} }).finally(() => wake());
    try {
      for (;;) {
        while (parts.length) {
          const v = value(parts.shift());
          if (v !== undefined) yield v;
        }
        if (end) break;
        await new Promise(r => { wake = r; if (parts.length || end) r() });
      }
      if (end.error) throw end.error.name === "AbortError" ? aborted() : end.error;
      return end.result;
    } finally { // who leaves the loop stops the text, and the memory is at rest when the loop is left
      signal?.removeEventListener("abort", abort);
      if (!end) stop.abort();
      await call;
    }
  }

  // learn reads a text into the memory without answering.
  learn(text, {signal, onProgress} = {}) {
    return this.#engine.call("learn", {text}, {signal, part: p => onProgress?.({what: "text", loaded: p.read, total: p.of})});
  }

  // saveMemory gives the memory, or the conversation with what was read of it, as a file; loadMemory goes on from one.
  saveMemory() { return this.#engine.call("saveMemory") }
  loadMemory(file) { return this.#engine.call("loadMemory", {blob: file instanceof Blob ? file : new Blob([file])}) }

  // reset empties the memory.
  reset() { return this.#engine.call("reset") }
  // state says how much was read, and the messages of a conversation.
  state() { return this.#engine.call("state") }
  // memory gives pictures of what a model of bitgpu's own has learned, a layer's head each.
  async memory() {
    const pictures = await this.#engine.call("memory");
    return pictures.map(p => ({...p, pixels: Uint8Array.from(atob(p.pixels), c => c.charCodeAt(0))}));
  }
  // close ends the engine at once.
  close() { this.#engine.close() }
}

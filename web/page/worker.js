// The worker in which the engine computes, so that no page ever waits. bitgpu.js speaks with it.
import * as files from "./files.js";
import "./gpu.js";
import {unpack} from "./lzma.js";
import * as store from "./store.js";
import "./wasm_exec.js";

// fetched is a file of the page's own, without what it was packed by, whether the server or the browser has taken that off or not.
async function fetched(path, progress) {
  const response = await fetch(new URL(path, import.meta.url));
  if (!response.ok) throw new Error(`${path}: the server answers ${response.status} ${response.statusText}`);
  const total = Number(response.headers.get("Content-Length")) || 0, pieces = [];
  let loaded = 0;
  for (const reader = response.body.getReader();;) {
    const {value, done} = await reader.read();
    if (done) break;
    pieces.push(value);
    progress(loaded += value.length, Math.max(total, loaded));
  }
  const blob = new Blob(pieces), head = new Uint8Array(await blob.slice(0, 3).arrayBuffer());
  if (head[0] === 0x1f && head[1] === 0x8b) return new Response(blob.stream().pipeThrough(new DecompressionStream("gzip"))).blob();
  if (head[0] === 0x5d && !head[1] && !head[2]) return new Blob([unpack(new Uint8Array(await blob.arrayBuffer()))]);
  return blob;
}

let dead = null; // why the engine has ended

async function start() {
  const code = await fetched("bitgpu.wasm.lzma", (loaded, total) => postMessage({progress: {what: "engine", loaded, total}}));
  const go = new Go();
  const {instance} = await WebAssembly.instantiate(await code.arrayBuffer(), go.importObject);
  await new Promise((ready, failed) => {
    globalThis.bitgpuReady = ready;
    go.run(instance).then(() => end("it has ended: most often the tab has no memory left for this model"), e => end(e.message)).then(failed);
  });
}
function end(reason) {
  dead = new Error(`the engine cannot go on: ${reason}`);
  postMessage({dead: dead.message});
  return dead;
}
const started = start();
started.catch(() => {}); // each call says it

let calls = 0;
const running = new Map(); // id of a message → id of its call

// engine calls a method of the engine; part takes parts of its result.
async function engine(method, options, part, id) {
  await started;
  if (dead) throw dead;
  return new Promise((done, failed) => {
    const call = ++calls;
    if (id) running.set(id, call);
    globalThis.bitgpuCall(call, method, JSON.stringify(options ?? {}), (kind, json) => {
      const value = JSON.parse(json);
      if (kind === "part") { part?.(value); return }
      if (id) running.delete(id);
      if (kind === "done") done(value); else failed(Object.assign(new Error(value.message), {name: value.name}));
    });
  });
}

async function sha256Of(blob) { // a piece at a time would need a library
  const hash = await crypto.subtle.digest("SHA-256", await blob.arrayBuffer());
  return [...new Uint8Array(hash)].map(b => b.toString(16).padStart(2, "0")).join("");
}

// load brings a model's files to where the engine sees them.
async function load({source, options = {}}, id) {
  const progress = (loaded, total) => postMessage({id, progress: {what: "model", loaded, total}});
  const {keep = true, sha256, ...rest} = options;
  const had = (await store.kept().catch(() => [])).map(m => m.name);
  let path, blob;
  if (source === undefined) {
    path = "demo";
    blob = await fetched("demo.bitt.gz", progress);
  } else if (typeof source === "string") {
    path = store.nameOf(source);
    blob = await store.download(source, progress);
  } else if (source.kept) {
    path = source.kept;
    blob = await store.find(path);
  } else if (Array.isArray(source)) {
    path = "model";
  } else {
    path = source.name ?? "model";
    blob = keep && source.name ? await store.keep(source, progress) : source;
  }
  try {
    if (sha256 && blob) {
      const got = await sha256Of(blob);
      if (got !== sha256.toLowerCase()) throw new Error(`${path}: got the SHA-256 ${got}, want ${sha256}`);
    }
    if (Array.isArray(source)) for (const f of source) files.put(`${path}/${f.name}`, f);
    else files.put(path, blob);
    postMessage({id, progress: {what: "reading", loaded: 0, total: 0}});
    return await engine("load", {path, ...rest});
  } catch (e) {
    if (!had.includes(path)) await store.forget(path).catch(() => {}); // what cannot be read is not kept
    throw e;
  } finally {
    files.drop(path);
  }
}

const methods = {
  load,
  kept: store.kept,
  forget: ({name}) => store.forget(name),
  async saveMemory() {
    await engine("saveMemory");
    const blob = files.take("memory");
    files.drop("memory");
    return blob;
  },
  async loadMemory({blob}) {
    files.put("memory", blob);
    try { return await engine("loadMemory") } finally { files.drop("memory") }
  },
};

onmessage = async ({data: {id, method, options, stop}}) => {
  if (stop) {
    if (running.has(stop)) globalThis.bitgpuCall(running.get(stop), "stop", "", null);
    return;
  }
  try {
    const value = methods[method] ? await methods[method](options ?? {}, id) : await engine(method, options, part => postMessage({id, part}), id);
    postMessage({id, value});
  } catch (e) {
    postMessage({id, error: {name: e.name, message: e.message}});
  }
};

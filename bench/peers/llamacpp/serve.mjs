// Serves text from llama.cpp on the processor, for `go run ./bench/load`: as much of OpenAI's /v1/completions as that asks for.
//
//   node serve.mjs --library DIR --gguf FILE [--port 8081] [--parallel 64] [--context 262144] [--batch 512] [--threads 2]
//
// DIR is where npm put @node-llama-cpp/linux-x64: see speed.mjs. The package has no llama-server in it. This does what that does: each
// text has a slot, and each llama_decode reads a token of every slot that writes and, up to --batch tokens in all, of the prompts
// that are still to be read, the oldest first. What JavaScript adds is a millisecond or less a step; a slot's memory is
// emptied when its text ends, and no beginning is kept.

import {existsSync, readFileSync} from "node:fs";
import {createServer} from "node:http";
import {createRequire} from "node:module";
import {availableParallelism} from "node:os";
import path from "node:path";
import {parseArgs} from "node:util";

const platform = `${{darwin: "mac", win32: "win"}[process.platform] ?? process.platform}-${process.arch}${process.platform === "darwin" && process.arch === "arm64" ? "-metal" : ""}`;

const {values: options} = parseArgs({options: {
    library: {type: "string", default: process.env.LLAMACPP_LIBRARY ?? "."},
    gguf: {type: "string"},
    port: {type: "string", default: "8081"},
    parallel: {type: "string", default: "64"},
    context: {type: "string", default: "262144"},
    batch: {type: "string", default: "512"},
    threads: {type: "string", default: String(availableParallelism())}
}});

function count(name) {
    const n = Number(options[name]);
    if (!Number.isInteger(n) || n < 1)
        throw new Error(`--${name}: got "${options[name]}", want a whole number from 1 on`);
    return n;
}

async function open() {
    const binaries = path.join(path.resolve(options.library), "node_modules", "@node-llama-cpp", platform, "bins", platform);
    const addon = path.join(binaries, "llama-addon.node");
    if (!existsSync(addon))
        throw new Error(`${addon}: not found, want what "npm install --prefix DIR @node-llama-cpp/${platform}" puts there, with --library DIR`);
    const llama = createRequire(import.meta.url)(addon);
    llama.setLogger((level, message) => { if (level <= 2) process.stderr.write(message); });
    llama.setLoggerLogLevel(2);
    llama.loadBackends();
    llama.loadBackends(binaries);
    await llama.init();
    return llama;
}

if (options.gguf == null)
    throw new Error("--gguf is missing");
const parallel = count("parallel"), batch = Math.max(count("batch"), parallel), threads = count("threads");
const llama = await open();
const model = new llama.AddonModel(path.resolve(options.gguf), {addonExports: llama, gpuLayers: 0, useMmap: true});
if (!await model.init())
    throw new Error(`${options.gguf}: llama.cpp does not load it`);
const context = new llama.AddonContext(model, {contextSize: count("context"), batchSize: batch, sequences: parallel, threads});
if (!await context.init())
    throw new Error("llama.cpp makes no context");
context.setThreads(threads);
const end = model.tokenEos();

const free = Array.from({length: parallel}, (_, i) => i);
const waiting = []; // texts without a slot
let texts = []; // those with one

/** Sends what a text has written, in whole characters. */
function show(text, last) {
    const all = model.detokenize(Uint32Array.from(text.written), false);
    const whole = last ? all : all.replace(/\ufffd+$/, "");
    if (whole.length > text.shown) {
        text.send({choices: [{index: 0, text: whole.slice(text.shown), finish_reason: null}]});
        text.shown = whole.length;
    }
}

/** One llama_decode for all texts. */
async function step() {
    let room = batch;
    const work = [];
    for (const text of texts.filter((t) => t.read === t.ids.length)) { // they write
        work.push({text, ids: [text.next], last: true});
        room--;
    }
    for (const text of texts.filter((t) => t.read < t.ids.length)) {
        const ids = text.ids.slice(text.read, text.read + room);
        if (ids.length === 0)
            break;
        work.push({text, ids, last: text.read + ids.length === text.ids.length});
        room -= ids.length;
    }
    context.initBatch(work.reduce((n, w) => n + w.ids.length, 0));
    for (const w of work) {
        [w.logits] = context.addToBatch(w.text.slot, w.text.position, Uint32Array.from(w.ids), w.last ? Uint32Array.of(w.ids.length - 1) : new Uint32Array());
        w.text.position += w.ids.length;
        if (w.text.read < w.text.ids.length)
            w.text.read += w.ids.length;
    }
    await context.decodeBatch();
    for (const {text, last, logits} of work) {
        if (!last)
            continue;
        text.next = await context.sampleToken(logits, text.sampler);
        const ended = text.next === end || text.next < 0;
        if (!ended)
            text.written.push(text.next);
        text.done = ended || text.written.length >= text.most || text.gone;
        show(text, text.done);
    }
    for (const text of texts.filter((t) => t.done || t.gone)) {
        context.disposeSequence(text.slot);
        free.push(text.slot);
        text.end();
    }
    texts = texts.filter((t) => !t.done && !t.gone);
}

let running = false;
async function work() {
    if (running)
        return;
    running = true;
    try {
        for (;;) {
            while (waiting.length > 0 && free.length > 0) {
                const text = waiting.shift();
                text.slot = free.pop();
                texts.push(text);
            }
            if (texts.length === 0)
                return;
            await step();
        }
    } finally {
        running = false;
    }
}

createServer(async (request, response) => {
    if (request.url !== "/v1/completions") {
        response.writeHead(request.url === "/health" ? 200 : 404).end("{}");
        return;
    }
    let body = "";
    for await (const part of request)
        body += part;
    const {prompt, max_tokens: most = 16, temperature = 0, seed = 0} = JSON.parse(body);
    const sampler = new llama.AddonSampler(model);
    sampler.applyConfig({temperature, seed});
    response.writeHead(200, {"Content-Type": "text/event-stream"});
    const text = {ids: Array.from(model.tokenize(prompt, false)), read: 0, position: 0, written: [], shown: 0, most, sampler, gone: false, done: false};
    text.send = (value) => response.write(`data: ${JSON.stringify(value)}\n\n`);
    text.end = () => {
        text.send({choices: [], usage: {prompt_tokens: text.ids.length, completion_tokens: text.written.length}});
        response.end("data: [DONE]\n\n");
    };
    response.on("close", () => { text.gone = true; });
    waiting.push(text);
    work().catch((error) => {
        console.error(error);
        process.exit(1);
    });
}).listen(count("port"), "127.0.0.1", () => console.error(`llama.cpp at http://127.0.0.1:${options.port}, ${parallel} slots, ${threads} threads`));

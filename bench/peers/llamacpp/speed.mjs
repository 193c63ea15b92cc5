// Measures llama.cpp on the processor for `bitgpu bench --peer`: prompts and text of one sequence on a GGUF file.
//
//   node speed.mjs --library DIR --gguf FILE --key family/NAME [--type NAME] [--prompt 128] [--text 16] [--repeats 3] [--threads 2]
//
// DIR is where npm put @node-llama-cpp/linux-x64 (or the package of another platform): the folder that has node_modules,
// or LLAMACPP_LIBRARY. Prints a JSON array of rows with the seconds of one token; what went wrong goes to standard error,
// with exit code 1.
//
// Why the addon and not node-llama-cpp's own interface? That reads the file's header a second time, in JavaScript, to guess
// how much memory there must be, and queues what it is asked for. Here one call is one llama_decode.

import {existsSync, readFileSync} from "node:fs";
import {createRequire} from "node:module";
import {availableParallelism} from "node:os";
import path from "node:path";
import {parseArgs} from "node:util";

const platform = `${{darwin: "mac", win32: "win"}[process.platform] ?? process.platform}-${process.arch}${process.platform === "darwin" && process.arch === "arm64" ? "-metal" : ""}`;

const known = {
    library: {type: "string", default: process.env.LLAMACPP_LIBRARY ?? "."},
    gguf: {type: "string"},
    key: {type: "string"},
    type: {type: "string", default: "GGUF"},
    prompt: {type: "string", default: "128"},
    text: {type: "string", default: "16"},
    repeats: {type: "string", default: "3"},
    threads: {type: "string", default: String(availableParallelism())}
};

/** Seconds of a repetition from which on there is only one. */
const patience = 20;

/** A whole number of an option, from 1 on. */
function count(options, name) {
    const n = Number(options[name]);
    if (!Number.isInteger(n) || n < 1)
        throw new Error(`--${name}: got "${options[name]}", want a whole number from 1 on`);
    return n;
}

/** Loads llama.cpp with the kernels that this processor can run. */
async function open(library) {
    const home = path.join(path.resolve(library), "node_modules", "@node-llama-cpp", platform);
    const binaries = path.join(home, "bins", platform);
    const addon = path.join(binaries, "llama-addon.node");
    if (!existsSync(addon))
        throw new Error(`${addon}: not found, want what "npm install --prefix DIR @node-llama-cpp/${platform}" puts there, with --library DIR`);
    const llama = createRequire(import.meta.url)(addon);
    const problems = [];
    llama.setLogger((level, message) => {
        if (level <= 2) // errors and worse
            problems.push(message.trim());
    });
    llama.setLoggerLogLevel(2);
    llama.loadBackends();
    llama.loadBackends(binaries);
    await llama.init();
    const {version} = JSON.parse(readFileSync(path.join(home, "package.json"), "utf8"));
    return {llama, problems, version};
}

/** The middle of some numbers, and their ends. */
function sample(seconds) {
    const v = seconds.toSorted?.((a, b) => a - b) ?? [...seconds].sort((a, b) => a - b);
    return {median: (v[(v.length - 1) >> 1] + v[v.length >> 1]) / 2, low: v[0], high: v.at(-1), count: v.length};
}

async function main() {
    const {values: options} = parseArgs({options: known});
    for (const name of ["gguf", "key"])
        if (options[name] == null)
            throw new Error(`--${name} is missing`);
    const prompt = count(options, "prompt"), text = count(options, "text"), repeats = count(options, "repeats"), threads = count(options, "threads");
    const {llama, problems, version} = await open(options.library);
    const failed = (what) => new Error([what, ...problems].join("; "));

    const model = new llama.AddonModel(path.resolve(options.gguf), {addonExports: llama, gpuLayers: 0, useMmap: true});
    if (!await model.init())
        throw failed(`${options.gguf}: llama.cpp does not load it`);
    const contextSize = prompt + text * (repeats + 1) + 8;
    const context = new llama.AddonContext(model, {contextSize, batchSize: Math.max(prompt, 8), sequences: 1, threads});
    if (!await context.init())
        throw failed("llama.cpp makes no context");
    context.setThreads(threads);
    const sampler = new llama.AddonSampler(model);
    sampler.applyConfig({temperature: 0});

    let position = 0;
    const forget = () => { context.disposeSequence(0); position = 0; };
    /** Reads tokens, and draws the one after them by the largest logit. */
    const read = async (ids) => {
        context.initBatch(ids.length);
        const [last] = context.addToBatch(0, position, Uint32Array.from(ids), Uint32Array.of(ids.length - 1));
        await context.decodeBatch();
        position += ids.length;
        return await context.sampleToken(last, sampler);
    };
    const timed = async (run) => {
        const start = process.hrtime.bigint();
        await run();
        return Number(process.hrtime.bigint() - start) / 1e9;
    };
    // Byte tokens, which every vocabulary has.
    const ids = Array.from({length: prompt}, (_, i) => 1 + (i * 7919) % 250);

    /** Seconds a token of some repetitions; the first, which touches the file's pages, does not count. */
    const repeated = async (tokens, run) => {
        const first = await timed(run);
        const all = [];
        for (let i = 0; i < (first > patience ? 1 : repeats); i++)
            all.push(await timed(run) / tokens);
        return all;
    };
    let next = 0;
    const prompts = await repeated(prompt, async () => {
        forget();
        next = await read(ids);
    });
    const texts = await repeated(text, async () => {
        for (let k = 0; k < text; k++)
            next = await read([next >= 0 ? next : 1]);
    });
    const row = (kind, seconds) => ({
        peer: `llama.cpp (npm ${version})`, device: `cpu, ${context.getThreads()} threads`, key: `${options.key}/${kind}/b1`,
        mixer: options.type, seconds: sample(seconds)
    });
    console.log(JSON.stringify([row("prompt", prompts), row("text", texts)]));
}

main().then(() => process.exit(0), (error) => {
    console.error(error.message);
    process.exit(1);
});

// The page: it shows what bitgpu.js does, and keeps memories in the origin's private file system.
import {load, kept, forget} from "./bitgpu.js";
import * as memories from "./memories.js";

const $ = id => document.getElementById(id);
const settings = ["temperature", "topP", "topK", "repeatPenalty", "maxTokens", "seed", "backend"];
let model = null, opening = null, turns = [], running = null, state = {position: 0}, before = null;

function element(name, text, properties = {}) {
  const e = Object.assign(document.createElement(name), properties);
  if (text) e.textContent = text;
  return e;
}
const count = (n, what) => `${n.toLocaleString()} ${what}${n === 1 ? "" : "s"}`;
const mega = n => n >= 1e6 ? `${(n / 1e6).toFixed(n < 1e7 ? 1 : 0)} MB` : `${Math.ceil(n / 1e3)} kB`;

// What was chosen survives a reload; texts are kept with their memories.
const chosen = JSON.parse(localStorage.getItem("bitgpu") || "{}");
function remember(change = {}) {
  Object.assign(chosen, change, {settings: Object.fromEntries(settings.map(id => [id, $(id).value]))});
  try { localStorage.setItem("bitgpu", JSON.stringify(chosen)) } catch { /* a browser that keeps nothing */ }
}
for (const [id, value] of Object.entries(chosen.settings ?? {})) if ($(id)) $(id).value = value;

function draw(turn, i) {
  const e = element("article", "", {className: turn.role});
  if (turn.thought) e.append(element("span", turn.thought, {className: "thought"}));
  e.append(turn.text);
  const foot = element("p");
  if (turn.error) foot.append(element("span", turn.error, {className: "bad"}));
  if (turn.note) foot.append(element("span", turn.note));
  if (!running && i === turns.length - 1 && turn.role === "assistant" && !turn.error && (before || model?.info.chat))
    foot.append(element("button", "again", {className: "plain", onclick: () => write(null)}));
  e.append(foot);
  return e;
}
function show() {
  const at = $("text"), end = at.scrollHeight - at.scrollTop - at.clientHeight < 60;
  at.replaceChildren(...turns.map(draw));
  if (end) at.scrollTop = at.scrollHeight;
  $("stop").hidden = !running;
  $("send").hidden = !!running;
  $("send").disabled = !model;
  for (const id of ["keep", "teach", "save", "load", "clear", "memory"]) $(id).disabled = !model || !!running;
  for (const id of ["model", "openFile", "openAddress"]) $(id).disabled = !!running;
  $("drop").disabled = !!running || !$("memory").value;
  $("forget").disabled = !!running || $("model").value === "demo";
  $("position").textContent = model ? `· ${count(state.position, "token")} read${model.info.context ? ` of ${model.info.context.toLocaleString()}` : `, in ${mega(model.info.sessionBytes)}`}` : "";
}
function redraw(turn) {
  const at = $("text"), end = at.scrollHeight - at.scrollTop - at.clientHeight < 60;
  at.lastChild.replaceWith(draw(turn, turns.length - 1));
  if (end) at.scrollTop = at.scrollHeight;
}

const words = {engine: "Fetching the engine", model: "Fetching the model", reading: "Reading the model", prompt: "Reading your text", text: "Reading the text"};
function progress(p) {
  $("progress").hidden = !p;
  if (!p) return;
  const bar = $("progress").firstChild;
  if (p.total) Object.assign(bar, {max: p.total, value: p.loaded}); else bar.removeAttribute("value");
  const bytes = p.what === "engine" || p.what === "model";
  $("progress").lastChild.textContent = words[p.what] + (p.total ? bytes ? `: ${mega(p.loaded)} of ${mega(p.total)}` : `: ${p.loaded} of ${count(p.total, "token")}` : bytes && p.loaded ? `: ${mega(p.loaded)}` : " …");
}

// failed shows what went wrong outside of an answer.
function failed(e) {
  if (e.name === "AbortError") return;
  turns.push({role: "assistant", text: "", error: sentence(e)});
  show(); turns.pop();
}
const sentence = e => e.message.charAt(0).toUpperCase() + e.message.slice(1) + (/[.!?]$/.test(e.message) ? "" : ".");
const guarded = f => async (...args) => { try { await f(...args) } catch (e) { progress(null); failed(e) } };

function device(info) {
  const why = info.backend === "gpu" ? info.note : "gpu" in navigator ? info.note : "this browser offers no WebGPU";
  return `${count(info.layers, "layer")} of width ${info.width}, ${mega(info.weightBytes)}, on ${info.backend === "gpu" ? info.device : "the CPU"}${why ? `: ${why}` : ""}`;
}

// open takes a model in place of the one that there is.
async function open(source, name) {
  const mine = opening = {};
  model?.close();
  model = null; turns = []; before = null; state = {position: 0};
  $("name").textContent = name;
  $("device").textContent = "";
  $("pictures").replaceChildren();
  show();
  navigator.storage?.persist?.().catch(() => {});
  try {
    const next = await load(source, {backend: $("backend").value, onProgress: p => { if (mine === opening) progress(p) }});
    if (mine !== opening) return next.close();
    model = next;
  } catch (e) {
    if (mine === opening) { progress(null); await models("").catch(() => {}); throw e }
    return;
  }
  progress(null);
  $("device").textContent = device(model.info);
  document.title = `${name} · bitgpu`;
  $("text").dataset.hint = model.info.chat ? "Ask something." : "Write the beginning of a text, such as ROMEO: — the model goes on with it.";
  remember({model: source === undefined ? "demo" : name});
  await models(source === undefined ? "demo" : name).catch(() => {});
  await list(chosen.memory).catch(() => {});
  if ($("memory").value) await recall();
  show();
}

async function models(current) {
  const all = await kept();
  $("model").replaceChildren(element("option", "demo", {value: "demo"}), ...all.map(m => element("option", `${m.name} · ${mega(m.size)}`, {value: m.name})));
  if (current && current !== "demo" && !all.some(m => m.name === current)) $("model").append(element("option", current, {value: current}));
  $("model").value = current || "demo";
}
async function choose() {
  const name = $("model").value;
  await open(name === "demo" ? undefined : {kept: name}, name);
}

async function list(name) {
  const names = model ? await memories.list(model.info.id) : [];
  $("memory").replaceChildren(element("option", "not kept", {value: ""}), ...names.map(n => element("option", n, {value: n})));
  $("memory").value = names.includes(name) ? name : "";
  remember({memory: $("memory").value});
}
async function recall() {
  const kept = await memories.read(model.info.id, $("memory").value);
  state = await model.loadMemory(kept.file);
  turns = kept.turns;
  before = null;
  await picture();
}
async function keep() {
  if ($("memory").value) await memories.write(model.info.id, $("memory").value, await model.saveMemory(), turns);
}

async function picture() {
  state = await model.state();
  if (!$("memoryPart").open) return;
  const pictures = await model.memory();
  $("pictures").replaceChildren(...pictures.map(p => {
    const figure = element("figure"), canvas = element("canvas", "", {width: p.size, height: p.size});
    const context = canvas.getContext("2d"), image = context.createImageData(p.size, p.size);
    p.pixels.forEach((v, i) => image.data.set([36 + v * .6, 85 + v * .6, 184 + v * .28, Math.min(255, v * 3)], 4 * i));
    context.putImageData(image, 0, 0);
    figure.append(canvas, element("figcaption", `layer ${p.layer + 1}${pictures.some(q => q.head) ? `, head ${p.head + 1}` : ""}: ${p.norm.toFixed(1)}`));
    return figure;
  }));
}

function sampling() {
  const o = {};
  for (const id of settings) if (id !== "backend" && $(id).value !== "") o[id] = Number($(id).value);
  return o;
}

// write goes on from text, or, without one, answers what was said last again.
async function write(text) {
  const stop = running = new AbortController(), again = text === null;
  if (again) turns.pop();
  else turns.push({role: "user", text});
  const turn = {role: "assistant", text: "", note: "reading …"};
  turns.push(turn);
  show();
  const prompt = again ? turns.at(-2)?.text ?? "" : text;
  const options = {...sampling(), signal: stop.signal, onProgress: p => { if (p.total > 256) progress(p) }};
  let first = 0, pieces = 0, drawn = 0;
  try {
    if (!model.info.chat && !model.info.family) { // what the memory was, so that the answer can be taken back
      if (again && before) await (before.empty ? model.reset() : model.loadMemory(before.file));
      else if (!again) before = state.position ? {file: await model.saveMemory()} : {empty: true};
    }
    const stream = model.info.chat ? model.chat(prompt, {...options, again}) : model.generate(prompt, options);
    for (;;) {
      const {value, done} = await stream.next();
      if (done) {
        const rate = value.textMs > 0 ? `, ${(value.tokens / value.textMs * 1000).toFixed(value.textMs > value.tokens * 100 ? 1 : 0)} a second` : "";
        turn.note = `${count(value.tokens, "token")}${rate}, seed ${value.seed}${value.kept ? `, ${count(value.kept, "token")} not read anew` : ""}${value.reason === "context" ? ", the context is full" : ""}`;
        break;
      }
      progress(null);
      first ||= performance.now();
      turn.text += typeof value === "string" ? value : value.text ?? "";
      if (value.thought) turn.thought = (turn.thought ?? "") + value.thought;
      turn.note = `${count(++pieces, "piece")}`;
      if (performance.now() - drawn > 50) { drawn = performance.now(); redraw(turn) }
    }
  } catch (e) {
    if (e.name === "AbortError") turn.note = "stopped";
    else { turn.note = ""; turn.error = sentence(e) }
  }
  progress(null);
  running = null;
  try {
    await picture();
    await keep();
  } catch (e) { turn.error ??= sentence(e) }
  show();
}

function send() {
  const text = $("prompt").value;
  if (running || !model || !text) return;
  $("prompt").value = "";
  write(text);
}

function file(accept) {
  return new Promise(done => {
    const input = element("input", "", {type: "file", accept});
    input.onchange = () => done(input.files[0]);
    input.click();
  });
}
function ask(question, value = "") {
  const dialog = $("ask"), input = dialog.querySelector("input");
  dialog.querySelector("span").textContent = question;
  input.value = value;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise(done => { dialog.onclose = () => done(dialog.returnValue === "ok" && input.value.trim() || null) });
}

// work is what takes its time outside of an answer.
const work = f => guarded(async () => {
  running = new AbortController();
  show();
  try { await f(running.signal) } finally { running = null; progress(null); show() }
});
const actions = {
  openFile: guarded(async () => { const f = await file(".bitt,.gguf"); if (f) await open(f, f.name) }),
  openAddress: guarded(async () => {
    const address = await ask("The address of a .bitt or GGUF file. Its server must allow pages of other origins to read it.", "https://");
    if (address) await open(address, decodeURIComponent(address.split(/[?#]/)[0].split("/").pop()) || address);
  }),
  forget: guarded(async () => {
    const name = $("model").value;
    if (!window.confirm(`Remove ${name} from this browser?`)) return;
    await forget(name);
    await open(undefined, "demo");
  }),
  keep: work(async () => {
    const name = await ask("The memory's name", $("memory").value || $("name").textContent);
    if (!name) return;
    await memories.write(model.info.id, name, await model.saveMemory(), turns);
    await list(name);
  }),
  teach: work(async signal => {
    const f = await file("text/*,.md,.txt");
    if (!f) return;
    const {tokens} = await model.learn(await f.text(), {signal, onProgress: progress});
    turns.push({role: "assistant", text: "", note: `${f.name}: ${count(tokens, "token")} read into the memory`});
    before = null;
    await picture(); await keep();
  }),
  save: work(async () => {
    const link = element("a", "", {href: URL.createObjectURL(await model.saveMemory()), download: ($("memory").value || $("name").textContent) + ".memory"});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }),
  load: work(async () => {
    const f = await file("");
    if (!f) return;
    state = await model.loadMemory(f);
    turns = (state.messages ?? []).map(m => ({role: m.role, text: m.content, thought: m.reasoning_content}));
    before = null;
    await list(""); await picture();
  }),
  clear: work(async () => { await model.reset(); turns = []; before = null; await list(""); await picture(); $("prompt").focus() }),
  drop: work(async () => {
    if (!window.confirm(`Delete the memory ${$("memory").value}?`)) return;
    await memories.drop(model.info.id, $("memory").value);
    await list("");
  }),
};
for (const [id, f] of Object.entries(actions)) $(id).onclick = f;
$("model").onchange = guarded(choose);
$("memory").onchange = work(async () => { remember({memory: $("memory").value}); if ($("memory").value) await recall() });
$("memoryPart").ontoggle = () => {
  $("text").scrollTop = $("text").scrollHeight;
  if (model && !running) picture().then(show, failed);
};
$("send").onclick = send;
$("stop").onclick = () => running?.abort();
$("prompt").onkeydown = e => { if (e.key === "Enter" && !e.shiftKey && !e.isComposing) { e.preventDefault(); send() } };
document.onkeydown = e => { if (e.key === "Escape" && !$("ask").open) running?.abort() };
$("settings").onchange = e => { remember(); if (e.target.id === "backend") guarded(choose)() };

// The first visit writes at once, so that there is something to see.
guarded(async () => {
  const name = chosen.model && chosen.model !== "demo" && (await kept().catch(() => [])).some(m => m.name === chosen.model) ? chosen.model : "demo";
  await open(name === "demo" ? undefined : {kept: name}, name);
  if (name === "demo" && !turns.length && !chosen.seen) { remember({seen: true}); await write("ROMEO:") }
})();
// Without a network the page is what it was. Where that is not allowed, as in private windows, it works with one.
navigator.serviceWorker?.register("sw.js").catch(() => {});

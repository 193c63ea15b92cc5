// Memories that are kept in this browser: for each a file of the engine's and the texts that the page showed, under the name of
// the model that they belong to. A file is replaced as a whole.
import {root} from "./store.js";

const folder = async id => (await root("memories")).getDirectoryHandle(id.replace(/[^\w.-]/g, "_"), {create: true});
const encoded = name => encodeURIComponent(name).replaceAll("*", "%2A"); // names of files are narrower than names

async function replace(dir, name, content) {
  const to = await (await dir.getFileHandle(name, {create: true})).createWritable(); // into a copy, which close puts in its place
  await to.write(content);
  await to.close();
}

export async function list(id) {
  const names = [];
  for await (const name of (await folder(id)).keys()) if (name.endsWith(".memory")) names.push(decodeURIComponent(name.slice(0, -7)));
  return names.sort();
}

export async function write(id, name, file, turns) {
  const dir = await folder(id);
  await replace(dir, encoded(name) + ".memory", file);
  await replace(dir, encoded(name) + ".json", JSON.stringify(turns.filter(t => !t.error)));
}

export async function read(id, name) {
  const dir = await folder(id);
  const file = await (await dir.getFileHandle(encoded(name) + ".memory")).getFile();
  const turns = await dir.getFileHandle(encoded(name) + ".json").then(async h => JSON.parse(await (await h.getFile()).text()), () => []);
  return {file, turns};
}

export async function drop(id, name) {
  const dir = await folder(id);
  for (const end of [".memory", ".json"]) await dir.removeEntry(encoded(name) + end).catch(() => {});
}

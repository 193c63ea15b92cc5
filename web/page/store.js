// Models that are kept in the origin's private file system, which survives the tab. A file is there under its name once it is
// whole; one that is under way has .part behind it, and is gone on with. It is not for memories, which belong to the page.

export const root = async name => {
  if (!navigator.storage?.getDirectory) throw new Error("this browser keeps no files for pages (no private file system), or not on this address: https or localhost is needed");
  return (await navigator.storage.getDirectory()).getDirectoryHandle("bitgpu-" + name, {create: true});
};

const exists = (dir, name) => dir.getFileHandle(name).then(h => h.getFile(), () => null);

// kept lists the models.
export async function kept() {
  const list = [];
  for await (const [name, handle] of (await root("models")).entries())
    if (handle.kind === "file" && !name.endsWith(".part") && !name.endsWith(".from")) list.push({name, size: (await handle.getFile()).size});
  return list.sort((a, b) => a.name < b.name ? -1 : 1);
}

export async function find(name) {
  const file = await exists(await root("models"), name);
  if (!file) throw new Error(`${name}: is not kept here`);
  return file;
}

export async function forget(name) {
  const dir = await root("models");
  for (const n of [name, name + ".part", name + ".from"]) await dir.removeEntry(n).catch(() => {});
}

// room refuses what the browser would not keep, in a sentence.
async function room(name, bytes) {
  const {quota = Infinity, usage = 0} = await navigator.storage.estimate?.() ?? {};
  if (bytes > quota - usage) throw new Error(`${name}: has ${mega(bytes)} MB, and the browser gives this page ${mega(quota - usage)} MB more`);
}
const mega = n => Math.ceil(n / 1e6);

// write opens a file for writing at a place, synchronously, as only workers may.
async function writer(dir, name, at) {
  const handle = await (await dir.getFileHandle(name, {create: true})).createSyncAccessHandle();
  handle.truncate(at);
  return {
    write(bytes) {
      let n = 0;
      while (n < bytes.length) n += handle.write(bytes.subarray(n), {at: at + n});
      at += n;
    },
    close() { handle.flush(); handle.close() },
  };
}

async function finish(dir, name) {
  const part = await dir.getFileHandle(name + ".part");
  if (part.move) await part.move(name);
  else {
    const to = await writer(dir, name, 0);
    for await (const piece of (await part.getFile()).stream()) to.write(piece);
    to.close();
    await dir.removeEntry(name + ".part");
  }
  return find(name);
}

// keep copies a file that the user has chosen.
export async function keep(file, progress) {
  const dir = await root("models");
  await room(file.name, file.size);
  const to = await writer(dir, file.name + ".part", 0);
  await dir.removeEntry(file.name + ".from").catch(() => {});
  let loaded = 0;
  try {
    for await (const piece of file.stream()) {
      to.write(piece);
      progress(loaded += piece.length, file.size);
    }
  } finally { to.close() }
  return finish(dir, file.name);
}

const pieceBytes = 16 << 20; // asked for at a time, so that a broken line loses no more
const attempts = 5;

// nameOf is what the model behind an address is called.
export function nameOf(address) {
  const name = decodeURIComponent(new URL(address).pathname.split("/").pop() || "");
  if (!name || name.includes("/") || name.endsWith(".part")) throw new Error(`${address}: names no file`);
  return name;
}

// download keeps the file behind an address, by ranges where its server has them, and goes on with what a closed tab has left
// of the same file. A model of the same name from elsewhere is replaced.
export async function download(address, progress, signal) {
  const dir = await root("models"), name = nameOf(address);
  const done = await exists(dir, name), before = await exists(dir, name + ".part");
  const from = JSON.parse(await (await exists(dir, name + ".from"))?.text().catch(() => "") || "null");
  if (done && !before && from?.address === address) return done;
  let at = from?.address === address && before ? before.size : 0, etag = at ? from.etag : null, total = at ? from.total : 0;
  const to = await writer(dir, name + ".part", at);
  try {
    for (let failures = 0; !total || at < total;) {
      const headers = {Range: `bytes=${at}-${at + pieceBytes - 1}`};
      if (at && etag) headers["If-Range"] = etag;
      try {
        const r = await fetch(address, {headers, signal, cache: "no-store"});
        if (r.status !== 206 && r.status !== 200) throw Object.assign(new Error(`${address}: the server answers ${r.status} ${r.statusText}`), {final: r.status < 500});
        if (r.status === 200 && at) throw Object.assign(new Error("again"), {restart: true});
        const size = Number(r.status === 206 ? r.headers.get("Content-Range")?.split("/")[1] : r.headers.get("Content-Encoding") ? 0 : r.headers.get("Content-Length")) || 0;
        if (total && size && size !== total) throw Object.assign(new Error("again"), {restart: true});
        if (!total && size) {
          total = size;
          await room(name, total).catch(e => { throw Object.assign(e, {final: true}) });
        }
        if (!etag) {
          etag = r.headers.get("ETag");
          const note = await writer(dir, name + ".from", 0);
          note.write(new TextEncoder().encode(JSON.stringify({address, etag, total})));
          note.close();
        }
        const start = at;
        for await (const piece of r.body) {
          to.write(piece);
          progress(at += piece.length, total);
        }
        if (r.status === 200 && !total) total = at;
        if (at === start) throw new Error(`${address}: ended after ${at} of ${total} bytes`);
        failures = 0;
      } catch (e) {
        if (signal?.aborted || e.final) throw e;
        if (++failures >= attempts) throw new Error(`${address}: cannot be read: ${e.message}`);
        if (e.restart) throw Object.assign(e, {restart: true});
        await new Promise(r => setTimeout(r, 500 * failures));
      }
    }
    if (at !== total) throw new Error(`${name}: got ${at} bytes, want ${total}`);
  } catch (e) {
    to.close();
    if (!e.restart) throw e;
    await forget(name); // another file is there now, or the server knows no ranges
    return download(address, progress, signal);
  }
  to.close();
  return finish(dir, name);
}

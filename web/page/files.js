// The files that the engine sees, under globalThis.fs as node has it: blobs, which are read piece by piece, in one flat folder.
// It is for the engine's worker alone, and not for keeping: what is written here ends with the worker.

const folder = "/bitgpu";
const files = new Map(); // path → {blob, ino}
const opened = new Map(); // number → {path, position, parts or null}
let next = 10;

const constants = {O_RDONLY: 0, O_WRONLY: 1, O_RDWR: 2, O_CREAT: 64, O_EXCL: 128, O_TRUNC: 512, O_APPEND: 1024, O_DIRECTORY: 65536};

// put makes blobs the files of the folder, by their names.
export function put(name, blob) { files.set(`${folder}/${name}`, {blob, ino: next++}) }
export function take(name) { return files.get(`${folder}/${name}`)?.blob }
export function drop(name) {
  for (const path of [...files.keys()]) if (path === `${folder}/${name}` || path.startsWith(`${folder}/${name}/`)) files.delete(path);
}

const fail = (code, message) => Object.assign(new Error(message ?? code), {code});
const isFolder = path => path === "/" || [...files.keys()].some(p => p.startsWith(path.replace(/\/$/, "") + "/")) || path === folder;

function stat(path) {
  const file = files.get(path);
  if (!file && !isFolder(path)) throw fail("ENOENT");
  const size = file ? file.blob.size : 0;
  return {
    dev: 1, ino: file ? file.ino : 1, mode: file ? 0o100644 : 0o40755, nlink: 1, uid: 0, gid: 0, rdev: 0, size, blksize: 4096,
    blocks: Math.ceil(size / 512), atimeMs: 0, mtimeMs: 0, ctimeMs: 0, isDirectory: () => !file,
  };
}

const at = fd => { const o = opened.get(fd); if (!o) throw fail("EBADF"); return o };

// close puts what was written in its place.
function settle(o) {
  if (!o.parts) return;
  const file = files.get(o.path);
  if (file) file.blob = new Blob([file.blob, ...o.parts]);
  o.parts = [];
}

const calls = {
  open(path, flags) {
    if (!files.has(path)) {
      if (isFolder(path)) return add({path, position: 0, parts: null});
      if (!(flags & constants.O_CREAT)) throw fail("ENOENT");
      files.set(path, {blob: new Blob([]), ino: next++});
    } else if (flags & constants.O_EXCL) throw fail("EEXIST");
    if (flags & constants.O_TRUNC) files.get(path).blob = new Blob([]);
    return add({path, position: 0, parts: flags & 3 ? [] : null});
  },
  close(fd) { settle(at(fd)); opened.delete(fd) },
  stat, lstat: stat,
  fstat(fd) { settle(at(fd)); return stat(at(fd).path) },
  async read(fd, buffer, offset, length, position) {
    const o = at(fd), file = files.get(o.path);
    if (!file) throw fail("EISDIR");
    const from = position ?? o.position;
    let piece;
    try {
      piece = new Uint8Array(await file.blob.slice(from, from + length).arrayBuffer());
    } catch (e) { // the file behind a blob has changed or is gone
      throw fail("EIO", e.message);
    }
    buffer.set(piece, offset);
    if (position === null) o.position += piece.length;
    return piece.length;
  },
  write(fd, buffer, offset, length, position) {
    if (fd === 1 || fd === 2) { console.log(new TextDecoder().decode(buffer.subarray(offset, offset + length)).trimEnd()); return length }
    const o = at(fd);
    if (!o.parts || position !== null) throw fail("EBADF");
    o.parts.push(buffer.slice(offset, offset + length));
    return length;
  },
  readdir(path) {
    const inside = path.replace(/\/$/, "") + "/";
    return [...new Set([...files.keys()].filter(p => p.startsWith(inside)).map(p => p.slice(inside.length).split("/")[0]))];
  },
  rename(from, to) {
    if (!files.has(from)) throw fail("ENOENT");
    for (const o of opened.values()) if (o.path === from) { settle(o); o.path = to }
    files.set(to, files.get(from));
    files.delete(from);
  },
  unlink(path) { if (!files.delete(path)) throw fail("ENOENT") },
  fsync(fd) { settle(at(fd)) },
  chmod() {}, fchmod() {}, mkdir() {},
};
function add(o) { opened.set(next, o); return next++ }

globalThis.fs = {constants, writeSync: (fd, buffer) => calls.write(fd, buffer, 0, buffer.length, null)};
for (const name of ["chmod", "chown", "close", "fchmod", "fchown", "fstat", "fsync", "ftruncate", "lchown", "link", "lstat", "mkdir", "open", "read",
  "readdir", "readlink", "rename", "rmdir", "stat", "symlink", "truncate", "unlink", "utimes", "write"]) {
  globalThis.fs[name] = (...args) => {
    const done = args.pop();
    let result;
    try {
      if (!calls[name]) throw fail("ENOSYS");
      result = calls[name](...args);
    } catch (e) {
      done(e.code ? e : fail("EIO", e.message));
      return;
    }
    if (result instanceof Promise) result.then(value => done(null, value), e => done(e.code ? e : fail("EIO", e.message)));
    else done(null, result);
  };
}

// unpack decodes a file of the LZMA format (lzma-specification.txt of 7-Zip's SDK), which browsers do not know and
// which makes the engine a third smaller than gzip, that they know. It is for the engine's file alone, whose maker is trusted: a
// broken file is an error, or bytes that are no module.
export function unpack(data) {
  const view = new DataView(data.buffer, data.byteOffset);
  let d = data[0];
  const lc = d % 9, lp = (d = (d - lc) / 9) % 5, pb = (d - lp) / 5;
  const known = view.getUint32(5, true) !== 0xffffffff;
  let out = new Uint8Array(known ? view.getUint32(5, true) : data.length * 5), size = 0;

  // The range coder: a probability of 11 bits for each decision, moved by a 32nd of what it was off.
  let at = 18, range = 0xffffffff, code = view.getUint32(14);
  function bit(p, i) {
    const v = p[i], bound = (range >>> 11) * v;
    let b;
    if ((code >>> 0) < bound) { range = bound; p[i] = v + ((2048 - v) >> 5); b = 0 }
    else { range = range - bound >>> 0; code = code - bound >>> 0; p[i] = v - (v >> 5); b = 1 }
    if (range < 0x1000000) { range = range << 8 >>> 0; code = (code << 8 | data[at++]) >>> 0 }
    return b;
  }
  function direct(n) {
    let v = 0;
    while (n--) {
      range >>>= 1;
      const b = code >= range ? 1 : 0;
      if (b) code = code - range >>> 0;
      if (range < 0x1000000) { range = range << 8 >>> 0; code = (code << 8 | data[at++]) >>> 0 }
      v = v << 1 | b;
    }
    return v;
  }
  const probabilities = n => new Uint16Array(n).fill(1024);
  const trees = (n, bits) => Array.from({length: n}, () => probabilities(1 << bits));
  function tree(p, bits) {
    let m = 1;
    for (let i = 0; i < bits; i++) m = m << 1 | bit(p, m);
    return m - (1 << bits);
  }
  function reverse(p, base, bits) {
    let m = 1, v = 0;
    for (let i = 0; i < bits; i++) { const b = bit(p, base + m); m = m << 1 | b; v |= b << i }
    return v;
  }
  const lengths = () => ({choice: probabilities(2), low: trees(1 << pb, 3), mid: trees(1 << pb, 3), high: probabilities(256)});
  const length = (l, place) => bit(l.choice, 0) === 0 ? tree(l.low[place], 3) : bit(l.choice, 1) === 0 ? 8 + tree(l.mid[place], 3) : 16 + tree(l.high, 8);

  const literals = probabilities(0x300 << (lc + lp)), isMatch = probabilities(192), isRep = probabilities(12), isRep0 = probabilities(12), isRep1 = probabilities(12),
    isRep2 = probabilities(12), isRep0Long = probabilities(192), slots = trees(4, 6), special = probabilities(128), align = probabilities(16), match = lengths(), rep = lengths();
  let state = 0, r0 = 0, r1 = 0, r2 = 0, r3 = 0;

  function room(n) {
    if (size + n <= out.length) return;
    const more = new Uint8Array(Math.max(out.length * 2, size + n));
    more.set(out);
    out = more;
  }
  while (!known || size < out.length) {
    if (at > data.length + 4) throw new Error("the engine's file is cut");
    const place = size & (1 << pb) - 1;
    if (bit(isMatch, state << 4 | place) === 0) {
      room(1);
      const before = size ? out[size - 1] : 0, base = 0x300 * (((size & (1 << lp) - 1) << lc) + (before >> 8 - lc));
      let m = 1;
      if (state >= 7) {
        let like = out[size - r0 - 1];
        do {
          const b = like >> 7 & 1, c = bit(literals, base + (1 + b << 8) + m);
          like <<= 1;
          m = m << 1 | c;
          if (b !== c) break;
        } while (m < 0x100);
      }
      while (m < 0x100) m = m << 1 | bit(literals, base + m);
      out[size++] = m;
      state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
      continue;
    }
    let n;
    if (bit(isRep, state) === 0) {
      r3 = r2; r2 = r1; r1 = r0;
      n = length(match, place);
      state = state < 7 ? 7 : 10;
      const slot = tree(slots[Math.min(n, 3)], 6);
      r0 = slot;
      if (slot >= 4) {
        const bits = (slot >> 1) - 1;
        r0 = (2 | slot & 1) << bits;
        if (slot < 14) r0 += reverse(special, r0 - slot, bits);
        else r0 = (r0 >>> 0) + ((direct(bits - 4) << 4) >>> 0) + reverse(align, 0, 4);
      }
      if (r0 === 0xffffffff) break; // the mark of the end
    } else {
      if (bit(isRep0, state) === 0) {
        if (bit(isRep0Long, state << 4 | place) === 0) {
          state = state < 7 ? 9 : 11;
          room(1);
          out[size] = out[size - r0 - 1];
          size++;
          continue;
        }
      } else {
        let r;
        if (bit(isRep1, state) === 0) r = r1;
        else {
          if (bit(isRep2, state) === 0) r = r2; else { r = r3; r3 = r2 }
          r2 = r1;
        }
        r1 = r0;
        r0 = r;
      }
      n = length(rep, place);
      state = state < 7 ? 8 : 11;
    }
    if (r0 >= size) throw new Error("the engine's file is broken");
    n += 2;
    room(n);
    for (let from = size - r0 - 1; n--;) out[size++] = out[from++];
  }
  return out.subarray(0, size);
}

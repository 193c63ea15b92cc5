// The far side of the driver for browsers: it makes the calls that browser_device.go has noted as numbers.
//
// A list of calls is numbers of 64 bits in the program's memory: of each call its place in the table below, how many
// numbers follow, and those. Texts and bytes are a place in that memory and a size. What comes later is reported:
// late(message, outOfMemory), answer(message, outOfMemory) to what the program waits for, "" being success, and
// lost(message).
globalThis.bitgpuDriver = (device, late, answer, lost) => {
  const decoder = new TextDecoder();
  const buffers = [], pipelines = [], groups = [];
  const statuses = [], owners = []; // of events: -1 pending, 0 ended, 1 failed; who may still end it
  let memory, list, at; // at is the first number of the call being made
  let encoder, pass, commands, queries, querying;
  let open = true, asking = false, awaited = 0;
  let settled = Promise.resolve(); // when every error scope so far has been looked at

  const text = (place, size) => decoder.decode(new Uint8Array(memory, place, size));
  const scarce = (e) => e.constructor?.name === "GPUOutOfMemoryError";
  const report = (to, e) => open && to(e ? String(e.message ?? e) : "", !!e && scarce(e));

  // scoped makes calls whose errors come late; doing names the kernel.
  const scoped = (doing, calls) => {
    device.pushErrorScope("validation");
    try {
      calls();
    } finally {
      const seen = device.popErrorScope().then((e) => e && report(late, { message: doing + e.message }), () => {});
      settled = Promise.all([settled, seen]);
    }
  };

  // ask answers when a promise has come; the program waits for it.
  const ask = (promise) => {
    asking = true;
    promise.then(() => "", (e) => e).then(respond);
  };
  const respond = (e) => {
    if (asking) {
      asking = false;
      report(answer, e);
    }
  };

  // guarded makes calls, and fails by an error of theirs that only a scope knows.
  const guarded = async (calls) => {
    device.pushErrorScope("out-of-memory");
    device.pushErrorScope("validation");
    let made;
    try {
      made = calls();
    } finally {
      const errors = Promise.all([device.popErrorScope(), device.popErrorScope()]);
      errors.catch(() => {});
      made = Promise.all([errors, made]);
    }
    const [[invalid, scarcity]] = await made;
    if (scarcity || invalid) throw scarcity || invalid;
  };

  const follow = (event, promise) => {
    const owner = (owners[event] = {});
    statuses[event] = -1;
    // What fails with a lost device may do so before the loss is told.
    const failed = () => Promise.race([device.lost, new Promise((later) => setTimeout(later, 50))]).then(() => 1);
    promise.then(() => 0, failed).then((status) => owners[event] === owner && end(event, status));
  };
  const end = (event, status) => {
    statuses[event] = status;
    owners[event] = null;
    if (awaited === event) {
      awaited = 0;
      respond(status ? "failed" : "");
    }
  };

  const compile = async (id, label, code, entryPoint, types) => {
    const module = device.createShaderModule({ label, code });
    const layout = device.createBindGroupLayout({
      label,
      entries: types.map((type, binding) => ({ binding, visibility: 4 /* compute */, buffer: { type } })),
    });
    const pipeline = device.createComputePipelineAsync({
      label, layout: device.createPipelineLayout({ label, bindGroupLayouts: [layout] }), compute: { module, entryPoint },
    });
    pipeline.catch(() => {});
    const info = await module.getCompilationInfo();
    const error = info.messages.find((m) => m.type === "error");
    if (error) throw new Error(`wgsl:${error.lineNum}:${error.linePos} ${error.message}`);
    pipelines[id] = { label, layout, compute: await pipeline };
  };

  const table = [
    /*  0 new buffer */ (id, size, usage, label, length) =>
      ask(guarded(() => void (buffers[id] = device.createBuffer({ label: text(label, length), size, usage })))),
    /*  1 release buffer */ (id) => {
      buffers[id].destroy();
      buffers[id] = null;
    },
    /*  2 new pipeline: its id; places and lengths of label, text and entry point; the access of each binding */ (id) => {
      const words = [1, 3, 5].map((i) => text(list[at + i], list[at + i + 1]));
      const types = [...list.subarray(at + 7, at + list[at - 1])].map((t) => ["uniform", "read-only-storage", "storage"][t]);
      ask(guarded(() => compile(id, ...words, types)));
    },
    /*  3 release pipeline */ (id) => void (pipelines[id] = null),
    /*  4 new group: its id, the pipeline; buffer, offset and size of each binding */ (id, pipeline) => {
      const p = pipelines[pipeline], entries = [];
      for (let i = at + 2; i < at + list[at - 1]; i += 3) {
        entries.push({ binding: entries.length, resource: { buffer: buffers[list[i]], offset: list[i + 1], size: list[i + 2] } });
      }
      scoped(`binding the buffers of kernel ${p.label}: `, () => {
        groups[id] = device.createBindGroup({ label: p.label, layout: p.layout, entries });
      });
    },
    /*  5 release group */ (id) => void (groups[id] = null),
    /*  6 write */ (buffer, offset, place, size) => device.queue.writeBuffer(buffers[buffer], offset, memory, place, size),
    /*  7 begin */ () => void (encoder = device.createCommandEncoder()),
    /*  8 begin pass */ () => void (pass = encoder.beginComputePass()),
    /*  9 end pass */ () => pass.end(),
    /* 10 set pipeline */ (pipeline) => pass.setPipeline(pipelines[pipeline].compute),
    /* 11 set group */ (group) => pass.setBindGroup(0, groups[group]),
    /* 12 dispatch */ (x, y, z) => pass.dispatchWorkgroups(x, y, z),
    /* 13 copy */ (to, toOffset, from, fromOffset, size) =>
      encoder.copyBufferToBuffer(buffers[from], fromOffset, buffers[to], toOffset, size),
    /* 14 clear */ (buffer, offset, size) => encoder.clearBuffer(buffers[buffer], offset, size),
    /* 15 finish */ () => {
      commands = encoder;
      encoder = null;
    },
    /* 16 send */ () => {
      const sent = commands;
      commands = null;
      if (sent) scoped("", () => device.queue.submit([sent.finish()]));
    },
    /* 17 drop */ () => void (commands = null),
    /* 18 done */ (event) => follow(event, Promise.all([device.queue.onSubmittedWorkDone(), settled])),
    /* 19 map */ (event, buffer, size) => follow(event, Promise.all([buffers[buffer].mapAsync(1 /* read */, 0, size), settled])),
    /* 20 mapped */ (buffer, place, size) =>
      new Uint8Array(memory, place, size).set(new Uint8Array(buffers[buffer].getMappedRange(0, size))),
    /* 21 unmap */ (buffer) => buffers[buffer].unmap(),
    /* 22 poll: writes the statuses of events 1 to n */ (place, n) => {
      const to = new Float64Array(memory, place, n);
      for (let i = 0; i < n; i++) to[i] = statuses[i + 1] ?? 0;
    },
    /* 23 wait */ (event) => {
      asking = true;
      awaited = event;
      if (statuses[event] !== -1) Promise.resolve().then(() => end(event, statuses[event]));
    },
    /* 24 forget */ (event) => void (owners[event] = null),
    /* 25 new timestamps */ (n) => void (queries = device.createQuerySet({ type: "timestamp", count: n })),
    /* 26 timestamp: the standard has them at the ends of passes only */ (query) =>
      encoder.beginComputePass({ timestampWrites: { querySet: queries, beginningOfPassWriteIndex: query } }).end(),
    /* 27 resolve timestamp */ (query, buffer) => encoder.resolveQuerySet(queries, query, 1, buffers[buffer], 0),
    /* 28 release */ () => {
      open = false;
      queries?.destroy();
      device.destroy();
    },
  ];

  device.onuncapturederror = (e) => {
    e.preventDefault?.(); // it is told, and needs no line in the console
    report(late, e.error);
  };
  device.lost.then((info) => {
    report(lost, info.message || info.reason || "no reason is given");
    statuses.forEach((status, event) => status === -1 && owners[event] && end(event, 1));
    respond(open ? "the device is lost" : "");
  });

  // Go's js.CopyBytesToJS gives set a view of the program's memory, so one such call is all that a list costs.
  return new (class extends Uint8Array {
    get length() {
      return Infinity;
    }
    set(bytes) {
      memory = bytes.buffer;
      list = new Float64Array(memory, bytes.byteOffset, bytes.byteLength / 8);
      for (at = 2; at <= list.length; at += list[at - 1] + 2) {
        try {
          table[list[at - 2]](list[at], list[at + 1], list[at + 2], list[at + 3], list[at + 4]);
        } catch (e) {
          const error = { message: e.message };
          Promise.resolve().then(() => report(late, error)); // Go must not be called back from within its call
        }
      }
    }
  })();
};

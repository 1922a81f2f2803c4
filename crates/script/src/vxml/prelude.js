// What the ECMAScript of a VoiceXML call finds in its world, and what the host keeps in it.
//
// Gives the host's functions back; scripts can reach none of them. Originals are taken at the
// start, so that a script that changes builtins changes them for itself alone.
(function (seed, session) {
  "use strict";
  const Real = Date, objectCreate = Object.create, define = Object.defineProperty;
  const keys = Object.keys, text = String, isArray = Array.isArray, stringify = JSON.stringify;
  const owns = Function.prototype.call.bind(Object.prototype.hasOwnProperty);
  let clock = 0, state = seed >>> 0 || 1;

  // The same call at the same time runs the same way: no clock and no chance but ours.
  function CallDate(...parts) {
    if (!new.target) return new Real(clock).toString();
    return parts.length ? new Real(...parts) : new Real(clock);
  }
  CallDate.prototype = Real.prototype;
  CallDate.now = () => clock;
  CallDate.parse = Real.parse;
  CallDate.UTC = Real.UTC;
  define(CallDate, "name", { value: "Date" });
  define(Real.prototype, "constructor", { value: CallDate });
  define(globalThis, "Date", { value: CallDate, writable: true, configurable: true });
  define(Math, "random", {
    value: function random() {
      state ^= state << 13; state ^= state >>> 17; state ^= state << 5;
      return (state >>> 0) / 4294967296;
    },
  });

  // Code from text is checked as the document's own is (see refuse_bigints in expr.rs), and runs
  // outside of all scopes; kinds of functions that VoiceXML has no use for are not made at all.
  const code = String.prototype.charCodeAt, codeAt = Function.prototype.call.bind(code);
  const evaluate = (0, eval), RealFunction = Function;
  function check(source) {
    let number = false, inside = false;
    for (let at = 0; at <= source.length; at++) {
      const c = at < source.length ? codeAt(source, at) : 32;
      const digit = c >= 48 && c <= 57;
      const part = digit || c >= 65 && c <= 90 || c >= 97 && c <= 122 || c === 95 || c === 36 || c > 127;
      if (part && !inside) number = digit;
      if (!part && inside && number && codeAt(source, at - 1) === 110)
        throw new TypeError("there are no big integers here");
      inside = part;
    }
    return source;
  }
  function made(...parts) {
    for (let at = 0; at < parts.length; at++) parts[at] = check(text(parts[at]));
    return RealFunction(...parts);
  }
  define(made, "name", { value: "Function" });
  made.prototype = RealFunction.prototype;
  define(RealFunction.prototype, "constructor", { value: made });
  for (const odd of [function* () {}, async function () {}, async function* () {}])
    define(Object.getPrototypeOf(odd), "constructor", { value: undefined });
  define(globalThis, "Function", { value: made, writable: true, configurable: true });
  define(globalThis, "eval", {
    value: (source) => evaluate(typeof source === "string" ? check(source) : source),
    writable: true, configurable: true,
  });
  for (const name of ["BigInt", "Iterator", "Reflect", "Promise", "queueMicrotask",
    "DisposableStack", "AsyncDisposableStack", "SuppressedError", "AggregateError"])
    delete globalThis[name];

  // Scopes: session, application, document, dialog, anonymous; `names` holds those that
  // expressions may name.
  const names = objectCreate(null), scopes = [null, null, null, null, null];
  const labels = ["session", "application", "document", "dialog"];

  function place(level, scope) {
    scopes[level] = scope;
    if (level < 4) {
      if (scope) names[labels[level]] = scope; else delete names[labels[level]];
    }
  }

  function protect(value) {
    if (value === null || typeof value !== "object") return value;
    for (const key of keys(value))
      define(value, key, { value: protect(value[key]), writable: false, enumerable: true, configurable: true });
    return value;
  }
  place(0, protect(session));

  function chain() {
    const list = [names];
    for (let level = 0; level < 5; level++)
      if (scopes[level] && scopes[level] !== list[list.length - 1]) list[list.length] = scopes[level];
    return list;
  }

  // Variables that a script made by assigning to undeclared names belong where it ran.
  function sweep(level) {
    const loose = keys(globalThis);
    for (let at = 0; at < loose.length; at++) {
      scopes[level][loose[at]] = globalThis[loose[at]];
      delete globalThis[loose[at]];
    }
  }

  function innermost() {
    for (let level = 4; level > 0; level--) if (scopes[level]) return level;
    return 0;
  }

  function run(code) {
    const at = chain();
    try {
      return code(at[0], at[1], at[2], at[3], at[4], at[5]);
    } finally { if (scopes[1]) sweep(innermost()); }
  }

  function data(value, depth, budget) {
    if (--budget.left < 0 || depth > 16) throw new RangeError("the value is too large");
    if (value === null || typeof value !== "object")
      return typeof value === "function" || typeof value === "symbol" ? text(value) : value;
    if (isArray(value)) {
      const list = [];
      for (let at = 0; at < value.length; at++) list[at] = data(value[at], depth + 1, budget);
      return list;
    }
    const record = objectCreate(null), own = keys(value);
    for (let at = 0; at < own.length; at++)
      record[own[at]] = data(value[own[at]], depth + 1, budget);
    return record;
  }

  return {
    time(now) { clock = now; },
    open(level) { place(level, objectCreate(null)); },
    share() { place(2, scopes[1]); },
    close(level) { place(level, null); },
    depth() { return chain().length; },
    owns(level, name) { return scopes[level] !== null && owns(scopes[level], name); },
    get(level, name) { return scopes[level][name]; },
    set(level, name, value) { scopes[level][name] = value; },
    session(name, key, value) {
      const group = scopes[0][name];
      define(group, key, { value, writable: false, enumerable: true, configurable: true });
    },
    results(record) {
      const list = [record], own = keys(record);
      for (let at = 0; at < own.length; at++) list[own[at]] = record[own[at]];
      scopes[1].lastresult$ = list;
    },
    run,
    keep(level, name, code) { scopes[level][name] = run(code); },
    script(level, code, declared) {
      const scope = scopes[level];
      for (let n = 0; n < declared.length; n++)
        if (!owns(scope, declared[n])) scope[declared[n]] = undefined;
      const at = chain();
      at[at.length] = (name, value) => { scope[name] = value; };
      try {
        code(at[0], at[1], at[2], at[3], at[4], at[5], at[6]);
      } finally { sweep(level); }
    },
    data(value) { return data(value, 0, { left: 2000 }); },
    text(value) {
      try { return text(value); } catch (error) { return "[object]"; }
    },
  };
})

// Builtins that scripts get only in our version; installed when a script first speaks of one.
(function (builtins, seed, clock) {
  "use strict";
  const Real = builtins.Date, RealFunction = builtins.Function, evaluate = builtins.eval;
  const define = Object.defineProperty, text = String;
  let state = seed >>> 0 || 1;

  // The same call at the same time runs the same way: no clock and no chance but the host's.
  function CallDate(...parts) {
    if (!new.target) return new Real(clock.now).toString();
    return parts.length ? new Real(...parts) : new Real(clock.now);
  }
  CallDate.prototype = Real.prototype;
  CallDate.now = () => clock.now;
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
    writable: true, configurable: true,
  });

  // Code from text is checked as the document's own is (refuse_bigints), and runs outside of all
  // scopes.
  const codeAt = RealFunction.prototype.call.bind(String.prototype.charCodeAt);
  function check(source) {
    let number = false, inside = false;
    for (let at = 0; at <= source.length; at++) {
      const c = at < source.length ? codeAt(source, at) : 32;
      const digit = c >= 48 && c <= 57;
      const letter = c >= 65 && c <= 90 || c >= 97 && c <= 122 || c > 127;
      const part = digit || letter || c === 95 || c === 36;
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
  define(globalThis, "Function", { value: made, writable: true, configurable: true });
  define(globalThis, "eval", {
    value: (source) => evaluate(typeof source === "string" ? check(source) : source),
    writable: true, configurable: true,
  });
})

// Tells which names a script declares, without running it: declarations take effect before the
// first statement, and the first statement here is a throw. Lives in a world of its own.
(function () {
  "use strict";
  const all = Object.getOwnPropertyNames, before = Object.create(null), evaluate = (0, eval);
  const owned = Object.create(null);
  for (const name of all(globalThis)) { before[name] = globalThis[name]; owned[name] = true; }
  return function (source) {
    try { evaluate("throw 0;" + source); } catch (error) { if (error !== 0) throw error; }
    const functions = [], variables = [], now = all(globalThis);
    for (let at = 0; at < now.length; at++) {
      const name = now[at], value = globalThis[name];
      if (owned[name] && before[name] === value) continue;
      if (owned[name] && value !== value) continue;
      if (typeof value === "function") functions[functions.length] = name;
      variables[variables.length] = name;
      if (owned[name]) globalThis[name] = before[name]; else delete globalThis[name];
    }
    return [variables, functions];
  };
})()

// Cases for the comparison: flag files, and contexts to evaluate their flags for. All from one seed.
//
// A tidy case is what people write: comparisons of like with like, numbers in sums, texts that are cut
// at whole letters. A wild one is anything that the format lets through. Both go as deep as `depth`.

export function random(seed) { // sfc32
  let a = seed >>> 0, b = (seed / 2 ** 32) >>> 0, c = 0x9e3779b9, d = 1;
  const next = () => {
    const t = (a + b + d++) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t | 0;
    return (t >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 15; i++) next();
  const below = (n) => Math.floor(next() * n);
  return {
    below,
    chance: (p) => next() < p,
    one: (list) => list[below(list.length)],
    many: (least, most, make) => Array.from({ length: least + below(most - least + 1) }, make),
  };
}

const texts = ["", "a", "ana", "on", "off", "true", "false", "null", "pro", "free", "ana@example.com", "bob@example.org",
  "@example.com", "0", "1", "-1", "1.5", " 7 ", "0x1f", "1e3", "5 apples", "Infinity", "NaN", ".5", "5.", "-", "é", "日本語",
  "straße", "a😀b", "\u00a03", "0b11 ", "[object Object]", "1,2", "toString", "a,b", "x".repeat(70), "\"quoted\\", "line\n", "$&", "1_000"];
const numbers = [0, 1, 2, 3, 5, 7, 10, 42, 100, -1, -7, 0.5, 1.5, -2.25, 0.1, 0.2, 1e21, 123456789012345680000, 1e-7, 0.000001,
  9007199254740991, -9007199254740991, 1e308, 5e-324, 2147483647, 2147483648, 1700000000, 31.4159];
const versions = ["1.0.0", "1.2.3", "1.2.4", "2.0.0", "2.10.0", "2.9.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-rc.1",
  "1.0.0-beta.11", "1.0.0-beta.2", "1.2.3+build.7", "v1.2.3", "V2.0.0", "1", "1.2", "10.20.30-x.7.z.92"];
const badVersions = ["", "x", "1.2.3.4", "01.2.3", "1.0.0-01", "1.0.0-", "1.0.0+", " 1.2.3", "vv1.2.3", "-1.0.0", "1.2.x", "99999999999999999999.0.0",
  "9007199254740992.0.0", "1.", ".1", "1..2", "01.2", "v", "1.0.0-a..b", "1.0.0-é"];
const names = ["age", "score", "plan", "email", "admin", "version", "tags", "counts", "items", "deep", "nothing", "word", "targetingKey"];
const oddNames = ["", ".", "a..b", "deep.", ".deep", "nowhere", "nowhere.more", "items.0.price", "items.1.name", "tags.0", "tags.9", "tags.00",
  "tags.length", "email.length", "email.0", "deep.b.c", "deep.b.c.d", "$flagd.flagKey", "$flagd.timestamp", "$flagd", "$flagd.more", 0, 1, 1.5, true, null, "1", "counts.-1"];

// ------------------------------------------------------------------ values and contexts

// Any double, or a power of two, whose neighbours are not equally far.
function oddNumber(r) {
  const n = r.chance(0.5) ? (r.below(2 ** 32) / 2 ** 32) * 10 ** (r.below(40) - 20) : 2 ** (r.below(2098) - 1074);
  return Number.isInteger(n) && n > Number.MAX_SAFE_INTEGER ? 1 / n : n;
}

export function wildValue(r, depth) {
  const kind = r.below(depth > 0 ? 10 : 7);
  if (kind < 3) return r.one(texts);
  if (kind < 5) return r.chance(0.8) ? r.one(numbers) : oddNumber(r);
  if (kind === 5) return r.chance(0.5);
  if (kind === 6) return r.chance(0.5) ? null : r.one(versions);
  if (kind === 7) return Object.fromEntries(r.many(0, 3, () => [r.one(["a", "b", "name", "price", "1", "é"]), wildValue(r, depth - 1)]));
  return r.many(0, 4, () => wildValue(r, depth - 1));
}

function tidyContext(r) {
  const c = {
    age: r.below(100), score: r.below(1000) / 8, plan: r.one(["free", "pro", "team"]), email: r.one(["ana@example.com", "bob@example.org", "eve@x.io"]),
    admin: r.chance(0.5), version: r.one(versions), tags: r.many(0, 5, () => r.one(["a", "b", "beta", "é"])), counts: r.many(0, 6, () => r.below(20)),
    items: r.many(0, 3, () => ({ name: r.one(["ink", "pen"]), price: r.below(50) })), deep: { b: { c: r.below(3), d: "x" } }, word: r.one(["日本語", "straße", "plain"]),
  };
  if (r.chance(0.8)) c.targetingKey = r.one(["ana", "bob", "user-" + r.below(1000), "0"]);
  return c;
}

function wildContext(r) {
  const c = {};
  for (const name of names) if (r.chance(0.7)) c[name] = wildValue(r, 3);
  for (const name of ["", "a.b", "1", "true", "null", "$flagd", "$other", "\u00e9"]) if (r.chance(0.15)) c[name] = wildValue(r, 2);
  return c;
}

// ------------------------------------------------------------------ tidy rules

// `at` is what the data is here: "context", "number", "text", "item" (an object), "fold".
function number(r, d, at) {
  if (d <= 0 || r.chance(0.25)) {
    if (r.chance(0.4)) return r.one([0, 1, 2, 3, 5, 10, 18, 0.5, -4]);
    return { var: { context: r.one(["age", "score", "deep.b.c"]), number: "", text: "length", item: "price", fold: r.one(["current", "accumulator"]) }[at] };
  }
  const n = () => number(r, d - 1, at);
  switch (r.below(at === "context" ? 8 : 6)) {
    case 0: return { "+": [n(), n()] };
    case 1: return { "-": [n(), n()] };
    case 2: return { "*": [n(), n()] };
    case 3: return { "%": [n(), r.one([2, 3, 7])] };
    case 4: return { [r.one(["max", "min"])]: [n(), n(), n()] };
    case 5: return { if: [truth(r, d - 1, at), n(), n()] };
    case 6: return { reduce: [list(r, d - 1), { "+": [{ var: "current" }, { var: "accumulator" }] }, 0] };
    default: return { "/": [n(), r.one([2, 4, 5])] };
  }
}

function text(r, d, at) {
  if (at === "text" && r.chance(0.5)) return { var: "" };
  if (at === "item" && r.chance(0.5)) return { var: "name" };
  if (d <= 0 || at !== "context" || r.chance(0.4))
    return at === "context" && r.chance(0.6) ? { var: r.one(["plan", "email", "word", "version", "deep.b.d"]) } : r.one(["free", "pro", "ana", "a", "@example.com", "日本語"]);
  switch (r.below(3)) {
    case 0: return { cat: [text(r, d - 1, at), r.one(["-", "é", ""]), number(r, 0, at)] };
    case 1: return { substr: [text(r, d - 1, at), r.below(6) - 2] };
    default: return { if: [truth(r, d - 1, at), text(r, d - 1, at), text(r, d - 1, at)] };
  }
}

function list(r, d) {
  if (d <= 0 || r.chance(0.5)) return { var: "counts" };
  if (r.chance(0.5)) return { filter: [list(r, d - 1), truth(r, d - 1, "number")] };
  return { map: [list(r, d - 1), number(r, d - 1, "number")] };
}

function truth(r, d, at) {
  if (d <= 0) return at === "context" && r.chance(0.5) ? { var: "admin" } : r.chance(0.5);
  const t = () => truth(r, d - 1, at), n = () => number(r, d - 1, at);
  switch (r.below(at === "context" ? 16 : 6)) {
    case 0: return { and: [t(), t()] };
    case 1: return { or: [t(), t(), t()] };
    case 2: return { "!": [t()] };
    case 3: return { [r.one(["<", "<=", ">", ">=", "==", "!=", "===", "!=="])]: [n(), n()] };
    case 4: return { [r.one(["==", "!=", "===", "!==", "<", ">="])]: [text(r, d - 1, at), text(r, d - 1, at)] };
    case 5: return { "!!": [n()] };
    case 6: return { [r.one(["<", "<="])]: [0, n(), 50] };
    case 7: return { in: [text(r, d - 1, at), { var: "tags" }] };
    case 8: return { in: [text(r, d - 1, at), r.one([["free", "pro"], "a free word", "日本語"])] };
    case 9: return { [r.one(["starts_with", "ends_with"])]: [text(r, d - 1, at), text(r, d - 1, at)] };
    case 10: return { sem_ver: [r.chance(0.7) ? { var: "version" } : r.one(versions), r.one(["=", "!=", "<", "<=", ">", ">=", "~", "^"]), r.one(versions)] };
    case 11: return { [r.one(["some", "all", "none"])]: [{ var: "counts" }, truth(r, d - 1, "number")] };
    case 12: return { [r.one(["some", "all", "none"])]: [{ var: "items" }, truth(r, d - 1, "item")] };
    case 13: return { [r.one(["some", "all", "none"])]: [{ var: "tags" }, truth(r, d - 1, "text")] };
    case 14: return { $ref: r.one(["first", "second"]) };
    default: return { missing: ["age", r.one(["nowhere", "plan"])] };
  }
}

function shares(r, d, variants) {
  const rule = r.many(1, 4, () => {
    const share = [r.chance(0.8) ? r.one(variants) : { if: [truth(r, d - 1, "context"), r.one(variants), r.one(variants)] }];
    if (r.chance(0.9)) share.push(r.one([0, 1, 5, 10, 50, 100, -5, 2147483647, { if: [truth(r, d - 1, "context"), 10, 90] }, { "-": [{ var: "age" }, 20] }]));
    return share;
  });
  if (r.chance(0.5)) rule.unshift(r.one([{ var: "email" }, { cat: [{ var: "$flagd.flagKey" }, { var: "email" }] }, { var: "plan" }, { var: "nowhere" }]));
  return { fractional: rule };
}

function tidyRule(r, d, variants) {
  const answer = () => (r.chance(0.7) ? r.one(variants) : r.chance(0.7) ? shares(r, d - 1, variants) : null);
  if (r.chance(0.15)) return shares(r, d, variants);
  if (r.chance(0.1)) return truth(r, d, "context");
  return { if: [truth(r, d, "context"), answer(), ...(r.chance(0.4) ? [truth(r, d, "context"), answer()] : []), ...(r.chance(0.7) ? [answer()] : [])] };
}

// ------------------------------------------------------------------ wild rules

const pure = ["var", "missing", "missing_some", "if", "?:", "==", "!=", "===", "!==", "!", "!!", "and", "or", "<", "<=", ">", ">=", "max", "min", "+", "-", "*", "/",
  "%", "map", "filter", "reduce", "all", "some", "none", "merge", "in", "cat", "substr"];
const own = ["fractional", "sem_ver", "starts_with", "ends_with"];

function wild(r, d, ops) {
  if (d <= 0 || r.chance(0.2)) {
    if (r.chance(0.5)) return { var: r.chance(0.7) ? r.one(names) : r.one(oddNames) };
    const v = wildValue(r, 1);
    return typeof v === "object" && v && !Array.isArray(v) ? {} : Array.isArray(v) ? v.filter((x) => typeof x !== "object") : v;
  }
  const w = () => wild(r, d - 1, ops), op = r.one(ops);
  const some = (least, most) => (r.chance(0.06) ? (r.chance(0.5) ? w() : r.many(0, 4, w)) : r.many(least, most, w));
  const inside = () => wild(r, d - 1, ops);
  switch (op) {
    case "var": return { var: r.chance(0.5) ? r.one([...names, ...oddNames]) : r.chance(0.5) ? [r.one([...names, ...oddNames]), w()] : w() };
    case "missing": return { missing: r.chance(0.7) ? r.many(0, 3, () => r.one([...names, ...oddNames])) : w() };
    case "missing_some": return { missing_some: [r.below(4), r.chance(0.8) ? r.many(0, 4, () => r.one([...names, ...oddNames])) : w()] };
    case "if": case "?:": return { [op]: some(0, 5) };
    case "and": case "or": return { [op]: some(1, 4) };
    case "!": case "!!": return { [op]: r.chance(0.5) ? w() : [w()] };
    case "map": case "filter": case "all": case "some": case "none": {
      const over = r.chance(0.7) ? r.one([{ var: "counts" }, { var: "tags" }, { var: "items" }, [1, "2", null, {}], { merge: [w(), w()] }]) : w();
      return { [op]: r.chance(0.05) ? [over] : [over, r.chance(0.3) ? { [r.one(["==", "<", "+"])]: [{ var: r.one(["", "price", "length"]) }, w()] } : inside()] };
    }
    case "reduce": {
      const fold = { [r.one(["+", "cat", "max", "-", "and", "merge"])]: [{ var: r.one(["accumulator", "current", "current.price"]) }, { var: "accumulator" }] };
      return { reduce: [r.chance(0.7) ? { var: r.one(["counts", "tags", "items"]) } : w(), r.chance(0.8) ? fold : inside(), ...(r.chance(0.85) ? [w()] : [])] };
    }
    case "sem_ver": {
      const v = () => (r.chance(0.8) ? r.one([...versions, ...badVersions]) : w());
      return { sem_ver: r.chance(0.95) ? [v(), r.one(["=", "!=", "<", "<=", ">", ">=", "~", "^", "==", 1]), v()] : some(0, 4) };
    }
    case "fractional": {
      const share = () => (r.chance(0.9) ? [r.chance(0.8) ? r.one(["on", "off", "é", true, 7]) : w(), ...(r.chance(0.8) ? [r.chance(0.8) ? r.one([1, 10, 50, -3, 1.5, 2147483648]) : w()] : [])] : w());
      return { fractional: r.chance(0.5) ? [r.chance(0.7) ? r.one([{ var: "word" }, { var: "email" }, "日本語", ""]) : w(), ...r.many(0, 3, share)] : r.many(0, 3, share) };
    }
    case "substr": return { substr: [r.chance(0.7) ? { var: r.one(["word", "email"]) } : w(), r.chance(0.8) ? r.below(9) - 4 : w(), ...(r.chance(0.5) ? [r.chance(0.8) ? r.below(9) - 4 : w()] : [])] };
    case "*": case "max": case "min": case "+": case "merge": case "cat": return { [op]: some(0, 4) };
    default: return { [op]: some(1, 3) };
  }
}

// ------------------------------------------------------------------ files

// Values of each type, by name.
const variants = {
  boolean: { on: true, off: false },
  words: { on: "an", off: "aus", "é": "ouvert", "": "" },
  number: { on: 1, off: 0, "7": 7.5, true: -2 },
  object: { on: { a: [1, { b: null }] }, off: [], false: {} },
  truth: { true: true, false: false },
};

/* A rollout to `percent` of the users, and some of them. */
export function rolloutCase(percent, users) {
  const flag = { state: "ENABLED", variants: { on: true, off: false }, defaultVariant: "off", targeting: { fractional: [["on", percent], ["off", 100 - percent]] } };
  return { tidy: true, file: { flags: { rollout: flag } }, key: "rollout", flag, contexts: Array.from({ length: users }, (_, i) => ({ targetingKey: `user-${i * 37}` })), now: 1700000000 };
}

/* What random cases seldom meet. */
export function rareCases() {
  const rules = [
    { reduce: [{ filter: [[1, "2"], { var: "plan" }] }, { var: "current" }, { var: "admin" }] }, // constant but for the rule for its items
    { "!!": [{ var: ["toString", "none"] }] }, // on every object of JavaScript, with a default
  ];
  return rules.map((targeting) => {
    const flag = { state: "ENABLED", variants: { on: true, off: false, true: true }, targeting };
    return { tidy: true, file: { flags: { rare: flag } }, key: "rare", flag, contexts: [{ admin: true }, { admin: false }], now: 1700000000 };
  });
}

/* One flag file and the contexts to evaluate its flag for. */
export function makeCase(r, contexts) {
  const tidy = r.chance(0.55), isPure = r.chance(0.5), depth = 1 + r.below(4);
  const values = { ...r.one(Object.values(variants)) };
  delete values[""];
  const named = Object.keys(values), flag = { state: r.chance(0.97) ? "ENABLED" : "DISABLED", variants: values };
  if (r.chance(0.8)) flag.defaultVariant = r.chance(0.9) ? r.one(named) : null;
  const file = { flags: { [r.one(["flag", "é.flag", "a flag"])]: flag } };
  if (r.chance(0.97)) {
    flag.targeting = tidy ? tidyRule(r, depth, named) : wild(r, depth, isPure ? pure : [...pure, ...own, ...own]);
    if (typeof flag.targeting !== "object" || flag.targeting === null || Array.isArray(flag.targeting)) flag.targeting = { if: [flag.targeting] };
  }
  if (tidy) file.$evaluators = { first: truth(r, 1, "context"), second: { ">": [{ var: "age" }, 18] } };
  for (const name in file.$evaluators) // may not nest
    if (JSON.stringify(file.$evaluators[name]).includes("$ref")) file.$evaluators[name] = { var: "admin" };
  return {
    tidy, file, key: Object.keys(file.flags)[0], flag,
    contexts: Array.from({ length: contexts }, () => (tidy && r.chance(0.9) ? tidyContext(r) : wildContext(r))),
    now: 1700000000 + r.below(1e8),
  };
}

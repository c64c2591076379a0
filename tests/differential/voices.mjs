// What others make of a flag: json-logic-js with flagd's operators as docs/flag-format.md has them, and
// flagd-core. The first also notes where the second is known to go its own way (docs/flag-format.md,
// "Where flagd-core answers otherwise"): `marks`. A case without a mark must be the same in all.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const require = createRequire(resolve(process.env.HOIST_NODE ?? "build/node") + "/");
const semver = require("semver");
const { FlagdCore } = require("@openfeature/flagd-core");

// ------------------------------------------------------------------ json-logic-js, watched

// Its operators are not to be reached from outside, so the calls to them are led through here.
function loadWatched() {
  const source = readFileSync(require.resolve("json-logic-js"), "utf8");
  const put = (text, from, to) => {
    if (text.split(from).length !== 2) throw new Error(`json-logic-js is not the version that is known: ${from}`);
    return text.replace(from, () => to);
  };
  let text = put(source, "return operations[op].apply(data, values);", "return jsonLogic.call(op, operations[op], data, values, bare);");
  text = put(text, "// easy syntax for unary", "var bare = !Array.isArray(values); jsonLogic.enter(op, values, data);\n//");
  const module = { exports: {} };
  new Function("module", "exports", text)(module, module.exports);
  return module.exports;
}

const logic = loadWatched();
let marks, root;
const mark = (name) => void marks.add(name);
const isText = (v) => typeof v === "string";
const isNumber = (v) => typeof v === "number";
const isThing = (v) => typeof v === "object" && v !== null;
const hasHalf = (v) => isText(v) && /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(v);
const lists = new Set(["map", "filter", "reduce", "all", "some", "none"]);

const truthy = logic.truthy;
logic.truthy = (v) => {
  if (isThing(v) && !Array.isArray(v) && Object.keys(v).length === 0) mark("empty object");
  return truthy(v);
};

/* A subtree without variables is worked out when flagd-core reads it, whether or not it will be asked. */
function foldedMarks(rule) {
  marks = new Set();
  const walk = (v) => {
    if (!isThing(v)) return;
    logic.apply(v, root);
    Object.values(v).forEach(walk);
  };
  walk(rule);
  return marks;
}

/* Whether flagd-core takes a list for constant: only the rules for its items ask for anything. */
const isConstant = (v) =>
  !isThing(v) || Object.entries(v).every(([op, args]) => op !== "var" && isConstant(lists.has(op) && Array.isArray(args) ? args[0] : args));

function pathMarks(name) {
  if (!isText(name) || /\\|\.\.|^\.|\.$/.test(name)) mark("path");
}

// What is decided before arguments are.
logic.enter = (op, values, data) => {
  const bare = !Array.isArray(values);
  const count = bare ? 1 : values.length;
  if (["and", "or", "if", "?:"].includes(op) && (bare || count === 0)) mark("arguments");
  if ((op === "if" || op === "?:") && count === 1) mark("arguments");
  if (!lists.has(op)) return;
  if (bare || count !== (op === "reduce" ? 3 : 2)) mark("arguments");
  if (op === "reduce" && isThing(values[2]) && isConstant(values[0])) mark("walk");
  const list = logic.apply(bare ? values : values[0], data);
  if (!Array.isArray(list)) mark("walk");
  if (op === "reduce" && (isThing(logic.apply(bare ? null : values[2], data)) || (list?.some?.(isThing) ?? true))) mark("walk");
};

const takesOne = new Set(["var", "!", "!!", "missing", "cat"]);
const counts = { "<": [2, 3], "<=": [2, 3], in: [2, 2], substr: [2, 3], missing_some: [2, 2], "/": [2, 2], "%": [2, 2], "-": [1, 2],
  "!": [1, 1], "!!": [1, 1], max: [1, 99], min: [1, 99], "*": [2, 99], "+": [1, 99], var: [1, 2], cat: [1, 99], missing: [1, 99] };
for (const op of ["==", "!=", "===", "!==", ">", ">="]) counts[op] = [2, 2];
const sums = new Set(["+", "-", "*", "/", "%", "max", "min"]);
const compares = new Set(["==", "!=", "<", "<=", ">", ">="]);

function callMarks(op, data, values) {
  const [least, most] = counts[op] ?? [0, 99];
  if (values.length < least || values.length > most) mark("arguments");
  if (values.some((v) => v === undefined)) mark("arguments");
  if (sums.has(op) && !values.every((v) => isNumber(v) && isFinite(v))) mark("calculate");
  if (compares.has(op) || op === "===" || op === "!==") {
    const kinds = new Set(values.map((v) => (v === null ? "string" : Array.isArray(v) ? "list" : typeof v)));
    if (op.length < 3 && (kinds.size > 1 || kinds.has("list") || kinds.has("object"))) mark("compare");
    if (values.some((v) => (isNumber(v) && isNaN(v)) || (v === null && data !== root))) mark("compare");
  }
  if (op === "in" && !(isText(values[1]) || Array.isArray(values[1]) || !values[1])) mark("in");
  if (op === "in" && values[0] !== values[0]) mark("in");
  if (op === "cat" && values.some((v) => v === null)) mark("cat");
  if (op === "substr" && (!isText(values[0]) || !values.slice(1).every(Number.isInteger))) mark("substr");
  if (op === "var") pathMarks(values[0]);
  if (op === "var" && isText(values[0])) {
    let at = data;
    for (const step of values[0].split(".").slice(0, -1)) if (at === "" || at === 0 || at === false) mark("path"); else at = at?.[step];
    if (at === "" || at === 0 || at === false) mark("path");
  }
}

logic.call = (op, operate, data, values, bare) => {
  callMarks(op, data, values);
  if (bare && (!takesOne.has(op) || values[0] === null)) mark("arguments");
  if (values.length === 1 && isThing(values[0])) mark("arguments");
  const names = op === "missing" ? (Array.isArray(values[0]) ? values[0] : values) : op === "missing_some" && Array.isArray(values[1]) ? values[1] : [];
  if (names.some(isThing)) mark("names");
  let result;
  try {
    result = operate.apply(data, values);
  } catch {
    return mark("throws"), null; // no operator of Hoist's throws: bad input yields null
  }
  if (sums.has(op) && !isFinite(result)) mark("calculate");
  if (op === "var" && result === null && values.length > 1) mark("default");
  if (op === "var" && typeof result === "function") return mark("inherited"), values[1] ?? null;
  if (op === "missing" || op === "missing_some") {
    if (op === "missing_some" && !Array.isArray(values[1])) return mark("throws"), null;
    names.forEach(pathMarks);
    if (result.length && names.some((n) => !isThing(n) && ["", null].includes(logic.apply({ var: [n, 0] }, data)))) mark("nothing");
    if (names.some((n) => n === null || n === "")) mark("path");
    if (Array.isArray(values[0]) && values.length > 1) mark("arguments");
  }
  if (hasHalf(result)) mark("half");
  return result;
};

// ------------------------------------------------------------------ flagd's operators

function murmur3(bytes) {
  const rotate = (x, n) => (x << n) | (x >>> (32 - n));
  const mix = (k) => Math.imul(rotate(Math.imul(k, 0xcc9e2d51), 15), 0x1b873593);
  let h = 0, i = 0;
  for (; i + 4 <= bytes.length; i += 4) h = (Math.imul(rotate(h ^ mix(bytes.readInt32LE(i)), 13), 5) + 0xe6546b64) | 0;
  if (i < bytes.length) h ^= mix(bytes.readUIntLE(i, bytes.length - i) | 0);
  h ^= bytes.length;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function parseVersion(v) {
  const s = String(v).replace(/^[vV]/, "");
  if (/^\s|\s$|^[vV]/.test(s)) return mark("version"), null;
  if (/^\d+(\.\d+)?$/.test(s) && /\d{17}/.test(s)) mark("version");
  return /^\d+(\.\d+)?$/.test(s) ? semver.parse(s + (s.includes(".") ? ".0" : ".0.0")) : semver.parse(s);
}

function own(name, operate) {
  logic.add_operation(name, function (...values) {
    if (this !== root) mark("own inside");
    return operate(values, this);
  });
}

const twoTexts = (values) => values.length === 2 && values.every(isText);
own("starts_with", (v) => (twoTexts(v) ? v[0].startsWith(v[1]) : null));
own("ends_with", (v) => (twoTexts(v) ? v[0].endsWith(v[1]) : null));
own("sem_ver", (v) => {
  if (v.length !== 3) return null;
  const a = parseVersion(v[0]), b = parseVersion(v[2]);
  if (!a || !b) return null;
  const by = a.compare(b), major = a.major === b.major;
  return { "=": by === 0, "!=": by !== 0, "<": by < 0, "<=": by <= 0, ">": by > 0, ">=": by >= 0, "^": major, "~": major && a.minor === b.minor }[String(v[1])] ?? null;
});
own("fractional", (v, data) => {
  let text = v[0], pairs = v.slice(1);
  if (!isText(text)) {
    const key = data === root ? data.targetingKey : null;
    if (Array.isArray(key) && key.length === 0) mark("hash");
    if (!truthy(key)) return null;
    text = data.$flagd.flagKey + String(key);
    pairs = v;
  }
  if (/[^\x00-\x7f]/.test(text)) mark("hash");
  let total = 0, before = 0;
  const shares = [];
  for (const pair of pairs) {
    if (!Array.isArray(pair) || pair.length < 1 || pair.length > 2 || isThing(pair[0])) return null;
    const weight = pair.length < 2 ? 1 : pair[1];
    if (!Number.isInteger(weight) || weight > 2147483647) return null;
    shares.push([pair[0], Math.max(0, weight)]);
    total += Math.max(0, weight);
  }
  if (total === 0 || total > 2147483647) return null;
  const bucket = Number((BigInt(murmur3(Buffer.from(text))) * BigInt(total)) >> 32n);
  return shares.find(([, weight]) => (before += weight) > bucket)?.[0] ?? null;
});

// ------------------------------------------------------------------ answers

/* {reason, code, variant, value, yields, marks} as docs/flag-format.md says. */
export function expected(c, context) {
  marks = new Set();
  const { flag, key } = c, has = (name) => isText(name) && Object.hasOwn(flag.variants, name);
  const yieldsVariant = (reason, variant, more) => ({ reason, code: "", variant, value: flag.variants[variant], marks, ...more });
  const none = (reason, code, more) => ({ reason, code, marks, ...more });
  const byDefault = (reason, more) => (has(flag.defaultVariant) ? yieldsVariant(reason, flag.defaultVariant, more) : none("DEFAULT", "", more));
  const disabled = flag.state === "DISABLED";
  if (!flag.targeting || Object.keys(flag.targeting).length === 0) return disabled ? none("DISABLED", "") : byDefault("STATIC");
  root = { ...context, $flagd: { flagKey: key, timestamp: c.now } };
  const rule = c.rule ??= JSON.parse(JSON.stringify(flag.targeting), (_, v) => (isThing(v) && isText(v.$ref) ? c.file.$evaluators[v.$ref] : v));
  const yields = logic.apply(rule, root);
  if (disabled) return none("DISABLED", "", { yields });
  if (yields === null || yields === undefined) return byDefault("DEFAULT", { yields: null });
  if (!isText(yields) && typeof yields !== "boolean") mark("name");
  const name = typeof yields === "boolean" ? String(yields) : yields;
  return has(name) ? yieldsVariant("TARGETING_MATCH", name, { yields }) : none("ERROR", "GENERAL", { yields });
}

const silent = { error() {}, warn() {}, info() {}, debug() {} };

/* Marks of all parts of a rule, whether or not they are asked. After expected(). */
export const folded = (c) => [...foldedMarks(c.rule)];

/* One file in flagd-core, compiled as it does by itself, or `interpreted`. */
export function openFlagd(file, interpreted) {
  const core = new FlagdCore(undefined, silent, { disableDynamicCodeGeneration: interpreted });
  core.setConfigurations(JSON.stringify(file));
  return core;
}

export function askFlagd(core, c, context) {
  const type = typeof Object.values(c.flag.variants)[0];
  const verb = { boolean: "Boolean", string: "String", number: "Number", object: "Object" }[type];
  const now = Date.now;
  Date.now = () => c.now * 1000;
  try {
    const r = core[`resolve${verb}Evaluation`](c.key, undefined, structuredClone(context), silent);
    return { reason: r.reason, code: r.errorCode ?? "", variant: r.variant, value: r.value };
  } finally {
    Date.now = now;
  }
}

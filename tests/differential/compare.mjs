// The evaluator beside two others, on generated flags: node compare.mjs EVAL_LINES SEED CASES
//
// Hoist must answer as json-logic-js does, and as flagd-core does, but for the classes of differences
// that docs/flag-format.md lists. What is outside of them is printed with its seed and number and fails.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { isDeepStrictEqual } from "node:util";

import { makeCase, random, rareCases, rolloutCase } from "./generate.mjs";
import { askFlagd, expected, folded, openFlagd } from "./voices.mjs";

const [program, seedText, countText] = process.argv.slice(2);
const seed = Number(seedText), count = Number(countText), perFile = 4;
if (!program || !Number.isInteger(seed) || !(count > 0)) {
  console.error("usage: node compare.mjs EVAL_LINES SEED CASES");
  process.exit(2);
}

// Where Hoist keeps apart from json-logic-js itself.
const apart = { half: "half of a letter", names: "a name in `missing` that is no text" };

const child = spawn(program, { stdio: ["pipe", "pipe", "inherit"] });
const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();

const waiting = [], seen = {}, tally = { cases: 0, tidy: 0, same: 0, refused: 0, limited: 0, unmarked: 0, flagd: {}, apart: {} };
let bad = 0;
const add = (table, name) => (table[name] = (table[name] ?? 0) + 1);

function complain(item, what, ours, theirs) {
  if (++bad > 10) return;
  console.log(`\nFAIL ${what}: seed ${seed}, case ${item.number}`);
  console.log(`  flag     ${JSON.stringify(item.c.flag)}`);
  if (item.c.file.$evaluators) console.log(`  $ref     ${JSON.stringify(item.c.file.$evaluators)}`);
  console.log(`  context  ${JSON.stringify(item.context)}`);
  console.log(`  Hoist    ${JSON.stringify(ours)}\n  other    ${JSON.stringify(theirs)}\n  marks    ${[...(item.marks ?? [])].join(", ") || "none"}`);
}

// A whole number beyond 2^53 is refused in a file, but not one written with a point.
const spellFile = (file) => JSON.stringify(file).replaceAll("123456789012345680000", "123456789012345680000.0");

// A value as eval_lines writes it.
function spell(v) {
  if (v === undefined || v === null) return null;
  if (typeof v === "number" && !isFinite(v)) return { is: String(v) };
  if (Object.is(v, -0)) return 0;
  if (Array.isArray(v)) return Array.from(v, spell);
  return typeof v === "object" ? { is: "object" } : v;
}

const outcome = (a) => ({ reason: a.reason, code: a.code, variant: a.variant, value: a.value });

function compare(item, ours) {
  const want = expected(item.c, item.context);
  item.marks = want.marks;
  tally.cases++;
  tally.tidy += item.c.tidy;
  if (want.marks.size === 0) tally.unmarked++;
  if (ours.refused) return complain(item, "Hoist refuses", ours, outcome(want));
  if (ours.limited) return void tally.limited++;
  const kept = Object.keys(apart).filter((name) => want.marks.has(name));
  const isSame = isDeepStrictEqual(outcome(ours), outcome(want)) && isDeepStrictEqual(ours.yields, "yields" in want ? spell(want.yields) : undefined);
  if (!isSame && !kept.length) return complain(item, "unlike json-logic-js", ours, { ...outcome(want), yields: spell(want.yields) });
  if (!isSame) add(tally.apart, kept[0]);
  const flagd = askFlagd((item.core.compiled ??= openFlagd(item.c.file, false)), item.c, item.context);
  if (isDeepStrictEqual(outcome(ours), flagd)) return void tally.same++;
  if (want.marks.size) {
    for (const name of want.marks) add(tally.flagd, name);
    return;
  }
  if (flagd.code === "PARSE_ERROR" && folded(item.c).length) return add(tally.flagd, "folded");
  const again = askFlagd((item.core.interpreted ??= openFlagd(item.c.file, true)), item.c, item.context);
  if (isDeepStrictEqual(outcome(ours), again)) return add(tally.flagd, "compiled");
  complain(item, "unlike flagd-core", ours, flagd);
}

async function take() {
  const { value, done } = await answers.next();
  if (done) throw new Error(`eval_lines ended early: seed ${seed}, case ${waiting[0]?.number}`);
  compare(waiting.shift(), JSON.parse(value));
}

async function ask(c, number) {
  const core = {};
  for (const [i, context] of c.contexts.entries()) {
    const line = JSON.stringify({ file: i ? null : spellFile(c.file), key: c.key, context: JSON.stringify(context), now: c.now }) + "\n";
    waiting.push({ c, core, context, number: `${number}+${i}` });
    if (!child.stdin.write(line)) await new Promise((go) => child.stdin.once("drain", go));
  }
  while (waiting.length > 256) await take();
}

for (const percent of [1, 5, 10, 50]) await ask(rolloutCase(percent, 500), `rollout to ${percent} % and`);
for (const [i, c] of rareCases().entries()) await ask(c, `rare ${i} and`);
for (let number = 0; number < count; number += perFile) await ask(makeCase(random(seed * 2 ** 20 + number), perFile), number);
child.stdin.end();
while (waiting.length) await take();

console.log(JSON.stringify(tally));
if (tally.unmarked < tally.cases / 4) bad++, console.log("FAIL too few cases without a mark: the comparison says little");
if (tally.limited > tally.cases / 100) bad++, console.log("FAIL too many cases over a limit");
console.log(`${tally.cases} cases, ${bad} disagreements, seed ${seed}`);
process.exitCode = bad ? 1 : 0;

// Features, contexts, and what Unleash's own SDK answers: node make.mjs > cases.json
// And what JSONLogic makes of the flag file that flagctl made of them: node make.mjs --check FLAGS.json
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const require = createRequire(`${process.cwd()}/`);
const { default: Client } = require('unleash-client/lib/client');
const { defaultStrategies } = require('unleash-client/lib/strategy');
const { normalizedStrategyValue, normalizedVariantValue } = require('unleash-client/lib/strategy/util');
const { version } = require('unleash-client/package.json');
const murmur = require('murmurhash3js');

// ---------------------------------------------------------------- chance, the same each time

let seed = 20261126;
function below(n) { // mulberry32
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % n;
}
const one = (list) => list[below(list.length)];
const chance = (percent) => below(100) < percent;
const some = (list, most) => Array.from({ length: below(most + 1) }, () => one(list));

// ---------------------------------------------------------------- features that can be kept exactly

const users = ['ana', 'bo', '7', '42', 'zoë', 'x y'];
const texts = ['de', 'DE', 'fr', 'pro', 'pro-2', '5', '1.5', '-1', '1e+21', '0', 'e', '.', 'naïve', ' de ', '', 'a,b', '日本'];
const fields = ['userId', 'sessionId', 'remoteAddress', 'environment', 'appName', 'country', 'plan', 'level'];
const numbers = ['5', '1.5', '-1', '0', ' 7 ', '1e3', '-0.25', '100000'];
const addresses = ['10.0.0.1', '192.168.7.9', '::1', 'fe80::1'];

function constraint() {
  const kind = below(10);
  const common = { contextName: one(fields), inverted: chance(25), caseInsensitive: false };
  if (kind < 4) return { ...common, operator: one(['IN', 'NOT_IN']), values: some(texts.concat(users), 4), caseInsensitive: chance(20) };
  if (kind < 7) return { ...common, operator: one(['STR_STARTS_WITH', 'STR_ENDS_WITH', 'STR_CONTAINS']), values: some(texts, 3) };
  if (kind < 9) return { ...common, operator: one(['NUM_EQ', 'NUM_GT', 'NUM_GTE', 'NUM_LT', 'NUM_LTE']), value: one(numbers), values: [] };
  return { ...common, contextName: 'currentTime', operator: one(['DATE_AFTER', 'DATE_BEFORE']),
    value: one(['2001-09-09T01:46:40.000Z', '2120-02-29T12:00:00Z']), values: [] };
}

function strategy() {
  const all = one(['0', '100', '100', ' 100 ', '0.5', '']);
  const kinds = [
    { name: 'default', parameters: {} },
    { name: 'default', parameters: {} },
    { name: 'userWithId', parameters: { userIds: some(users, 4).join(one([',', ', ', ' ,\t'])) } },
    { name: 'flexibleRollout', parameters: { rollout: all, groupId: 'g', stickiness: one(['default', 'random', 'userId', 'sessionId', 'level']) } },
    { name: 'gradualRolloutUserId', parameters: { percentage: all, groupId: 'g' } },
    { name: 'gradualRolloutSessionId', parameters: { percentage: all, groupId: 'g' } },
    { name: 'gradualRolloutRandom', parameters: { percentage: all } },
    { name: 'remoteAddress', parameters: { IPs: some(addresses, 3).join(', ') } },
  ];
  const made = { ...one(kinds), constraints: Array.from({ length: below(3) }, constraint) };
  if (chance(25)) made.segments = [1 + below(segments.length)];
  return made;
}

function variants(type, prefix) {
  const payload = { string: () => `text ${below(9)}`, number: () => String(below(99) / 4), json: () => JSON.stringify({ n: below(9), list: [1, null] }) };
  const count = 1 + below(3), chosen = below(count + 1); // none has a weight, now and then
  return Array.from({ length: count }, (_, i) => ({
    name: `${prefix}${i}`, weight: i === chosen ? 1000 : 0, weightType: 'variable', stickiness: 'default',
    ...(type && { payload: { type, value: payload[type]() } }),
    ...(chance(30) && { overrides: [{ contextName: one(['userId', 'country', 'level']), values: ['7', 'de', 'ana'] }] }),
  }));
}

function feature(i) {
  const made = { name: `f${i}`, type: 'release', enabled: chance(92), strategies: Array.from({ length: below(4) }, strategy), variants: [] };
  if (chance(35)) {
    const type = one([undefined, 'string', 'number', 'json']);
    made.variants = variants(type, 'v');
    for (const [k, s] of made.strategies.entries()) if (chance(30)) s.variants = variants(type, `s${k}`);
  }
  if (i >= 40 && chance(25)) made.dependencies = [{ feature: `f${below(40)}`, enabled: chance(70) }];
  return made;
}

const segments = Array.from({ length: 6 }, (_, i) => ({ id: i + 1, name: `segment ${i + 1}`, constraints: Array.from({ length: below(3) }, constraint) }));
const features = Array.from({ length: 250 }, (_, i) => feature(i));

// A parent's variants, where it has one that everybody in gets.
for (const f of features)
  for (const d of f.dependencies ?? []) {
    const parent = features.find((p) => p.name === d.feature);
    if (parent.variants.length && d.enabled && chance(60)) d.variants = [parent.variants[0].name];
  }

// ---------------------------------------------------------------- contexts: texts and numbers

const values = texts.concat([5, 1.5, 0, -1, 7, 1e21, 100001, 0.1]);
function context() {
  const made = { properties: {} };
  if (chance(85)) made.userId = one(users);
  if (chance(60)) made.sessionId = one(['s1', '7', 'de']);
  if (chance(60)) made.remoteAddress = one(addresses.concat('10.0.0.2'));
  if (chance(50)) made.environment = one(texts);
  if (chance(50)) made.appName = one(texts);
  for (const name of ['country', 'plan', 'level']) if (chance(75)) made.properties[name] = one(values);
  return made;
}
const contexts = Array.from({ length: 40 }, context);

// ---------------------------------------------------------------- what the SDK says

const repository = {
  getToggle: (name) => features.find((f) => f.name === name),
  getSegment: (id) => segments.find((s) => s.id === id),
};
const client = new Client(repository, defaultStrategies);
client.on('error', () => {});

// For each feature a character for each context: 1 or 0; and the variant's name, null where there is none.
const expected = {};
for (const { name } of features) {
  const enabled = contexts.map((c) => (client.isEnabled(name, c, () => false) ? '1' : '0')).join('');
  const chosen = contexts.map((c) => client.getVariant(name, c)).map((v) => (v.enabled ? v.name : null));
  expected[name] = chosen.some(Boolean) ? { enabled, variants: chosen } : { enabled };
}

// ---------------------------------------------------------------- how many users a share moves

const ids = Array.from({ length: 100000 }, (_, i) => `user-${i + 1}`);
const bucket = (text, sum) => Number((BigInt(murmur.x86.hash32(text, 0)) * BigInt(sum)) >> 32n); // as `fractional`
const pick = (weights, at) => { let total = 0; return weights.findIndex((w) => (total += w) > at); };
const utf8 = (text) => Buffer.from(text).toString('latin1');
const shares = [[1, 'checkout'], [25, 'checkout'], [50, 'grüße'], [99, 'a']].map(([percent, group]) => {
  const theirs = (id) => normalizedStrategyValue(id, group) <= percent;
  const ours = (id) => bucket(`${utf8(group)}:${id}`, 100) < percent;
  return { percent, group, on: ids.filter(ours).length, moved: ids.filter((id) => theirs(id) !== ours(id)).length };
});
const divisions = [[500, 500], [100, 200, 700]].map((weights) => {
  const sum = weights.reduce((a, b) => a + b);
  const theirs = (id) => pick(weights, normalizedVariantValue(id, 'x', sum) - 1);
  const ours = (id) => pick(weights, bucket(`x:variant:${id}`, sum));
  return { weights, first: ids.filter((id) => ours(id) === 0).length, moved: ids.filter((id) => theirs(id) !== ours(id)).length };
});

// ---------------------------------------------------------------- checking with another evaluator

// The rules by JSONLogic's own implementation, which is what docs/flag-format.md's words come down to.
function check(path) {
  const logic = require('json-logic-js');
  const { flags, $evaluators = {} } = JSON.parse(readFileSync(path, 'utf8'));
  const both = (f) => (...args) => (args.length === 2 && args.every((a) => typeof a === 'string') ? f(...args) : null);
  logic.add_operation('starts_with', both((a, b) => a.startsWith(b)));
  logic.add_operation('ends_with', both((a, b) => a.endsWith(b)));
  const expand = (rule) => {
    if (Array.isArray(rule)) return rule.map(expand);
    if (rule === null || typeof rule !== 'object') return rule;
    if (rule.$ref) return $evaluators[rule.$ref];
    return Object.fromEntries(Object.entries(rule).map(([k, v]) => [k, expand(v)]));
  };
  for (const flag of Object.values(flags)) flag.targeting &&= expand(flag.targeting);
  const resolve = (key, c) => {
    const { userId, properties, ...rest } = c, flag = flags[key];
    for (const [needed, variant] of Object.entries(flag.requires?.flags ?? {}))
      if (resolve(needed, c) !== variant) return flag.requires.otherwise;
    if (!flag.targeting) return flag.defaultVariant ?? null;
    const $flagd = { flagKey: key, timestamp: Math.floor(Date.now() / 1000) };
    return logic.apply(flag.targeting, { ...rest, ...properties, ...(userId !== undefined && { targetingKey: userId }), $flagd }) ?? flag.defaultVariant ?? null;
  };
  let asked = 0, wrong = 0;
  const differ = (name, i, got, want) => { if (got !== want && ++wrong <= (process.env.SHOW ?? 10)) console.log(name, JSON.stringify(contexts[i]), 'is', got, 'not', want); };
  for (const { name } of features)
    contexts.forEach((c, i) => {
      asked++;
      differ(name, i, resolve(name, c), expected[name].enabled[i] === '1' ? 'on' : 'off');
      if (!flags[`${name}.variant`]) return differ(name, i, null, expected[name].variants?.[i] ?? null);
      asked++;
      differ(`${name}.variant`, i, resolve(`${name}.variant`, c), expected[name].variants?.[i] ?? null);
    });
  console.log(`${asked} answers, ${wrong} differ`);
  process.exitCode = wrong ? 1 : 0;
}

if (process.argv[2] === '--check') check(process.argv[3]);
else {
  const list = (items) => `[\n${items.map((x) => JSON.stringify(x)).join(',\n')}\n]`;
  const answers = Object.entries(expected).map(([k, v]) => `${JSON.stringify(k)}: ${JSON.stringify(v)}`);
  console.log(`{"made_with": "unleash-client ${version}",
"answer": {"version": 2, "features": ${list(features)}, "segments": ${list(segments)}},
"contexts": ${list(contexts)},
"expected": {\n${answers.join(',\n')}\n},
"shares": ${list(shares)},
"divisions": ${list(divisions)}}`);
}

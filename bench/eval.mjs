// The decisions of bench_eval by other people's evaluators, each in this process: node eval.mjs MODULES
//
// Nothing is fetched and nothing told: flags are handed over as the vendor's test data or bootstrap.
// A line for each decision, KEY NAME NANOSECONDS, in processor time.
import { createRequire } from "node:module";
import { resolve } from "node:path";

const require = createRequire(resolve(process.argv[2]) + "/");
const { FlagdCore } = require("@openfeature/flagd-core");
const { GrowthBookClient } = require("@growthbook/growthbook");
const { Unleash, InMemStorageProvider } = require("unleash-client");
const launchDarkly = require("@launchdarkly/node-server-sdk");
const { TestData } = require("@launchdarkly/node-server-sdk/integrations");

const MS = 250; // of each measure, after as much to warm up
const countries = ["de", "fr", "it", "pl", "se"];
const user = { targetingKey: "user-12345", country: "se", version: "2.10.1", email: "ana@example.com", plan: "pro", counts: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] };
const silent = { error() {}, warn() {}, info() {}, debug() {} };

const cpuNs = () => Number(process.cpuUsage().user + process.cpuUsage().system) * 1000;

async function measure(key, name, decide, isAsync) {
  const right = isAsync ? await decide() : decide();
  if (typeof right !== "boolean" || (key !== "fractional" && !right)) throw new Error(`${name} answers ${right} for ${key}`);
  let runs = 0, begin = 0;
  for (const round of ["warm", "counted"]) {
    const end = performance.now() + MS;
    (runs = 0), (begin = cpuNs());
    while (performance.now() < end) {
      if (isAsync) for (let i = 0; i < 1000; i++) await decide();
      else for (let i = 0; i < 1000; i++) decide();
      runs += 1000;
    }
  }
  console.log(`${key} ${name} ${(cpuNs() - begin) / runs}`);
}

// ------------------------------------------------------------------ flagd-core

{
  const flag = (targeting) => ({ state: "ENABLED", variants: { on: true, off: false }, defaultVariant: targeting ? "off" : "on", ...(targeting && { targeting }) });
  const core = new FlagdCore(undefined, silent);
  core.setConfigurations(JSON.stringify({
    flags: {
      static: flag(),
      fractional: flag({ fractional: [["on", 50], ["off", 50]] }),
      rules5: flag({ if: [...countries.flatMap((c) => [{ "==": [{ var: "country" }, c] }, c === "se" ? "on" : "off"]), "off"] }),
      semver: flag({ if: [{ sem_ver: [{ var: "version" }, ">=", "2.3.0"] }, "on", "off"] }),
      reduce: flag({ if: [{ ">": [{ reduce: [{ var: "counts" }, { "+": [{ var: "current" }, { var: "accumulator" }] }, 0] }, 50] }, "on", "off"] }),
    },
  }));
  for (const key of ["static", "fractional", "rules5", "semver", "reduce"])
    await measure(key, "flagd-core", () => core.resolveBooleanEvaluation(key, false, user, silent).value);
}

// ------------------------------------------------------------------ GrowthBook

{
  const client = new GrowthBookClient();
  client.initSync({
    payload: {
      features: {
        static: { defaultValue: true },
        fractional: { defaultValue: false, rules: [{ coverage: 0.5, hashAttribute: "id", force: true }] },
        rules5: { defaultValue: false, rules: countries.map((c) => ({ condition: { country: c }, force: c === "se" })) },
        semver: { defaultValue: false, rules: [{ condition: { version: { $vgte: "2.3.0" } }, force: true }] },
      },
    },
  });
  const attributes = { id: user.targetingKey, ...user };
  for (const key of ["static", "fractional", "rules5", "semver"]) await measure(key, "GrowthBook", () => client.isOn(key, { attributes }));
}

// ------------------------------------------------------------------ Unleash

{
  const context = { userId: user.targetingKey, properties: { country: user.country, version: user.version } };
  const equals = (value) => ({ name: "default", parameters: {}, constraints: [{ contextName: "country", operator: "IN", values: [value], inverted: false }] });
  const feature = (name, strategies) => ({ name, type: "release", enabled: true, stale: false, impressionData: false, variants: [], strategies });
  const unleash = new Unleash({
    url: "http://127.0.0.1:9/", appName: "bench", refreshInterval: 0, metricsInterval: 0, disableMetrics: true, disableAutoStart: true,
    storageProvider: new InMemStorageProvider(),
    bootstrap: {
      data: [
        feature("static", [{ name: "default", parameters: {}, constraints: [] }]),
        feature("fractional", [{ name: "flexibleRollout", parameters: { rollout: "50", stickiness: "userId", groupId: "fractional" }, constraints: [] }]),
        feature("rules5", countries.map(equals)),
        feature("semver", [{ name: "default", parameters: {}, constraints: [{ contextName: "version", operator: "SEMVER_GT", value: "2.3.0", inverted: false }] }]),
      ],
    },
  });
  unleash.on("error", () => {}).on("warn", () => {});
  await unleash.repository.loadBootstrap?.();
  await new Promise((go) => (unleash.once("ready", go), unleash.start().catch(() => go()), setTimeout(go, 1000)));
  for (const key of ["static", "fractional", "rules5", "semver"]) await measure(key, "Unleash", () => unleash.isEnabled(key, context));
  unleash.destroy();
}

// ------------------------------------------------------------------ LaunchDarkly

{
  const data = new TestData();
  data.update(data.flag("static").booleanFlag().variationForAll(true));
  data.usePreconfiguredFlag({
    key: "fractional", version: 1, on: true, variations: [true, false], offVariation: 1, salt: "salt",
    fallthrough: { rollout: { variations: [{ variation: 0, weight: 50000 }, { variation: 1, weight: 50000 }] } },
  });
  const rule = (op, attribute, values, variation) => ({ id: `${op}${values}`, clauses: [{ attribute, op, values, contextKind: "user" }], variation });
  data.usePreconfiguredFlag({
    key: "rules5", version: 1, on: true, variations: [true, false], offVariation: 1, fallthrough: { variation: 1 },
    rules: countries.map((c) => rule("in", "country", [c], c === "se" ? 0 : 1)),
  });
  data.usePreconfiguredFlag({
    key: "semver", version: 1, on: true, variations: [true, false], offVariation: 1, fallthrough: { variation: 1 }, rules: [rule("semVerGreaterThan", "version", ["2.3.0"], 0)],
  });
  const client = launchDarkly.init("sdk-key", { updateProcessor: data.getFactory(), sendEvents: false, diagnosticOptOut: true, logger: silent });
  await client.waitForInitialization({ timeout: 5 });
  const context = { kind: "user", key: user.targetingKey, country: user.country, version: user.version };
  for (const key of ["static", "fractional", "rules5", "semver"]) await measure(key, "LaunchDarkly", () => client.variation(key, context, false), true);
  client.close();
}
process.exit(0);

// How many of 1,000 users have the flag, said each time that changes: node follow.mjs [FLAG]
// The program knows OpenFeature and an address, and nothing of Hoist.
import { setTimeout } from "node:timers/promises";
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OpenFeature } from "@openfeature/server-sdk";

const flag = process.argv[2] ?? "checkout.v2";
const baseUrl = process.env.OFREP_ENDPOINT ?? "http://127.0.0.1:8016";
await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl }));
const client = OpenFeature.getClient();

for (let before = -1; ; await setTimeout(100)) {
  let on = 0;
  for (let n = 0; n < 1000; n++) {
    if (await client.getBooleanValue(flag, false, { targetingKey: `user-${n}` })) on++;
  }
  if (on !== before) console.log(`${on} of 1000 users have ${flag}`);
  before = on;
}

/* The server SDK with the OFREP provider, against an agent: node ofrep_server.mjs URL
 *
 * A line of JSON for each read; then it reads `sync.enabled` until it is false, and says so. */
import { OpenFeature } from '@openfeature/server-sdk';
import { OFREPProvider } from '@openfeature/ofrep-provider';

const provider = new OFREPProvider({ baseUrl: process.argv[2], headers: [['Authorization', 'Bearer first']] });
await OpenFeature.setProviderAndWait(provider);
const flags = OpenFeature.getClient();
const pro = { targetingKey: 'ana', plan: 'pro' };
const say = (details) => console.log(JSON.stringify(details));

say(await flags.getBooleanDetails('sync.enabled', false, pro));
say(await flags.getNumberDetails('price', 0, pro));
say(await flags.getNumberDetails('price', 0, { plan: 'free' }));
say(await flags.getStringDetails('a/b c', 'x', pro));
say(await flags.getObjectDetails('limits', {}, pro));
say(await flags.getBooleanDetails('share', false, pro));
say(await flags.getBooleanDetails('no.such.flag', true, pro));
say(await flags.getStringDetails('sync.enabled', 'fallback', pro));
say(await flags.getBooleanDetails('switched.off', true, pro));
say(await flags.getBooleanDetails('sync.enabled', false, { targetingKey: 'ana', when: new Date(0), groups: ['a', { b: [1] }] }));

for (let n = 0; n < 2000 && (await flags.getBooleanValue('sync.enabled', false, pro)); n++)
  await new Promise((done) => setTimeout(done, 10));
console.log('changed');
await OpenFeature.close();

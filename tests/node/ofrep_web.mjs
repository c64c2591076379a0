/* The web SDK with the OFREP web provider, whose flags are kept fresh by the event stream:
 * node ofrep_web.mjs URL. It says what it reads, first and after each change it was told of. */
import './event_source.mjs';
import { OpenFeature, ProviderEvents } from '@openfeature/web-sdk';
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';

const provider = new OFREPWebProvider({
  baseUrl: process.argv[2],
  headers: [['Authorization', 'Bearer first']],
  cacheMode: 'disabled',
});
await OpenFeature.setContext({ targetingKey: 'ana', plan: 'pro' });
await OpenFeature.setProviderAndWait(provider);
const flags = OpenFeature.getClient();
const say = () => console.log(flags.getBooleanValue('sync.enabled', false), flags.getNumberValue('price', 0));

say();
let last = flags.getBooleanValue('sync.enabled', false);
OpenFeature.addHandler(ProviderEvents.ConfigurationChanged, () => {
  const now = flags.getBooleanValue('sync.enabled', false);
  if (now !== last) say();
  last = now;
});
await new Promise((done) => setTimeout(done, 60000)); /* until the test has seen enough */

// A certified OpenID provider, panva's oidc-provider, as a process for a test: node provider.mjs FOLDER-OF-MODULES CERTIFICATE KEY BROKER. It prints its address when it listens. Whoever signs in as NAME is NAME@example.com, and is of
// the groups that stand after a +: ann+release.
import { readFileSync } from 'node:fs';
import https from 'node:https';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

const [modules, certificate, key, broker] = process.argv.slice(2);
const { default: Provider } = await import(pathToFileURL(join(modules, 'node_modules/oidc-provider/lib/index.js')).href);

const server = https.createServer({ cert: readFileSync(certificate), key: readFileSync(key) });
server.listen(0, '127.0.0.1', () => {
  const address = `https://127.0.0.1:${server.address().port}`;
  const provider = new Provider(address, {
    clients: [
      { client_id: 'drawbridge', client_secret: 'a secret of the client', redirect_uris: [`${broker}/sign-in/callback`], grant_types: ['authorization_code'], response_types: ['code'] },
      { client_id: 'drawbridge-public', token_endpoint_auth_method: 'none', redirect_uris: [`${broker}/sign-in/callback`], grant_types: ['authorization_code'], response_types: ['code'] },
      { client_id: 'nightly', client_secret: 'a secret of the workload', redirect_uris: [], response_types: [], grant_types: ['client_credentials'] },
      { client_id: 'other', client_secret: 'a secret of another', redirect_uris: [], response_types: [], grant_types: ['client_credentials'] },
    ],
    // All else is as the provider has it by itself: claims of people are told by UserInfo, not in the identity token.
    conformIdTokenClaims: process.env.CLAIMS_IN_TOKEN !== 'yes',
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
    findAccount: (ctx, id) => {
      const [name, ...groups] = id.split('+');
      return { accountId: id, claims: () => ({ sub: id, name, email: `${name}@example.com`, email_verified: name !== 'unverified', groups }) };
    },
    pkce: { required: () => true },
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (ctx, resource) => ({ scope: 'cross', audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: 300, jwt: { sign: { alg: 'RS256' } } }),
      },
    },
  });
  server.on('request', provider.callback());
  console.log(`listening ${address}`);
});
// It ends with the test, whichever way that ends.
process.stdin.on('end', () => process.exit(0)).resume();

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ResolveFlag } from '../../lib/mail/resolve-flag.ts';
import { withRoutes } from './resolved-routes.ts';

test('an address without a route bounces, and one whose table fails waits', async () => {
  const cases: [flags: number, transport: string, nexthop: string][] = [
    [ResolveFlag.CLASS_DEFAULT, 'smtp', 'x.y'],
    [ResolveFlag.ERROR | ResolveFlag.CLASS_DEFAULT, 'error', '5.1.3 bad address syntax'],
    [ResolveFlag.FAIL | ResolveFlag.CLASS_DEFAULT, 'retry', '4.3.0 address resolver failure'],
  ];
  const rewrite = withRoutes({
    rewrite: async () => [],
    resolve: async () => cases.map(([flags]) => ({ transport: 'smtp', nexthop: 'x.y', recipient: 'a@x.y', flags })),
  });
  assert.deepEqual(
    (await rewrite.resolve([])).map(({ flags, transport, nexthop }) => [flags, transport, nexthop]),
    cases,
  );
});

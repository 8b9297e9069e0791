import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAIL, POD, runPlugin } from './cluster-for-tests.ts';
import { PLUGIN_COMMANDS } from './commands.ts';

const WRONG: readonly { readonly argv: string; readonly says: RegExp }[] = [
  { argv: '', says: /a command is missing/ },
  { argv: 'trace', says: /"trace" is no command/ },
  { argv: '-n mail status', says: /options follow the command/ },
  { argv: 'status --nonsense', says: /--nonsense/ },
  { argv: 'status -o yaml', says: /--output yaml: expected text or json/ },
  { argv: 'queue --queue late', says: /--queue late: expected incoming/ },
  { argv: 'queue --limit many', says: /--limit many: expected a number/ },
  { argv: 'flush --site example.test 4dGabcdefghi', says: /exclude each other/ },
  { argv: 'flush ../../etc/passwd', says: /is no queue id/ },
  { argv: 'delete', says: /say which messages/ },
  { argv: 'delete --all', says: /say --yes as well/ },
  { argv: 'delete --all --yes 3fXkQ95pkXzjP3', says: /exclude each other/ },
  { argv: 'delete ALL', says: /--all --yes deletes every message/ },
  { argv: 'delete - 3fXkQ95pkXzjP3', says: /"-" stands alone/ },
  { argv: 'conf --all --master', says: /--all and --master exclude each other/ },
  { argv: 'conf --master -j', says: /--master has no JSON form/ },
  { argv: 'conf ;reboot', says: /is no name of a parameter/ },
  { argv: 'lookup hash:/etc/postfix/virtual', says: /say a table and a key/ },
  { argv: 'lookup ../x key', says: /neither type:name nor a parameter/ },
];

for (const { argv, says } of WRONG) {
  test(`"${argv}" is refused before the cluster is asked`, async () => {
    const { status, stderr, commands } = await runPlugin(argv.split(' ').filter(Boolean), { mailServers: [] });
    assert.equal(status, 64);
    assert.match(stderr, says);
    assert.match(stderr, /^kubectl-postfleet: fatal: [^\n]*\n$/);
    assert.deepEqual(commands, []);
  });
}

test('help names every command, and each has help of its own', async () => {
  const { stdout } = await runPlugin(['--help']);
  for (const { name } of PLUGIN_COMMANDS) {
    assert.match(stdout, new RegExp(`^ {2}${name} `, 'm'));
    const own = await runPlugin([name, '--help'], { mailServers: [] });
    assert.equal(own.status, 0);
    assert.match(own.stdout, new RegExp(`^usage: kubectl postfleet ${name}`));
    assert.equal((await runPlugin(['help', name])).stdout, own.stdout);
  }
});

test('help tells of every option of a command', async () => {
  for (const { name, options, help } of PLUGIN_COMMANDS) {
    for (const option of Object.keys(options)) assert.ok(help.includes(`--${option}`), `${name}: --${option}`);
  }
});

test('a namespace without a MailServer is said to be so', async () => {
  const { status, stderr } = await runPlugin(['status'], { mailServers: [] });
  assert.equal(status, 69);
  assert.match(stderr, /no MailServer in namespace default/);
});

test('of several MailServers one has to be named', async () => {
  const other = { ...MAIL, metadata: { ...MAIL.metadata, name: 'other' } };
  const unnamed = await runPlugin(['flush'], { mailServers: [MAIL, other] });
  assert.equal(unnamed.status, 64);
  assert.match(unnamed.stderr, /\(mail, other\): say which with -m/);
  assert.equal((await runPlugin(['flush', '-m', 'other'], { mailServers: [MAIL, other] })).status, 0);
  assert.equal((await runPlugin(['flush', '-m', 'third'], { mailServers: [MAIL, other] })).status, 69);
});

test('commands run in a ready pod that answers for the queue, else in any ready one', async () => {
  const smtpd = { ...POD, name: 'mail-smtpd-1', component: 'smtpd' };
  const ending = { ...POD, name: 'mail-showq-0', ready: false };
  const chosen = await runPlugin(['flush'], { pods: [ending, smtpd, POD] });
  assert.deepEqual(chosen.commands, [{ pod: 'mail-showq-1', command: 'postqueue -f', stdin: '' }]);
  assert.equal((await runPlugin(['flush'], { pods: [ending, smtpd] })).commands[0]?.pod, 'mail-smtpd-1');
  const none = await runPlugin(['flush'], { pods: [ending] });
  assert.equal(none.status, 69);
  assert.match(none.stderr, /no pod of MailServer mail is ready/);
});

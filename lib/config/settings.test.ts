// biome-ignore-all lint/suspicious/noTemplateCurlyInString: main.cf expressions
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FatalError, PanicError } from '../util/errors.ts';
import type { Host } from './host.ts';
import { Configuration } from './settings.ts';

const host: Host = {
  name: 'box',
  addresses: [
    { address: '127.0.0.1', family: 'IPv4', prefixLength: 8 },
    { address: '::1', family: 'IPv6', prefixLength: 128 },
    { address: '192.0.2.130', family: 'IPv4', prefixLength: 25 },
    { address: 'fd00::2:0:1', family: 'IPv6', prefixLength: 64 },
  ],
};

function configuration(text: string, overrides: [string, string][] = []): Configuration {
  return Configuration.fromText(text, { host, overrides: new Map(overrides) });
}

function message(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof FatalError) return error.message;
    throw error;
  }
  return 'nothing was thrown';
}

test('defaults depend on compatibility_level', () => {
  assert.equal(configuration('').text('smtpd_relay_restrictions'), '');
  assert.match(configuration('compatibility_level = 3.6').text('smtpd_relay_restrictions'), /^permit_mynetworks/);
  assert.equal(configuration('').text('append_dot_mydomain'), 'yes');
  assert.equal(configuration('compatibility_level = 2').boolean('append_dot_mydomain'), false);
});

test('defaults depend on stress', () => {
  assert.equal(configuration('').seconds('smtpd_timeout'), 300);
  assert.equal(configuration('', [['stress', 'yes']]).seconds('smtpd_timeout'), 10);
  assert.equal(configuration('stress = yes').integer('smtpd_hard_error_limit'), 1);
});

const mynetworks: [style: string, expected: string][] = [
  ['host', '127.0.0.1/32 192.0.2.130/32 [::1]/128 [fd00::2:0:1]/128'],
  ['subnet', '127.0.0.0/8 192.0.2.128/25 [::1]/128 [fd00::]/64'],
  ['class', '127.0.0.0/8 192.0.2.0/24 [::1]/128 [fd00::]/64'],
];

for (const [style, expected] of mynetworks) {
  test(`mynetworks by default in style ${style}`, () => {
    assert.equal(configuration(`mynetworks_style = ${style}`).text('mynetworks'), expected);
  });
}

test('mynetworks by default has only networks of inet_protocols', () => {
  const settings = configuration('mynetworks_style = subnet\ninet_protocols = ipv4');
  assert.equal(settings.text('mynetworks'), '127.0.0.0/8 192.0.2.128/25');
});

test('mynetworks by default has only networks of inet_interfaces', () => {
  const networks = (interfaces: string): string =>
    configuration(`mynetworks_style = subnet\ninet_interfaces = ${interfaces}`).text('mynetworks');
  assert.equal(networks('loopback-only'), '127.0.0.0/8 [::1]/128');
  assert.equal(networks('192.0.2.130, localhost'), '127.0.0.0/8 192.0.2.128/25 [::1]/128');
  assert.equal(networks('[fd00::2:0:1]'), '[fd00::]/64');
});

test('an unknown mynetworks_style is fatal and says what is expected', () => {
  assert.match(
    message(() => configuration('mynetworks_style = net').text('mynetworks')),
    /expected host, subnet or class/,
  );
});

test('names of the host come from its name and mydomain', () => {
  assert.equal(configuration('').text('myhostname'), 'box.localdomain');
  assert.equal(configuration('mydomain = example.org').text('myhostname'), 'box.example.org');
  assert.equal(configuration('myhostname = mx.example.net').text('mydomain'), 'example.net');
  assert.equal(
    configuration('myhostname = mx.example.net').text('mydestination'),
    'mx.example.net, localhost.example.net, localhost',
  );
});

test('a time without a unit has the unit of the default', () => {
  const settings = configuration('maximal_queue_lifetime = 2\ndelay_warning_time = 4\nminimal_backoff_time = 7\n');
  assert.equal(settings.seconds('maximal_queue_lifetime'), 2 * 86400);
  assert.equal(settings.seconds('delay_warning_time'), 4 * 3600);
  assert.equal(settings.seconds('minimal_backoff_time'), 7);
});

test('a transport has parameters that nobody lists', () => {
  const settings = configuration('default_destination_concurrency_limit = 7\nslow_destination_rate_delay = 2\n');
  assert.equal(settings.integer('slow_destination_concurrency_limit'), 7);
  assert.equal(settings.seconds('slow_destination_rate_delay'), 2);
  assert.equal(settings.integer('local_destination_concurrency_limit'), 2);
  assert.equal(settings.seconds('filter_time_limit'), 1000);
});

test('an override of a master.cf entry wins over the environment, that over main.cf', () => {
  const settings = Configuration.fromText('postfleet_shards = 2\nmyorigin = a\n', {
    environment: new Map([['postfleet_shards', '3']]),
  });
  assert.equal(settings.integer('postfleet_shards'), 3);
  assert.equal(settings.withOverrides(new Map([['postfleet_shards', '4']])).integer('postfleet_shards'), 4);
  assert.equal(
    settings
      .withOverrides(
        new Map([
          ['foo', 'b'],
          ['myorigin', '$foo'],
        ]),
      )
      .text('myorigin'),
    'b',
  );
  assert.equal(settings.text('myorigin'), 'a');
});

test('a raw parameter is not expanded', () => {
  assert.equal(
    configuration('').text('forward_path'),
    '$home/.forward${recipient_delimiter}${extension}, $home/.forward',
  );
});

test('names and misspellings of old are read as the present name, which wins where both are set', () => {
  assert.deepEqual(configuration('smtpd_sender_restriction = permit').list('smtpd_sender_restrictions'), ['permit']);
  assert.equal(configuration('virtual_maps = hash:x').text('virtual_alias_maps'), 'hash:x');
  assert.equal(configuration('fallback_relay = [a]').text('smtp_fallback_relay'), '[a]');
  assert.equal(
    configuration('deliver_lock_attemps = 3\ndeliver_lock_attempts = 4').integer('deliver_lock_attempts'),
    4,
  );
});

test('a list is split at commas and blanks, but not inside braces', () => {
  const settings = configuration('x = a, b { c, d },e  inline:{ k = v }');
  assert.deepEqual(settings.list('x'), ['a', 'b', '{ c, d }', 'e', 'inline:{ k = v }']);
  assert.deepEqual(settings.list('x', { stripBraces: true }), ['a', 'b', 'c, d', 'e', 'inline:{ k = v }']);
});

const wrong: [text: string, read: (settings: Configuration) => unknown, message: string][] = [
  ['biff = maybe', (s) => s.boolean('biff'), 'main.cf, line 1: biff = maybe: bad value, expected yes or no'],
  [
    '\nmessage_size_limit = 10M',
    (s) => s.integer('message_size_limit'),
    'main.cf, line 2: message_size_limit = 10M: bad value, expected a whole number from 0',
  ],
  [
    'defer_code = 550',
    (s) => s.integer('defer_code'),
    'main.cf, line 1: defer_code = 550: bad value, expected a whole number from 400 to 499',
  ],
  [
    'smtpd_timeout = 5y',
    (s) => s.seconds('smtpd_timeout'),
    'main.cf, line 1: smtpd_timeout = 5y: bad value, expected a whole number with unit s, m, h, d or w from 1',
  ],
  [
    'a = many\nhopcount_limit = $a',
    (s) => s.integer('hopcount_limit'),
    'main.cf, line 2: hopcount_limit = $a (read as "many"): bad value, expected a whole number from 1',
  ],
  ['myorigin = ${x', (s) => s.text('myorigin'), 'main.cf, line 1: myorigin = ${x: truncated macro reference: "${x"'],
  [
    'myorigin = $myorigin',
    (s) => s.text('myorigin'),
    'main.cf, line 1: myorigin = $myorigin: unreasonable macro call nesting: "myorigin"',
  ],
];

for (const [text, read, expected] of wrong) {
  test(`${JSON.stringify(text)} is fatal with file, line, name and what was expected`, () => {
    assert.equal(
      message(() => read(configuration(text))),
      expected,
    );
    assert.deepEqual(configuration(text).check(), [expected]);
  });
}

test('a wrong override is reported as such', () => {
  assert.match(
    message(() => configuration('', [['biff', 'x']]).boolean('biff')),
    /^-o biff=x: bad value, expected yes or no/,
  );
});

test('asking for a name that is neither set nor known is an error of the program', () => {
  assert.throws(() => configuration('').text('smtpd_no_such_thing'), PanicError);
});

test('a directory is read with its master.cf, and a missing main.cf is fatal', (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'settings-'));
  context.after(() => rmSync(directory, { recursive: true }));
  assert.equal(
    message(() => Configuration.load(directory)),
    `open ${directory}/main.cf: No such file or directory`,
  );
  const environment = new Map<string, string>();
  assert.equal(Configuration.loadIfThere(directory, { environment }).text('mail_name'), 'Postfix');
  writeFileSync(join(directory, 'main.cf'), 'myhostname = a.example\nmyhostname = b.example\n');
  writeFileSync(join(directory, 'master.cf'), 'smtp inet n - n - - smtpd\n -o myhostname=c.example\n');
  const settings = Configuration.loadIfThere(directory, { environment });
  assert.equal(settings.text('config_directory'), directory);
  assert.equal(settings.withOverrides(settings.master[0]!.overrides).text('myhostname'), 'c.example');
  assert.deepEqual(settings.warnings, [`${directory}/main.cf, line 2: overriding earlier entry: myhostname=a.example`]);
});

test('a message about a parameter gets the place where that is set in front', () => {
  const configuration = Configuration.fromText('\nmydestination = a\n').withOverrides(new Map([['relayhost', 'b']]));
  assert.equal(configuration.located('mydestination = a is odd'), 'main.cf, line 2: mydestination = a is odd');
  assert.equal(configuration.located('relayhost: no such host'), '-o relayhost: no such host');
  assert.equal(configuration.located('myorigin is a default'), undefined);
  assert.equal(configuration.located('"x": nothing'), undefined);
});

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: main.cf expressions
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMainCf } from './main-cf.ts';
import { parseMasterCf } from './master-cf.ts';
import { nameUse } from './unused.ts';

function report(main: string, master = '') {
  const entries = [...parseMainCf(main, 'main.cf').entries.values()].map(({ name, value }) => [name, value] as const);
  const use = nameUse({
    main: new Map(entries),
    mainPath: 'main.cf',
    master: parseMasterCf(master, 'master.cf').entries,
    masterPath: 'master.cf',
  });
  return { ...use, all: [use.mainCf, use.masterCf].flatMap((one) => [...one.wrong, ...one.unused, ...one.deprecated]) };
}

const smtpd = (options: string): string => `smtp inet n - n - - smtpd ${options}\n`;

const silent: [situation: string, main: string, master: string][] = [
  ['a name that another value refers to', 'mine = x\nmyorigin = $mine', ''],
  ['a name in a branch that is not taken', 'mine = x\nmyorigin = ${stress?a}${stress?{$mine}}', ''],
  ['a restriction class', 'smtpd_restriction_classes = strict\nstrict = reject', ''],
  ['a name that an override refers to', 'mine = x', smtpd('-o myorigin=$mine')],
  ['a name that only an override sets and main.cf refers to', 'myorigin = $mine', smtpd('-o mine=x')],
  ['a parameter of a transport', 'slow_destination_rate_delay = 1s', 'slow unix - - n - - smtp'],
  ['the time limit of a spawn service', 'policy_time_limit = 1h', 'policy unix - n n - 0 spawn'],
  ['settings of a table', 'virtual_alias_maps = ldap:people\npeople_server_host = localhost', ''],
  ['settings of a table inside another', 'virtual_alias_maps = unionmap:{static:a, proxy:mysql:m}\nm_query = x', ''],
  ['a parameter of our own', 'postfleet_shards = 2', ''],
];

for (const [situation, main, master] of silent)
  test(`${situation} is used`, () => assert.deepEqual(report(main, master).all, []));

const reported: [situation: string, main: string, master: string, warnings: string[]][] = [
  ['a misspelt name', 'myorgin = x', '', ['main.cf: unused parameter: myorgin=x']],
  ['a reference to nothing', 'myorigin = $mine', '', ['main.cf: undefined parameter: mine']],
  [
    'a name that only an unused one refers to',
    'b = $b2\nb2 = $c',
    '',
    ['main.cf: undefined parameter: c', 'main.cf: unused parameter: b=$b2'],
  ],
  [
    'settings of a table that nobody opens',
    'people_server_host = a',
    '',
    ['main.cf: unused parameter: people_server_host=a'],
  ],
  [
    'a setting that no ldap table has',
    'virtual_alias_maps = ldap:p\np_dbname = a',
    '',
    ['main.cf: unused parameter: p_dbname=a'],
  ],
  [
    'a transport that master.cf does not have',
    'slow_destination_rate_delay = 1s',
    '',
    ['main.cf: unused parameter: slow_destination_rate_delay=1s'],
  ],
  ['a misspelt override', '', smtpd('-o smtpd_banr=x'), ['master.cf: unused parameter: smtpd_banr=x']],
  [
    'an override that hides the name it refers to',
    'mine = x',
    smtpd('-o mine=y -o myorigin=$mine'),
    ['main.cf: unused parameter: mine=x'],
  ],
  [
    'an assignment to what a process sets itself',
    'process_name = x',
    '',
    ['main.cf: read-only parameter assignment: process_name=x'],
  ],
  [
    'a misspelling that guides spread',
    'smtpd_client_restriction = reject',
    '',
    [
      'main.cf: support for parameter "smtpd_client_restriction" will be removed; instead, specify "smtpd_client_restrictions"',
    ],
  ],
  [
    'a name of 2002',
    'queue_message_active_limit = 1\nvirtual_maps = hash:x',
    '',
    [
      'main.cf: support for parameter "queue_message_active_limit" will be removed; instead, specify "qmgr_message_active_limit"',
      'main.cf: support for parameter "virtual_maps" will be removed; instead, specify "virtual_alias_maps"',
    ],
  ],
];

for (const [situation, main, master, warnings] of reported)
  test(`${situation} is reported`, () => assert.deepEqual(report(main, master).all, warnings));

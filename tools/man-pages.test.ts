import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { manPages, pagesDirectory, withoutPage } from './man-pages.ts';

const pages = manPages();

test('docs/man is what sources and the parameter table give', () => {
  assert.deepEqual(readdirSync(pagesDirectory).sort(), [...pages.keys()].sort(), 'run make docs');
  for (const [name, text] of pages)
    assert.ok(readFileSync(join(pagesDirectory, name), 'utf8') === text, `${name} differs: run make docs`);
});

test('each daemon and each command has a page', () => assert.deepEqual(withoutPage(), []));

test('each page says what it is, what it does, how it ends and what it reads', () => {
  for (const [name, text] of pages) {
    if (name === 'README.md') continue;
    for (const section of ['NAME', 'DESCRIPTION', 'EXIT STATUS', 'PARAMETERS', 'SEE ALSO'])
      assert.match(text, new RegExp(`^## ${section}\\n\\n\\S`, 'm'), `${name}: ${section}`);
  }
});

test('each command says how it is called', () => {
  for (const [name, text] of pages)
    if (name.endsWith('.1.md')) assert.match(text, /^## (?:SYNOPSIS|DESCRIPTION)\n\n```\n/m, name);
});

// The requests that cost the request function most: [name, target, Accept].
'use strict';

const CHROME = 'image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8';
// As long as the edge reads Accept, and as a key may be beside the longest rendition name of the default recipe.
const HEADER = 512;
const KEY = 1008;

const encoded = (key) => encodeURIComponent(key);
const key = (name, text) => [name, `/img/${text}/medium`, CHROME];
const accept = (name, text) => [name, '/img/a/medium', text];

const WORST = [
  key('a key of 336 CJK characters', encoded('\u4e2d'.repeat(KEY / 3))),
  ['the same, versioned', `/v/${encoded('\u4e2d'.repeat(KEY / 3))}/0123456789abcdef0123456789abcdef/medium`, CHROME],
  key('a key of folders', 'a/'.repeat(KEY / 2 - 1) + 'a'),
  key('a key of words', encoded('a b'.repeat(KEY / 3))),
  key('a key of ampersands', encoded('&'.repeat(KEY))),
  key('a key of apostrophes', "'".repeat(KEY)),
  key('a key of folders and apostrophes', "'/".repeat(KEY / 2 - 1) + 'a'),
  key("a key of !'()* in turn", "!'()*".repeat(KEY / 5)),
  key('a key that is too long', encoded('\u4e2d'.repeat(880))),
  key('a key of broken escapes', '%41%zz'.repeat(500)),
  accept('Accept of commas', ','.repeat(HEADER)),
  accept('Accept of media ranges', 'image/avif;q=0.1,'.repeat(HEADER / 17)),
  accept('Accept of short ranges', 'a/b,'.repeat(HEADER / 4)),
  accept('Accept of semicolons', 'image/avif'.padEnd(HEADER, ';')),
  accept('Accept of spaces', ' ,'.repeat(HEADER / 2)),
  accept('Accept of one long space', 'image/avif'.padEnd(HEADER - 1) + ','),
  accept('Accept of 8 KB', ','.repeat(8192)),
];

module.exports = { CHROME, WORST };

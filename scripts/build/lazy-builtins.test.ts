import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lazyBuiltins } from './lazy-builtins.ts'

test('a part of Node is loaded where it is used, whichever way it was imported', () => {
  const code = [
    'const require_zst = require("./zst-1.js");',
    'let node_fs = require("node:fs");',
    'let node_fs_promises = require("node:fs/promises");',
    'let node_zlib = require("node:zlib");',
    'node_zlib = require_rolldown_runtime.__toESM(node_zlib, 1);',
    'use((0, node_fs.openSync)(node_zlib.constants), node_fs_promises.open);',
  ].join('\n')
  assert.equal(
    lazyBuiltins(code),
    [
      'const require_zst = require("./zst-1.js");',
      'let node_fs_; const node_fs = () => (node_fs_ ??= require("node:fs"));',
      'let node_fs_promises_; const node_fs_promises = () => (node_fs_promises_ ??= require("node:fs/promises"));',
      'let node_zlib_; const node_zlib = () => (node_zlib_ ??= require("node:zlib"));',
      'use((0, (node_fs()).openSync)((node_zlib()).constants), (node_fs_promises()).open);',
    ].join('\n'),
  )
})

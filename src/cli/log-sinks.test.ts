import assert from 'node:assert/strict'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfig } from '../config/config.ts'
import { single } from '../pipe/pipe.ts'
import { logSinks } from './log-sinks.ts'

test('a log file on a full disk is told once, and never stops the command', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pgsurety-log-'))
  await symlink('/dev/full', join(folder, 'main-expire.log'))
  const argv = ['--config=/dev/null', `--log-path=${folder}`, '--stanza=main', 'expire']
  const said: string[] = []
  const config = loadConfig({ argv, env: {}, programName: 'pgsurety' })
  const program = {
    argv,
    env: {},
    writeOut: (text: string) => {
      said.push(text)
    },
    writeError: (text: string) => {
      said.push(text)
    },
    writeBytes: async () => await Promise.resolve(),
    input: () => single(Buffer.alloc(0)),
  }

  const file = logSinks(program, config).at(-1)
  for (const line of ['one\n', 'two\n']) file?.write('info', line)

  assert.deepEqual(
    said.map((text) => text.split('\n')[0]),
    [`P00   WARN: unable to write to log file '${folder}/main-expire.log': ENOSPC`],
  )
  await rm(folder, { recursive: true })
})

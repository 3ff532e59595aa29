import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { findClientPrograms, programPath, programsFor } from './client-programs.ts'

test('of several versions that of the server is taken, else the next newer one, and an older one refused', async (t) => {
  const folders: string[] = []
  for (const version of ['15.3', '17.11', '17.2']) {
    const folder = await mkdtemp(join(tmpdir(), 'programs-'))
    t.after(async () => {
      await rm(folder, { recursive: true })
    })
    for (const name of ['pg_dump', 'pg_dumpall', 'pg_restore', 'psql']) {
      const script = `#!/bin/sh\necho "${name} (PostgreSQL) ${version} (Debian)"\n`
      await writeFile(join(folder, name), script)
      await chmod(join(folder, name), 0o755)
    }
    folders.push(folder)
  }
  const found = await findClientPrograms([...folders, '/none/such'], undefined)

  assert.deepEqual(
    found.map(({ version }) => version),
    ['17.11', '17.2', '15.3'],
  )
  assert.equal(programPath(programsFor(found, 15), 'psql'), join(folders[0] ?? '', 'psql'))
  assert.equal(programsFor(found, 16).version, '17.11')
  assert.equal(programsFor(found, 17).version, '17.11')
  assert.throws(() => programsFor(found, 18), { kind: 'version-not-supported', message: /'17.11'/ })
  assert.throws(() => programsFor([], 15), {
    kind: 'file-missing',
    message: /no folder has pg_dump/,
  })
})

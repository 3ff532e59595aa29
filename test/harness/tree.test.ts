import assert from 'node:assert/strict'
import { chmod, mkdir, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from './run.ts'
import { compareTrees, treeDigest } from './tree.ts'

async function makeTree(root: string): Promise<void> {
  await mkdir(join(root, 'base/1'), { recursive: true })
  await writeFile(join(root, 'base/1/1259'), 'pages')
  await writeFile(join(root, 'PG_VERSION'), '15\n')
  await writeFile(Buffer.from(`${root}/caf\xe9`, 'latin1'), 'not UTF-8')
  await symlink('/elsewhere', join(root, 'link'))
}

test('equal trees have no differences and one digest', async () => {
  await using folder = await temporaryFolder('tree')
  const [left, right] = [join(folder.path, 'left'), join(folder.path, 'right')]
  await makeTree(left)
  await makeTree(right)

  assert.deepEqual(await compareTrees(left, right, { ignore: [] }), [])
  assert.equal(await treeDigest(left), await treeDigest(right))
})

test('every kind of difference is named, and what is ignored is not', async () => {
  await using folder = await temporaryFolder('tree')
  const [left, right] = [join(folder.path, 'left'), join(folder.path, 'right')]
  await makeTree(left)
  await makeTree(right)
  const digest = await treeDigest(right)
  await writeFile(join(right, 'base/1/1259'), 'PAGES')
  await chmod(join(right, 'base'), 0o700)
  await chmod(join(left, 'base'), 0o750)
  await utimes(join(right, 'PG_VERSION'), 1, 1)
  await utimes(join(left, 'PG_VERSION'), 2, 2)
  await rm(join(right, 'link'))
  await symlink('/nowhere', join(right, 'link'))
  await writeFile(join(right, 'postmaster.pid'), '')
  await mkdir(join(left, 'empty'))

  const found = await compareTrees(left, right, {
    ignore: [/^postmaster\.pid$/],
    modifiedTimes: 'compare',
  })

  assert.deepEqual(
    found.map((line) => line.replaceAll(/[0-9a-f]{64}/g, 'SHA').replaceAll(/ \d+:\d+/g, '')),
    [
      'PG_VERSION: modified 2, 1',
      'base: access 750, 700',
      'base/1/1259: sha256 SHA, SHA',
      'empty: only left',
      'link: target /elsewhere, /nowhere',
    ],
  )
  assert.notEqual(await treeDigest(right), digest)
})

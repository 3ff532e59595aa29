import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { isErrorKind } from '../base/error.ts'
import { single } from '../pipe/pipe.ts'
import { parseArchiveHead, readArchiveHead } from './archive-toc.ts'

function head(version: '15' | '17' | '18'): Buffer {
  return readFileSync(new URL(`../../test/fixtures/archives/${version}.head`, import.meta.url))
}

for (const version of ['15', '17', '18'] as const) {
  test(`the table of contents of pg_dump ${version} is read to its last byte`, async () => {
    const bytes = head(version)
    const found = await readArchiveHead(single(Buffer.concat([bytes, Buffer.from('data')])))

    assert.equal(found.sizeBytes, bytes.length)
    assert.match(found.serverVersion, /^15\./)
    assert.match(found.dumpVersion, new RegExp(`^${version}\\.`))
    const orders = found.entries.find(({ kind, tag }) => kind === 'TABLE' && tag === 'orders')
    assert(orders !== undefined)
    const { schema, section, owner, oid } = orders
    assert.deepEqual(
      { schema, section, owner, oid },
      { schema: 'public', section: 'pre-data', owner: 'app', oid: 16_501 },
    )
    const domain = found.entries.find(({ tag }) => tag === 'positive')
    assert.deepEqual(orders.dependencies, [domain?.dumpId])
    assert(found.entries.some(({ tag, schema: of }) => tag === 'T "x' && of === 'o dd'))
  })
}

test('a head that is cut anywhere is never taken for a whole one', () => {
  const bytes = head('18')
  for (let length = 0; length < bytes.length; length += 7) {
    assert.equal(parseArchiveHead(bytes.subarray(0, length)), undefined)
  }
})

test('what is no archive, or of a version nobody knows, is refused', () => {
  const future = head('18')
  future.writeUInt8(17, 6)
  const refusals = [
    [Buffer.from('-- PostgreSQL database dump'), /not an archive of pg_dump/],
    [future, /archive version 1\.17 .* not known/],
  ] as const
  for (const [bytes, expected] of refusals) {
    assert.throws(
      () => parseArchiveHead(bytes),
      (error) => isErrorKind(error, 'format') && expected.test(error.message),
    )
  }
})

test('an archive that ends within its table of contents is an error', async () => {
  const cut = head('15').subarray(0, 500)
  await assert.rejects(readArchiveHead(single(cut)), /ends within its table of contents/)
})

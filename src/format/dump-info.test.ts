import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '../base/secret.ts'
import { parseDumpInfo, renderDumpInfo } from './dump-info.ts'
import { renderInfoFile } from './info-file.ts'

test('dump.info gives the key back, or none', () => {
  const sealed = parseDumpInfo(renderDumpInfo({ cipherPass: new Secret('k') }))

  assert.equal(sealed.cipherPass?.reveal(), 'k')
  assert.equal(parseDumpInfo(renderDumpInfo({ cipherPass: undefined })).cipherPass, undefined)
})

test('a dump.info of another format is refused by its number', () => {
  const later = renderInfoFile(new Map([['dump', new Map([['dump-format', 2]])]]))

  assert.throws(() => parseDumpInfo(later), { kind: 'format', message: /found 2/ })
})

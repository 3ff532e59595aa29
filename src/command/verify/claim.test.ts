import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import type { ManifestFile } from '../../format/manifest.ts'
import { parseManifest } from '../../format/manifest-read.ts'
import { claimsOf } from './claim.ts'

/** A differential backup that pgBackRest 2.60 made without bundles, on a full one. */
const DIFF = new URL(
  '../../../test/fixtures/pgbackrest-2.60/plain/20261123-011353F_20261123-011358D.manifest.gz',
  import.meta.url,
)
const manifest = parseManifest(gunzipSync(readFileSync(DIFF)))

const fileThat = (fits: (file: ManifestFile) => boolean): ManifestFile => {
  const found = manifest.files.find(fits)
  assert.ok(found)
  return found
}

test('an empty file of another backup is claimed of no object: that one may have stored none', () => {
  const claims = claimsOf('demo', manifest)
  const elsewhere = fileThat((file) => file.reference !== undefined && file.sizeBytes === 0)
  const here = { ...elsewhere, reference: undefined }

  assert.equal(claims(elsewhere), undefined)
  assert.equal(claims(here)?.piece.contentBytes, 0)
  assert.ok(claims(fileThat((file) => file.reference !== undefined && file.sizeBytes > 0)))
})

test('an empty file of a bundled backup is claimed of no object', () => {
  const empty = { ...fileThat((file) => file.sizeBytes === 0), reference: undefined }
  assert.equal(claimsOf('demo', { ...manifest, bundle: true })(empty), undefined)
})

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import type { ManifestFile } from '../../format/manifest.ts'
import { parseManifest } from '../../format/manifest-read.ts'
import { claimsOf } from './claim.ts'

const VERSION = 'pg_data/PG_VERSION'
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

const referred = fileThat(({ reference, sizeBytes }) => reference !== undefined && sizeBytes === 0)
const versionFile = fileThat(({ reference, name }) => reference !== undefined && name === VERSION)
const bundle = { bundleId: 1, bundleOffsetBytes: 0 }

test('an empty file of another backup is claimed of its object, unless that backup is bundled', () => {
  assert.equal(claimsOf('demo', manifest)(referred)?.piece.contentBytes, 0)

  const files = [referred, { ...versionFile, ...bundle }]
  const claims = claimsOf('demo', { ...manifest, files })
  assert.equal(claims(referred), undefined)
  assert.equal(claims({ ...referred, reference: undefined })?.piece.contentBytes, 0)
})

test('an empty file of a bundled backup is claimed of no object', () => {
  const claims = claimsOf('demo', { ...manifest, bundle: true })
  assert.equal(claims({ ...referred, reference: undefined }), undefined)
  assert.ok(claims({ ...versionFile, ...bundle, reference: undefined }))
})

/** Values for property tests of this folder. */
import * as fc from 'fast-check'
import { Secret } from '../base/secret.ts'
import { compareBytes } from '../base/text.ts'
import { COMPRESS_TYPES } from '../pipe/compress-type.ts'
import type { ArchiveInfo } from './archive-info.ts'
import type { BackupEntry, BackupInfo } from './backup-info.ts'
import { FORMAT_NUMBER, WRITER_VERSION } from './format.ts'
import type { JsonValue } from './json.ts'
import { kindOfLabel } from './label.ts'
import type { Manifest, ManifestFile } from './manifest.ts'

/** With a prototype, as objects of the program have. */
const record = <T>(
  model: {
    readonly [Key in keyof T]: fc.Arbitrary<T[Key]>
  },
): fc.Arbitrary<T> => fc.record<T>(model, { noNullPrototype: true })

const byte = fc.oneof(
  fc.constantFrom('=', '[', ']', '"', '{', '}', '\\', ':', ',', '1', 'a', '\xe9', '\r', '\t'),
  fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
)

export const byteString = fc.array(byte, { maxLength: 12 }).map((bytes) => bytes.join(''))

/** Names a cluster can have: any bytes but LF, not empty, not like a section. */
const name = byteString.map((text) => `n${text.replaceAll('\n', '')}`)
const count = fc.oneof(fc.nat(), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }))
const bigId = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const version = fc.constantFrom('9.6', '10', '15', '18')
const hex = fc.stringMatching(/^[0-9a-f]{40}$/)
const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined })
const owner = fc.oneof(fc.constant<false>(false), fc.constantFrom('postgres', 'a"b', '\xe9'))
const ownership = { user: owner, group: owner, mode: fc.integer({ min: 0, max: 0o7777 }) }
const secret = maybe(fc.base64String({ minLength: 4 }).map((text) => new Secret(text)))
const annotations = fc
  .uniqueArray(fc.tuple(byteString, byteString), { selector: ([key]) => key })
  .map((pairs) => new Map(pairs.toSorted(([left], [right]) => compareBytes(left, right))))

export const jsonValue: fc.Arbitrary<JsonValue> = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    byteString,
    fc.maxSafeInteger().map((value) => value + 0),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 4 }),
    fc
      .dictionary(fc.oneof(byteString, fc.constant('__proto__')), tie('value'), { maxKeys: 4 })
      .map((members) => Object.fromEntries(Object.entries(members))),
  ),
})).value

const time = fc.stringMatching(/^\d{8}-\d{6}$/)
const label = fc.oneof(
  time.map((full) => `${full}F`),
  fc
    .tuple(time, time, fc.constantFrom('D', 'I'))
    .map(([full, own, kind]) => `${full}F_${own}${kind}`),
)

const file = record({
  name,
  sizeBytes: count,
  timestampS: fc.integer({ min: -1000, max: 2 ** 33 }),
  checksum: maybe(hex),
  checksumPage: maybe(fc.boolean()),
  checksumPageErrors: maybe(fc.array(fc.oneof(fc.nat(), fc.tuple(fc.nat(), fc.nat())))),
  ...ownership,
  reference: maybe(label),
  repoSizeBytes: count,
  repoChecksum: maybe(hex),
  bundleId: maybe(fc.integer({ min: 1, max: 1e6 })),
  bundleOffsetBytes: count,
  block: maybe(
    record({
      sizeBytes: fc.integer({ min: 1, max: 100 }).map((units) => units * 8192),
      checksumSizeBytes: fc.integer({ min: 5, max: 8 }),
      mapSizeBytes: fc.nat(),
    }),
  ),
  originalSizeBytes: maybe(count),
})

/** Empty files have no checksum in the text, and a size that did not change is not written. */
const asWritten = (drafted: ManifestFile): ManifestFile => ({
  ...drafted,
  checksum: drafted.sizeBytes === 0 ? undefined : drafted.checksum,
  originalSizeBytes:
    drafted.originalSizeBytes === drafted.sizeBytes ? undefined : drafted.originalSizeBytes,
})

const sorted = <T extends { readonly name: string }>(
  entry: fc.Arbitrary<T>,
): fc.Arbitrary<readonly T[]> =>
  fc
    .uniqueArray(entry, { selector: (one) => one.name, maxLength: 6 })
    .map((entries) => entries.toSorted((left, right) => compareBytes(left.name, right.name)))

const target = fc.oneof(
  record({ name, kind: fc.constant<'path'>('path'), path: byteString }),
  record({
    name,
    kind: fc.constant<'link'>('link'),
    path: byteString,
    file: maybe(byteString),
    tablespaceId: maybe(fc.integer({ min: 1, max: 2 ** 32 - 1 })),
    tablespaceName: maybe(byteString),
  }),
)

const segment = fc.stringMatching(/^[0-9A-F]{24}$/)
const lsn = fc.constantFrom('0/5000028', 'FFFFFFFF/0')

const options = record({
  archiveCheck: fc.boolean(),
  archiveCopy: fc.boolean(),
  backupStandby: fc.boolean(),
  bufferSizeBytes: maybe(count),
  checksumPage: fc.boolean(),
  compressType: fc.constantFrom(...COMPRESS_TYPES),
  compressLevel: maybe(fc.integer({ min: -7, max: 22 })),
  compressLevelNetwork: maybe(fc.integer({ min: -7, max: 22 })),
  delta: fc.boolean(),
  hardlink: fc.boolean(),
  online: fc.boolean(),
  processMax: maybe(count),
})

const draftedManifest = record({
  label,
  prior: label,
  others: fc.array(label, { maxLength: 3 }),
  archiveStart: maybe(segment),
  archiveStop: maybe(segment),
  lsnStart: maybe(lsn),
  lsnStop: maybe(lsn),
  bundle: fc.boolean(),
  bundleRaw: fc.boolean(),
  blockIncr: fc.boolean(),
  startS: count,
  copyStartS: count,
  stopS: count,
  db: record({
    historyId: count,
    systemId: bigId,
    version,
    controlVersion: count,
    catalogVersion: count,
  }),
  options,
  targets: sorted(target),
  cipherPass: secret,
  databases: sorted(record({ name, oid: count, lastSystemOid: count })),
  annotations,
  files: sorted(file.map(asWritten)),
  links: sorted(record({ name, destination: byteString, user: owner, group: owner })),
  root: record({ name: fc.constant('pg_data'), ...ownership }),
  paths: sorted(record({ name, ...ownership })),
})

type DraftedManifest = typeof draftedManifest extends fc.Arbitrary<infer T> ? T : never

function finishManifest(drafted: DraftedManifest): Manifest {
  const { root, paths, prior, others, ...rest } = drafted
  const kind = kindOfLabel(rest.label)
  return {
    ...rest,
    kind,
    prior: kind === 'full' ? undefined : prior,
    references: [...others, rest.label],
    // 'n' sorts before 'p'.
    paths: [...paths, root],
    writerVersion: WRITER_VERSION,
  }
}

export const manifest: fc.Arbitrary<Manifest> = draftedManifest.map(finishManifest)

/** Ids from 1 to the number of rows, and the last one as current. */
const numbered = <T>(rows: readonly T[]): readonly (T & { readonly id: number })[] =>
  rows.map((row, index) => ({ ...row, id: index + 1 }))

export const archiveInfo: fc.Arbitrary<ArchiveInfo> = record({
  cipherPass: secret,
  rows: fc.array(record({ systemId: bigId, version }), { minLength: 1, maxLength: 12 }),
}).map(({ cipherPass, rows }) => ({
  format: FORMAT_NUMBER,
  cipherPass,
  currentId: rows.length,
  history: numbered(rows),
}))

const draftedEntry = record({
  label,
  format: fc.constant(FORMAT_NUMBER),
  version: byteString,
  archiveStart: maybe(segment),
  archiveStop: maybe(segment),
  error: maybe(fc.boolean()),
  annotations,
  lsnStart: maybe(lsn),
  lsnStop: maybe(lsn),
  prior: maybe(label),
  references: fc.array(label),
  startS: count,
  stopS: count,
  historyId: count,
  sizeBytes: count,
  sizeDeltaBytes: count,
  repoSizeBytes: maybe(count),
  repoSizeDeltaBytes: count,
  repoSizeMapBytes: maybe(count),
  repoSizeMapDeltaBytes: maybe(count),
  options: record({
    archiveCheck: fc.boolean(),
    archiveCopy: fc.boolean(),
    backupStandby: fc.boolean(),
    checksumPage: fc.boolean(),
    compress: fc.boolean(),
    hardlink: fc.boolean(),
    online: fc.boolean(),
  }),
})

type DraftedEntry = typeof draftedEntry extends fc.Arbitrary<infer T> ? T : never

function finishEntry(drafted: DraftedEntry): BackupEntry {
  const kind = kindOfLabel(drafted.label)
  return { ...drafted, kind, references: kind === 'full' ? [] : drafted.references }
}

const entry = draftedEntry.map(finishEntry)

export const backupInfo: fc.Arbitrary<BackupInfo> = record({
  cipherPass: secret,
  rows: fc.array(
    record({ systemId: bigId, version, controlVersion: count, catalogVersion: count }),
    { minLength: 1, maxLength: 12 },
  ),
  backups: fc.uniqueArray(entry, { selector: (one) => one.label, maxLength: 5 }),
}).map(({ cipherPass, rows, backups }) => ({
  format: FORMAT_NUMBER,
  cipherPass,
  currentId: rows.length,
  history: numbered(rows),
  backups: backups.toSorted((left, right) => compareBytes(left.label, right.label)),
}))

/** `content` with a few bytes changed, removed or put in. */
export const mutation = fc
  .array(
    record({
      at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      removed: fc.nat({ max: 3 }),
      put: byteString,
    }),
    { minLength: 1, maxLength: 3 },
  )
  .map((changes) => (content: Buffer): Buffer => {
    let text = content.toString('latin1')
    for (const { at, removed, put } of changes) {
      const from = Math.floor(at * text.length)
      text = text.slice(0, from) + put + text.slice(from + removed)
    }
    return Buffer.from(text, 'latin1')
  })

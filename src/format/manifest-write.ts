/** Writes the text of a manifest as pgBackRest 2.60 does: same members, same order, same defaults. */
import { assertThat } from '../base/error.ts'
import { cipherSection } from './archive-info.ts'
import { type InfoSection, infoFilePieces, renderValues } from './info-file.ts'
import { type JsonObject, type JsonValue, quoteJson, renderJson } from './json.ts'
import {
  BLOCK_CHECKSUM_BYTES,
  BLOCK_UNIT_BYTES,
  type Manifest,
  type ManifestFile,
  type ManifestPath,
  type ManifestTarget,
  type OwnerName,
} from './manifest.ts'

/** Files are owned and readable as the data directory is, and never executable by default. */
const FILE_MODE_MASK = 0o640

/** Members that are undefined are left out. */
type Members = Readonly<Record<string, JsonValue | undefined>>

interface Defaults {
  readonly user: OwnerName
  readonly group: OwnerName
  readonly mode: number
}

/** Throws `format` for a name that the text cannot hold. The manifest has a path `pg_data`. */
export function renderManifest(manifest: Manifest): Buffer {
  return Buffer.concat([...manifestPieces(manifest)])
}

/** `renderManifest`, a piece at a time: of a cluster with many files the whole is tens of megabytes. */
export function manifestPieces(manifest: Manifest): Generator<Buffer, void, undefined> {
  return infoFilePieces(sectionsOf(manifest))
}

function* sectionsOf(manifest: Manifest): Generator<InfoSection> {
  const root = rootOf(manifest)
  const fileDefaults = { ...root, mode: root.mode & FILE_MODE_MASK }
  const { user, group } = ownerMembers(root)
  yield section('backup', backupMembers(manifest))
  yield section('backup:db', dbMembers(manifest))
  yield section('backup:option', optionMembers(manifest))
  yield named('backup:target', manifest.targets, targetMembers)
  yield { name: 'cipher', lines: renderValues(cipherSection(manifest.cipherPass)) }
  yield named('db', manifest.databases, ({ oid, lastSystemOid }) => ({
    'db-id': oid,
    'db-last-system-id': lastSystemOid,
  }))
  yield section('metadata', {
    annotation:
      manifest.annotations.size === 0 ? undefined : Object.fromEntries(manifest.annotations),
  })
  yield { name: 'target:file', lines: fileLines(manifest.files, fileDefaults) }
  yield section('target:file:default', { group, mode: octal(fileDefaults.mode), user })
  yield named('target:link', manifest.links, (link) => ({
    destination: link.destination,
    ...ownerMembers(link, root),
  }))
  if (manifest.links.length > 0) yield section('target:link:default', { group, user })
  yield named('target:path', manifest.paths, (path) => pathMembers(path, root))
  yield section('target:path:default', { group, mode: octal(root.mode), user })
}

/** The data directory, whose owner and mode are the defaults for everything else. */
function rootOf(manifest: Manifest): ManifestPath {
  const root = manifest.paths.find((path) => path.name === 'pg_data')
  assertThat(root !== undefined, 'a manifest has the data directory')
  return root
}

function section(name: string, members: Members): InfoSection {
  return { name, lines: renderValues(Object.entries(present(members))) }
}

function named<T extends { readonly name: string }>(
  name: string,
  entries: readonly T[],
  members: (entry: T) => Members,
): InfoSection {
  return { name, lines: namedLines(entries, (entry) => renderJson(present(members(entry)))) }
}

/** One at a time: the lines of all files together would need as much memory as the files. */
function* namedLines<T extends { readonly name: string }>(
  entries: readonly T[],
  textOf: (entry: T) => string,
): Generator<readonly [string, string]> {
  let before: string | undefined
  for (const entry of entries) {
    assertThat(before === undefined || before < entry.name, 'entries are sorted by name')
    before = entry.name
    yield [entry.name, textOf(entry)]
  }
}

function present(members: Members): JsonObject {
  const found: Record<string, JsonValue> = {}
  for (const [name, value] of Object.entries(members)) {
    if (value !== undefined) found[name] = value
  }
  return found
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0')
}

/** Owner names; those equal to the default are left out. */
function ownerMembers(
  owner: Pick<Defaults, 'user' | 'group'>,
  defaults?: Pick<Defaults, 'user' | 'group'>,
): Members {
  return {
    group: owner.group === defaults?.group ? undefined : owner.group,
    user: owner.user === defaults?.user ? undefined : owner.user,
  }
}

function pathMembers(path: ManifestPath, defaults: Defaults): Members {
  return {
    ...ownerMembers(path, defaults),
    mode: path.mode === defaults.mode ? undefined : octal(path.mode),
  }
}

interface FileMember {
  readonly name: string
  readonly value: (file: ManifestFile, defaults: Defaults) => JsonValue | undefined
}

/** In byte order of names. */
const FILE_MEMBERS: readonly FileMember[] = [
  { name: 'bi', value: ({ block }) => block && block.sizeBytes / BLOCK_UNIT_BYTES },
  { name: 'bic', value: ({ block }) => unless(block?.checksumSizeBytes, BLOCK_CHECKSUM_BYTES) },
  { name: 'bim', value: ({ block }) => unless(block?.mapSizeBytes, 0) },
  { name: 'bni', value: ({ bundleId }) => bundleId },
  { name: 'bno', value: ({ bundleOffsetBytes }) => unless(bundleOffsetBytes, 0) },
  {
    name: 'checksum',
    value: ({ sizeBytes, checksum }) => (sizeBytes === 0 ? undefined : checksum),
  },
  { name: 'checksum-page', value: ({ checksumPage }) => checksumPage },
  { name: 'checksum-page-error', value: ({ checksumPageErrors }) => checksumPageErrors },
  { name: 'group', value: ({ group }, defaults) => unless(group, defaults.group) },
  {
    name: 'mode',
    value: ({ mode }, defaults) => (mode === defaults.mode ? undefined : octal(mode)),
  },
  { name: 'rck', value: ({ repoChecksum }) => repoChecksum },
  { name: 'reference', value: ({ reference }) => reference },
  { name: 'repo-size', value: ({ repoSizeBytes, sizeBytes }) => unless(repoSizeBytes, sizeBytes) },
  { name: 'size', value: ({ sizeBytes }) => sizeBytes },
  {
    name: 'szo',
    value: ({ originalSizeBytes, sizeBytes }) => unless(originalSizeBytes, sizeBytes),
  },
  { name: 'timestamp', value: ({ timestampS }) => timestampS },
  { name: 'user', value: ({ user }, defaults) => unless(user, defaults.user) },
]

const FILE_PARTS = FILE_MEMBERS.map(({ name, value }) => ({ start: `${quoteJson(name)}:`, value }))

/** Text at once, without objects in between: there are tens of thousands, and each is written four times. */
function fileLines(
  files: readonly ManifestFile[],
  defaults: Defaults,
): Generator<readonly [string, string]> {
  return namedLines(files, (file) => {
    let text = ''
    for (const { start, value } of FILE_PARTS) {
      const member = value(file, defaults)
      if (member !== undefined) text += `${text === '' ? '{' : ','}${start}${renderJson(member)}`
    }
    return `${text}}`
  })
}

/** The value, or undefined when it is the one that readers assume. */
function unless<Value>(value: Value, assumed: Value): Value | undefined {
  return value === assumed ? undefined : value
}

function targetMembers(target: ManifestTarget): Members {
  const { path, kind } = target
  if (kind === 'path') return { path, type: kind }
  const { file, tablespaceId, tablespaceName } = target
  return {
    file,
    path,
    'tablespace-id': tablespaceId === undefined ? undefined : String(tablespaceId),
    'tablespace-name': tablespaceName,
    type: kind,
  }
}

/** Only set when true: flags that older versions do not know. */
function ifTrue(flag: boolean): true | undefined {
  return flag || undefined
}

function backupMembers(manifest: Manifest): Members {
  return {
    'backup-archive-start': manifest.archiveStart,
    'backup-archive-stop': manifest.archiveStop,
    'backup-block-incr': ifTrue(manifest.blockIncr),
    'backup-bundle': ifTrue(manifest.bundle),
    'backup-bundle-raw': ifTrue(manifest.bundleRaw),
    'backup-label': manifest.label,
    'backup-lsn-start': manifest.lsnStart,
    'backup-lsn-stop': manifest.lsnStop,
    'backup-prior': manifest.prior,
    'backup-reference': manifest.references.join(','),
    'backup-timestamp-copy-start': manifest.copyStartS,
    'backup-timestamp-start': manifest.startS,
    'backup-timestamp-stop': manifest.stopS,
    'backup-type': manifest.kind,
  }
}

function dbMembers({ db }: Manifest): Members {
  return {
    'db-catalog-version': db.catalogVersion,
    'db-control-version': db.controlVersion,
    'db-id': db.historyId,
    'db-system-id': db.systemId,
    'db-version': db.version,
  }
}

function optionMembers({ options }: Manifest): Members {
  return {
    'option-archive-check': options.archiveCheck,
    'option-archive-copy': options.archiveCopy,
    'option-backup-standby': options.backupStandby,
    'option-buffer-size': options.bufferSizeBytes,
    'option-checksum-page': options.checksumPage,
    'option-compress': options.compressType !== 'none',
    'option-compress-level': options.compressLevel,
    'option-compress-level-network': options.compressLevelNetwork,
    'option-compress-type': options.compressType,
    'option-delta': options.delta,
    'option-hardlink': options.hardlink,
    'option-online': options.online,
    'option-process-max': options.processMax,
  }
}

/** Reads the text of a manifest, by pgBackRest 2.60 or any older version writing format 5. */
import { AppError } from '../base/error.ts'
import { compareBytes, toHumanText } from '../base/text.ts'
import { COMPRESS_TYPES, type CompressType } from '../pipe/compress-type.ts'
import { readCipherPass } from './archive-info.ts'
import {
  asObject,
  count,
  identifier,
  integer,
  isCount,
  memberOf,
  optionalCount,
  optionalFlag,
  optionalInteger,
  optionalText,
  text,
  textMap,
} from './fields.ts'
import { type InfoSections, reading, sectionOf, visitInfoFile } from './info-file.ts'
import { isArray, type JsonObject, type JsonValue } from './json.ts'
import { type BackupKind, isLabel, kindOfLabel } from './label.ts'
import type {
  Manifest,
  ManifestBlock,
  ManifestFile,
  ManifestOptions,
  ManifestTarget,
  OwnerName,
} from './manifest.ts'

/** Block sizes are written in this unit. */
const BLOCK_UNIT_BYTES = 8192
const BLOCK_CHECKSUM_BYTES = 6

/** What an entry says of owner and mode itself; undefined means the section's default, which comes later. */
interface Owner {
  readonly user: OwnerName | undefined
  readonly group: OwnerName | undefined
  readonly mode: number | undefined
}

type FileDraft = Omit<ManifestFile, keyof Owner> & Owner

interface LinkDraft extends Owner {
  readonly name: string
  readonly destination: string
}

interface PathDraft extends Owner {
  readonly name: string
}

/** Throws `format` and `checksum`; `what` names the file in messages. */
export function parseManifest(content: Buffer, what = 'backup.manifest'): Manifest {
  const files: FileDraft[] = []
  const links: LinkDraft[] = []
  const paths: PathDraft[] = []
  const sections = new Map<string, Map<string, JsonValue>>()
  const names = new NamePool()
  const writerVersion = visitInfoFile(content, what, (section, key, value) => {
    if (section === 'target:file') {
      files.push(readFile(key, asObject(value), names))
    } else if (section === 'target:link') {
      const members = asObject(value)
      links.push({
        name: key,
        destination: text(members, 'destination'),
        ...readOwner(members, names),
      })
    } else if (section === 'target:path') {
      paths.push({ name: key, ...readOwner(asObject(value), names) })
    } else {
      const values = sections.get(section) ?? new Map<string, JsonValue>()
      if (values.has(key)) throw new AppError('format', 'key is there twice')
      sections.set(section, values.set(key, value))
    }
  })
  return reading(`'${what}'`, () => {
    const label = readLabel(sections)
    const fileOwner = readDefaults(sections, 'target:file:default')
    const linkOwner = readDefaults(sections, 'target:link:default')
    const pathOwner = readDefaults(sections, 'target:path:default')
    return {
      ...readBackup(sections, label, files),
      db: readDb(sections),
      options: readOptions(sectionOf(sections, 'backup:option')),
      targets: sortedByName(readEntries(sections, 'backup:target', readTarget)),
      cipherPass: readCipherPass(sections, what),
      databases: sortedByName(
        readEntries(sections, 'db', (name, members) => ({
          name,
          oid: count(members, 'db-id'),
          lastSystemOid: count(members, 'db-last-system-id'),
        })),
      ),
      annotations: textMap(sectionOf(sections, 'metadata'), 'annotation'),
      files: sortedByName(files.map((file) => withOwner(file, fileOwner))),
      links: sortedByName(
        links.map((link) => ({
          name: link.name,
          destination: link.destination,
          user: ownerName(link.user, linkOwner.user),
          group: ownerName(link.group, linkOwner.group),
        })),
      ),
      paths: sortedByName(paths.map((path) => withOwner(path, pathOwner))),
      writerVersion,
    }
  })
}

/** Keeps one copy of names that a hundred thousand entries repeat. */
class NamePool {
  readonly #names = new Map<string, string>()

  get(name: string): string {
    const known = this.#names.get(name)
    if (known !== undefined) return known
    this.#names.set(name, name)
    return name
  }
}

function readFile(name: string, members: JsonObject, names: NamePool): FileDraft {
  const sizeBytes = count(members, 'size')
  const reference = optionalText(members, 'reference')
  const { user, group, mode } = readOwner(members, names)
  return {
    name,
    sizeBytes,
    timestampS: integer(members, 'timestamp'),
    checksum: optionalText(members, 'checksum'),
    checksumPage: optionalFlag(members, 'checksum-page'),
    checksumPageErrors: readPageErrors(memberOf(members, 'checksum-page-error')),
    user,
    group,
    mode,
    reference: reference === undefined ? undefined : names.get(reference),
    repoSizeBytes: optionalCount(members, 'repo-size') ?? sizeBytes,
    repoChecksum: optionalText(members, 'rck'),
    bundleId: optionalCount(members, 'bni'),
    bundleOffsetBytes: optionalCount(members, 'bno') ?? 0,
    block: readBlock(members),
    originalSizeBytes: optionalCount(members, 'szo'),
  }
}

function readBlock(members: JsonObject): ManifestBlock | undefined {
  const units = optionalCount(members, 'bi')
  if (units === undefined) return undefined
  return {
    sizeBytes: units * BLOCK_UNIT_BYTES,
    checksumSizeBytes: optionalCount(members, 'bic') ?? BLOCK_CHECKSUM_BYTES,
    mapSizeBytes: optionalCount(members, 'bim') ?? 0,
  }
}

function readPageErrors(value: JsonValue | undefined): ManifestFile['checksumPageErrors'] {
  if (value === undefined) return undefined
  if (isArray(value)) {
    const errors = value.map(readPageError).filter((error) => error !== undefined)
    if (errors.length === value.length) return errors
  }
  throw new AppError('format', "'checksum-page-error' is not a list of pages")
}

function readPageError(value: JsonValue): number | readonly [number, number] | undefined {
  if (isCount(value)) return value
  if (!isArray(value) || value.length !== 2) return undefined
  const [first, last] = value
  return first !== undefined && last !== undefined && isCount(first) && isCount(last)
    ? [first, last]
    : undefined
}

function readOwner(members: JsonObject, names: NamePool): Owner {
  return {
    user: readOwnerName(members, 'user', names),
    group: readOwnerName(members, 'group', names),
    mode: readMode(members),
  }
}

function readOwnerName(
  members: JsonObject,
  member: string,
  names: NamePool,
): OwnerName | undefined {
  const value = memberOf(members, member)
  if (value === undefined || value === false) return value
  if (typeof value === 'string') return names.get(value)
  throw new AppError('format', `'${member}' is neither a name nor false`)
}

function readMode(members: JsonObject): number | undefined {
  const mode = optionalText(members, 'mode')
  if (mode === undefined) return undefined
  if (!/^[0-7]{4}$/.test(mode)) throw new AppError('format', `'mode' is not four octal digits`)
  return Number.parseInt(mode, 8)
}

function readDefaults(sections: InfoSections, name: string): Owner {
  return reading(`[${name}]`, () => readOwner(sectionOf(sections, name), new NamePool()))
}

/** Without a default, an entry that does not name its owner has none that is known. */
function ownerName(own: OwnerName | undefined, byDefault: OwnerName | undefined): OwnerName {
  return own ?? byDefault ?? false
}

function withOwner<T extends PathDraft>(
  draft: T,
  defaults: Owner,
): Omit<T, keyof Owner> & {
  readonly user: OwnerName
  readonly group: OwnerName
  readonly mode: number
} {
  const mode = draft.mode ?? defaults.mode
  if (mode === undefined) throw new AppError('format', `'${toHumanText(draft.name)}' has no mode`)
  return {
    ...draft,
    user: ownerName(draft.user, defaults.user),
    group: ownerName(draft.group, defaults.group),
    mode,
  }
}

/** Writers sort already, so this mostly checks. Throws `format` for two of one name. */
function sortedByName<T extends { readonly name: string }>(entries: readonly T[]): readonly T[] {
  const isSorted = entries.every((entry, index) => {
    const before = entries[index - 1]
    return before === undefined || before.name <= entry.name
  })
  const sorted = isSorted
    ? entries
    : entries.toSorted((left, right) => compareBytes(left.name, right.name))
  const twice = sorted.find((entry, index) => entry.name === sorted[index + 1]?.name)
  if (twice === undefined) return sorted
  throw new AppError('format', `'${toHumanText(twice.name)}' is there twice`)
}

function readEntries<T>(
  sections: InfoSections,
  section: string,
  read: (name: string, members: JsonObject) => T,
): readonly T[] {
  return Array.from(sections.get(section) ?? [], ([name, value]) =>
    reading(`[${section}] '${toHumanText(name)}'`, () => read(name, asObject(value))),
  )
}

function readTarget(name: string, members: JsonObject): ManifestTarget {
  const kind = text(members, 'type')
  const path = text(members, 'path')
  if (kind === 'path') return { name, kind, path }
  if (kind !== 'link') throw new AppError('format', `'type' is neither path nor link`)
  const tablespaceId = optionalText(members, 'tablespace-id')
  if (tablespaceId !== undefined && !/^[1-9]\d{0,9}$/.test(tablespaceId)) {
    throw new AppError('format', `'tablespace-id' is not an OID`)
  }
  return {
    name,
    kind,
    path,
    file: optionalText(members, 'file'),
    tablespaceId: tablespaceId === undefined ? undefined : Number(tablespaceId),
    tablespaceName: optionalText(members, 'tablespace-name'),
  }
}

interface LabelFacts {
  readonly label: string
  readonly kind: BackupKind
}

function readLabel(sections: InfoSections): LabelFacts {
  const members = sectionOf(sections, 'backup')
  const label = text(members, 'backup-label')
  const kind = kindOfLabel(label)
  const type = text(members, 'backup-type')
  if (type !== kind)
    throw new AppError('format', `'backup-type' is '${type}' but the label is '${label}'`)
  return { label, kind }
}

type BackupFacts = Omit<
  Manifest,
  | 'db'
  | 'options'
  | 'targets'
  | 'cipherPass'
  | 'databases'
  | 'annotations'
  | 'files'
  | 'links'
  | 'paths'
>

function readBackup(
  sections: InfoSections,
  { label, kind }: LabelFacts,
  files: readonly FileDraft[],
): BackupFacts {
  const members = sectionOf(sections, 'backup')
  return {
    label,
    kind,
    archiveStart: optionalText(members, 'backup-archive-start'),
    archiveStop: optionalText(members, 'backup-archive-stop'),
    lsnStart: optionalText(members, 'backup-lsn-start'),
    lsnStop: optionalText(members, 'backup-lsn-stop'),
    prior: readPrior(members, kind),
    references: readReferences(members, label, files),
    bundle: optionalFlag(members, 'backup-bundle') ?? false,
    bundleRaw: optionalFlag(members, 'backup-bundle-raw') ?? false,
    blockIncr: optionalFlag(members, 'backup-block-incr') ?? false,
    startS: count(members, 'backup-timestamp-start'),
    copyStartS: count(members, 'backup-timestamp-copy-start'),
    stopS: optionalCount(members, 'backup-timestamp-stop') ?? 0,
  }
}

function readPrior(members: JsonObject, kind: BackupKind): string | undefined {
  if (kind === 'full') return undefined
  const prior = text(members, 'backup-prior')
  if (isLabel(prior)) return prior
  throw new AppError('format', `'backup-prior' is not a backup label`)
}

/** Versions before 2.42 wrote no list: then it is what the files refer to. */
function readReferences(
  members: JsonObject,
  label: string,
  files: readonly FileDraft[],
): readonly string[] {
  const list = optionalText(members, 'backup-reference')
  if (list === undefined) {
    const used = new Set(
      files.map(({ reference }) => reference).filter((name) => name !== undefined),
    )
    return [...Array.from(used).toSorted(compareBytes), label]
  }
  const references = list.split(',')
  if (references.every(isLabel) && references.at(-1) === label) return references
  throw new AppError(
    'format',
    `'backup-reference' is not a list of labels that ends with '${label}'`,
  )
}

function readDb(sections: InfoSections): Manifest['db'] {
  return reading('[backup:db]', () => {
    const members = sectionOf(sections, 'backup:db')
    return {
      historyId: count(members, 'db-id'),
      systemId: identifier(members, 'db-system-id'),
      version: text(members, 'db-version'),
      controlVersion: count(members, 'db-control-version'),
      catalogVersion: count(members, 'db-catalog-version'),
    }
  })
}

function readOptions(members: JsonObject): ManifestOptions {
  return {
    archiveCheck: optionalFlag(members, 'option-archive-check') ?? false,
    archiveCopy: optionalFlag(members, 'option-archive-copy') ?? false,
    backupStandby: optionalFlag(members, 'option-backup-standby') ?? false,
    bufferSizeBytes: optionalCount(members, 'option-buffer-size'),
    checksumPage: optionalFlag(members, 'option-checksum-page') ?? false,
    compressType: readCompressType(members),
    compressLevel: optionalInteger(members, 'option-compress-level'),
    compressLevelNetwork: optionalInteger(members, 'option-compress-level-network'),
    delta: optionalFlag(members, 'option-delta') ?? false,
    hardlink: optionalFlag(members, 'option-hardlink') ?? false,
    online: optionalFlag(members, 'option-online') ?? false,
    processMax: optionalCount(members, 'option-process-max'),
  }
}

/** Versions before 2.25 knew only gz, and wrote only whether they used it. */
function readCompressType(members: JsonObject): CompressType {
  const name = optionalText(members, 'option-compress-type')
  if (name === undefined) {
    return optionalFlag(members, 'option-compress') === true ? 'gz' : 'none'
  }
  const type = COMPRESS_TYPES.find((known) => known === name)
  if (type === undefined) throw new AppError('format', `unknown compression type '${name}'`)
  return type
}

/** Reads the text of a manifest, by pgBackRest 2.60 or any older version writing format 5. */
import { AppError } from '../base/error.ts'
import { compareBytes, toHumanText } from '../base/text.ts'
import { COMPRESS_TYPES, type CompressType } from '../pipe/compress-type.ts'
import { readCipherPass } from './archive-info.ts'
import {
  asObject,
  count,
  identifier,
  optionalCount,
  optionalFlag,
  optionalInteger,
  optionalText,
  text,
  textMap,
} from './fields.ts'
import { type InfoSections, reading, sectionOf, visitInfoFile } from './info-file.ts'
import type { JsonObject, JsonValue } from './json.ts'
import { type BackupKind, isLabel, kindOfLabel } from './label.ts'
import type { Manifest, ManifestOptions, ManifestTarget } from './manifest.ts'
import {
  type FileDraft,
  type LinkDraft,
  NamePool,
  type Owner,
  ownerName,
  type PathDraft,
  readFile,
  readOwner,
  withOwners,
} from './manifest-entry.ts'

/** Throws `format` and `checksum`; `what` names the file in messages. */
export function parseManifest(content: Buffer, what = 'backup.manifest'): Manifest {
  const files: FileDraft[] = []
  const links: LinkDraft[] = []
  const paths: PathDraft[] = []
  const sections = new Map<string, Map<string, JsonValue>>()
  const names = new NamePool()
  const { version: writerVersion } = visitInfoFile(content, what, (section, key, value) => {
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
      files: sortedByName(withOwners(files, fileOwner)),
      links: sortedByName(
        links.map((link) => ({
          name: link.name,
          destination: link.destination,
          user: ownerName(link.user, linkOwner.user),
          group: ownerName(link.group, linkOwner.group),
        })),
      ),
      paths: sortedByName(withOwners(paths, pathOwner)),
      writerVersion,
    }
  })
}

function readDefaults(sections: InfoSections, name: string): Owner {
  return reading(`[${name}]`, () => readOwner(sectionOf(sections, name), new NamePool()))
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

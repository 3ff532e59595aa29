/** Reads what a manifest says of one file, path or link, and fills in the defaults. */
import { AppError } from '../base/error.ts'
import { toHumanText } from '../base/text.ts'
import {
  count,
  integer,
  isCount,
  memberOf,
  optionalCount,
  optionalFlag,
  optionalText,
} from './fields.ts'
import { isArray, type JsonObject, type JsonValue } from './json.ts'
import {
  BLOCK_CHECKSUM_BYTES,
  BLOCK_UNIT_BYTES,
  type ManifestBlock,
  type ManifestFile,
  type OwnerName,
} from './manifest.ts'

/** What an entry says of owner and mode itself; undefined means the section's default, which comes later. */
export interface Owner {
  user: OwnerName | undefined
  group: OwnerName | undefined
  mode: number | undefined
}

interface KnownOwner {
  readonly user: OwnerName
  readonly group: OwnerName
  readonly mode: number
}

export type FileDraft = Omit<ManifestFile, keyof Owner> & Owner

export interface LinkDraft extends Owner {
  readonly name: string
  readonly destination: string
}

export interface PathDraft extends Owner {
  readonly name: string
}

/** Keeps one copy of names that a hundred thousand entries repeat. */
export class NamePool {
  readonly #names = new Map<string, string>()

  get(name: string): string {
    const known = this.#names.get(name)
    if (known !== undefined) return known
    this.#names.set(name, name)
    return name
  }
}

export function readFile(name: string, members: JsonObject, names: NamePool): FileDraft {
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
  const checksumSizeBytes = optionalCount(members, 'bic') ?? BLOCK_CHECKSUM_BYTES
  if (units === 0 || checksumSizeBytes === 0) {
    throw new AppError('format', "blocks and their checksums ('bi', 'bic') have a size")
  }
  return {
    sizeBytes: units * BLOCK_UNIT_BYTES,
    checksumSizeBytes,
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

export function readOwner(members: JsonObject, names: NamePool): Owner {
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

/** Without a default, an entry that does not name its owner has none that is known. */
export function ownerName(own: OwnerName | undefined, byDefault: OwnerName | undefined): OwnerName {
  return own ?? byDefault ?? false
}

/** The same objects with owners filled in: copies of a hundred thousand would double the memory needed. */
export function withOwners<T extends PathDraft>(
  drafts: readonly T[],
  defaults: Owner,
): readonly (T & KnownOwner)[] {
  const filled: (T & KnownOwner)[] = []
  for (const draft of drafts) {
    fillOwner(draft, defaults)
    filled.push(draft)
  }
  return filled
}

function fillOwner<T extends PathDraft>(
  draft: T,
  defaults: Owner,
): asserts draft is T & KnownOwner {
  draft.user = ownerName(draft.user, defaults.user)
  draft.group = ownerName(draft.group, defaults.group)
  draft.mode ??= defaults.mode
  if (draft.mode === undefined) {
    throw new AppError('format', `'${toHumanText(draft.name)}' has no mode`)
  }
}

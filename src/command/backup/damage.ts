/** Files whose pages have wrong checksums, told as a DBA knows them: by the relation's name and its blocks. */
import { asAppError } from '../../base/error.ts'
import { toHumanText } from '../../base/text.ts'
import type { Manifest, ManifestFile } from '../../format/manifest.ts'
import type { PgConnection } from '../../postgres/connection.ts'
import {
  listOpenDatabases,
  type RelationFile,
  relationFileOf,
  relationName,
} from '../../postgres/relation-file.ts'
import type { Context } from '../command.ts'
import { connectTo } from '../preflight.ts'
import type { BackupCluster } from './cluster.ts'

type Blocks = NonNullable<ManifestFile['checksumPageErrors']>

export interface Damage {
  /** Manifest name, as text. */
  readonly file: string
  /** `shop.public.orders`; null when it cannot be told: a stopped cluster, a dropped relation, a closed database. */
  readonly relation: string | null
  readonly fork: RelationFile['fork'] | null
  readonly segment: number | null
  /** Counted over the whole relation, ranges inclusive; null when the file does not end with a whole page. */
  readonly blocks: Blocks | null
}

/** What this backup found, each with a warning. Never throws: the backup is complete, its report may be shorter. */
export async function reportDamage(
  context: Context,
  cluster: BackupCluster,
  manifest: Manifest,
): Promise<readonly Damage[]> {
  const damaged = manifest.files.filter(
    ({ checksumPage, reference }) => checksumPage === false && reference === undefined,
  )
  if (damaged.length === 0) return []
  const names = await namesOf(context, cluster, damaged)
  return damaged.map((file) => {
    const place = relationFileOf(file.name)
    const damage: Damage = {
      file: toHumanText(file.name),
      relation: names.get(file.name) ?? null,
      fork: place?.fork ?? null,
      segment: place?.segment ?? null,
      blocks: file.checksumPageErrors ?? null,
    }
    context.log.warn(damageText(damage))
    return damage
  })
}

/** `damaged relation shop.public.orders: blocks 1, 7-9 (main fork, segment 0, file pg_data/base/5/16384)` */
export function damageText({ file, relation, fork, segment, blocks }: Damage): string {
  const what =
    relation === null ? 'damaged file of an unknown relation' : `damaged relation ${relation}`
  const where = blocks === null ? 'its size is not a whole number of pages' : blocksText(blocks)
  const part = fork === null ? '' : `${fork} fork, segment ${segment}, `
  return `${what}: ${where} (${part}file ${file})`
}

function blocksText(blocks: Blocks): string {
  return `${isOne(blocks) ? 'block' : 'blocks'} ${numbersText(blocks)}`
}

/** As pgBackRest says it, while the file is copied: `path` is where it was read. */
export function badPagesText(
  path: string,
  { checksumPageErrors: pages, sizeBytes }: ManifestFile,
  pageSizeBytes: number,
): string {
  if (pages === undefined) {
    return `page misalignment in file ${path}: file size ${sizeBytes} is not divisible by page size ${pageSizeBytes}`
  }
  const [checksum, page] = isOne(pages) ? ['checksum', 'page'] : ['checksums', 'pages']
  return `invalid page ${checksum} found in file ${path} at ${page} ${numbersText(pages)}`
}

function isOne(blocks: Blocks): boolean {
  return blocks.length === 1 && typeof blocks[0] === 'number'
}

function numbersText(blocks: Blocks): string {
  return blocks
    .map((range) => (typeof range === 'number' ? `${range}` : `${range[0]}-${range[1]}`))
    .join(', ')
}

/** Relation names by file, as far as the server tells them; a session for each database that is concerned. */
async function namesOf(
  context: Context,
  { servers }: BackupCluster,
  files: readonly ManifestFile[],
): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>()
  if (servers === undefined) return names
  const byDatabase = Map.groupBy(files, ({ name }) => relationFileOf(name)?.databaseOid)
  const { index, connection } = servers.primary
  try {
    const databases = await listOpenDatabases(connection)
    for (const [oid, some] of byDatabase) {
      const database = oid === undefined ? undefined : databases.get(oid)
      if (oid !== undefined && database === undefined) continue
      await using session = await connectTo(context, { index, command: 'backup', database })
      await addNames(names, session, some)
    }
  } catch (error) {
    context.log.warn(`unable to name damaged relations: ${asAppError(error).text}`)
  }
  return names
}

async function addNames(
  names: Map<string, string>,
  session: PgConnection,
  files: readonly ManifestFile[],
): Promise<void> {
  for (const { name } of files) {
    const place = relationFileOf(name)
    const found = place === undefined ? undefined : await relationName(session, place)
    if (found !== undefined) names.set(name, found)
  }
}

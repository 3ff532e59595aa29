/** file-get: one file of a cluster out of a backup, through bundles, blocks and references, without restoring the rest. */
import { lstat, open, rename, rm } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { AppError, errnoOf } from '../base/error.ts'
import { toByteString, toHumanText } from '../base/text.ts'
import { formatSize } from '../base/units.ts'
import type { Manifest, ManifestFile } from '../format/manifest.ts'
import { measure, through } from '../pipe/pipe.ts'
import { readStored } from '../repo/read-stored.ts'
import { loadManifest, type Repo } from '../repo/repo.ts'
import { storedFile, storedSet } from '../repo/stored-file.ts'
import { attempt, systemError } from '../storage/posix-error.ts'
import { type Context, stanzaOf } from './command.ts'
import { findBackup } from './restore/find-backup.ts'
import { syncDirectory } from './restore/place.ts'

export async function fileGet(context: Context): Promise<number> {
  const { config, log } = context
  const [wanted = '', destination = ''] = config.parameters
  const stanza = stanzaOf(context)
  const { repo, info, choice } = await findBackup(context, { kind: 'newest' })
  const manifest = await loadManifest(repo, stanza, choice.backup.label, info.cipherPass)
  const file = fileNamed(manifest, wanted)
  const path = resolve(destination)
  log.info(`repo${repo.key}: get '${toHumanText(file.name)}' of backup set ${manifest.label}`)
  await deliver({ stanza, repo, manifest, file, path })
  log.info(`file size = ${formatSize(file.sizeBytes)}, checksum ${file.checksum ?? '-'}`)
  return 0
}

/** By its path in the data directory, or its name in the manifest: `pg_tblspc/16384/PG_17_202406281/5/16390`. */
function fileNamed(manifest: Manifest, wanted: string): ManifestFile {
  const name = toByteString(wanted)
  const found = manifest.files.find((file) => file.name === name || file.name === `pg_data/${name}`)
  if (found !== undefined) return found
  throw new AppError('file-missing', `backup '${manifest.label}' has no file '${wanted}'`, {
    hint: [
      "give its path in the data directory, as 'select pg_relation_filepath(...)' prints it.",
      'of a relation past 1 GiB each segment is a file: 16384, 16384.1, 16384.2.',
    ],
  })
}

interface Delivery {
  readonly stanza: string
  readonly repo: Repo
  readonly manifest: Manifest
  readonly file: ManifestFile
  /** Where it goes. Nothing may be there: it could be a file of a cluster that runs. */
  readonly path: string
}

/** The file is there, complete and durable, or not at all. */
async function deliver({ stanza, repo, manifest, file, path }: Delivery): Promise<void> {
  await assertNothingAt(path)
  const temp = `${path}.pgsurety.tmp`
  try {
    await using target = await create(temp)
    const content = measure()
    const stored = storedFile(stanza, manifest, file)
    const source = readStored(repo.storage, storedSet(stanza, manifest), stored)
    for await (const chunk of through(source, content)) {
      await attempt('file-write', `unable to write '${temp}'`, async () => {
        await target.writeFile(chunk)
      })
    }
    const checksum = content.sha1()
    if (
      content.sizeBytes !== file.sizeBytes ||
      (checksum !== file.checksum && file.sizeBytes > 0)
    ) {
      throw new AppError(
        'checksum',
        `'${toHumanText(file.name)}' of backup '${manifest.label}' is damaged: its checksum is '${checksum}' (${content.sizeBytes} bytes), ` +
          `not '${file.checksum}' (${file.sizeBytes} bytes)`,
        { hint: 'get it from another backup with --set.' },
      )
    }
    await target.sync()
    await rename(temp, path)
  } catch (error) {
    await rm(temp, { force: true })
    throw error
  }
  await syncDirectory(dirname(path))
}

async function assertNothingAt(path: string): Promise<void> {
  try {
    await lstat(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return
    throw systemError('file-open', `unable to create '${path}'`, error)
  }
  throw new AppError('file-exists', `'${path}' exists already and is not overwritten`, {
    hint: 'give another destination, or remove it.',
  })
}

async function create(path: string): Promise<Awaited<ReturnType<typeof open>>> {
  return await attempt(
    'file-open',
    `unable to create '${path}'`,
    async () => await open(path, 'w', 0o600),
  )
}

/**
 * The end of a restore. Order is the promise: recovery settings, every directory durable, then pg_control under its real
 * name: without it the cluster cannot start, with it everything else is there. The marker goes last.
 */
import { chmod, chown, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { toBytes, toHumanText } from '../../base/text.ts'
import type { Manifest } from '../../format/manifest.ts'
import { withInvalidCheckpoint } from '../../postgres/control-file.ts'
import {
  editAutoConf,
  type RecoverySetting,
  type RestoreType,
  signalFile,
} from '../../postgres/recovery.ts'
import { attempt } from '../../storage/posix-error.ts'
import { readAutoConf } from './auto-conf.ts'
import { MARKER_NAME, PARTIAL_SUFFIX } from './destination.ts'
import { dataDirOf } from './mapping.ts'
import { syncDirectory, syncTree } from './place.ts'

/** Under this name pg_control waits until everything else is durable (pgBackRest's name). */
export const CONTROL_PENDING_NAME = 'pg_control.pgbackrest.tmp'

export interface Finish {
  readonly manifest: Manifest
  readonly type: RestoreType
  readonly settings: readonly RecoverySetting[]
  /** Local time for the comments in postgresql.auto.conf. */
  readonly nowText: string
  /** An online backup starts from its backup_label, never from pg_control's own checkpoint. */
  readonly online: 'online' | 'offline'
}

export async function finish({ manifest, type, settings, nowText, online }: Finish): Promise<void> {
  const dataDir = dataDirOf(manifest)
  if (type !== 'preserve') {
    await writeAutoConf(dataDir, settings, nowText)
    const signal = signalFile(type)
    if (signal !== undefined) await writeLikeDataDir(dataDir, signal, Buffer.alloc(0))
  }
  const pending = `${dataDir}/global/${CONTROL_PENDING_NAME}`
  if (online === 'online') await invalidateCheckpoint(pending)
  await syncTree(manifest)
  await rename(toBytes(pending), toBytes(`${dataDir}/global/pg_control`))
  await syncDirectory(`${dataDir}/global`)
  await rm(toBytes(`${dataDir}/${MARKER_NAME}`), { force: true })
  await syncDirectory(dataDir)
}

async function writeAutoConf(
  dataDir: string,
  settings: readonly RecoverySetting[],
  nowText: string,
): Promise<void> {
  const name = 'postgresql.auto.conf'
  const existing = await readAutoConf(dataDir)
  const edited = editAutoConf(existing, settings, { nowText })
  if (edited !== existing) await writeLikeDataDir(dataDir, name, Buffer.from(edited, 'latin1'))
}

/** A small file in the data directory: its owner, its mode without execution, on disk when this resolves. */
export async function writeLikeDataDir(
  dataDir: string,
  name: string,
  content: Buffer,
): Promise<void> {
  const owner = await stat(toBytes(dataDir))
  const path = toBytes(`${dataDir}/${name}`)
  const partial = toBytes(`${dataDir}/${name}${PARTIAL_SUFFIX}`)
  const mode = owner.mode & 0o644
  await attempt(
    'file-write',
    `unable to write file '${toHumanText(dataDir)}/${name}'`,
    async () => {
      {
        await using file = await open(partial, 'w', mode)
        await file.writeFile(content)
        await file.sync()
      }
      await chmod(partial, mode)
      if (process.getuid?.() === 0) await chown(partial, owner.uid, owner.gid)
      await rename(partial, path)
    },
  )
  await syncDirectory(dataDir)
}

/** Keeps the file's time, which is that of the backup. */
async function invalidateCheckpoint(path: string): Promise<void> {
  const before = await readFile(toBytes(path))
  await using file = await open(toBytes(path), 'r+')
  const { atime, mtime } = await file.stat()
  await file.write(withInvalidCheckpoint(before), 0, before.length, 0)
  await file.utimes(atime, mtime)
  await file.sync()
}

/** Whose the restored files will be. Only root can choose; everyone else gets them as their own. */
import { readFile, stat } from 'node:fs/promises'
import { errnoOf } from '../../base/error.ts'
import { toHumanText } from '../../base/text.ts'
import type { Manifest, OwnerName } from '../../format/manifest.ts'
import type { OwnerOf } from './place.ts'

export interface Ownership {
  readonly ownerOf: OwnerOf
  /** One line per user or group of the backup that this system or this user cannot give files to. */
  readonly warnings: readonly string[]
}

/** As root: the manifest's names where this system has them, else the owner of the existing data directory, else root. */
export async function readOwnership(manifest: Manifest, dataDir: string): Promise<Ownership> {
  const [users, groups] = await Promise.all([idsIn('/etc/passwd'), idsIn('/etc/group')])
  const wanted = namesOf(manifest)
  const warnings = [
    ...wanted.users
      .filter((name) => !users.has(name))
      .map((name) => `unknown user '${name}' in backup manifest`),
    ...wanted.groups
      .filter((name) => !groups.has(name))
      .map((name) => `unknown group '${name}' in backup manifest`),
  ]
  if (process.getuid?.() !== 0) return { ownerOf: () => undefined, warnings }
  const fallback = await ownerOfDirectory(dataDir)
  return {
    warnings: warnings.map((line) => `${line} mapped to the owner of '${dataDir}'`),
    ownerOf: (user, group) => ({
      uid: idOf(users, user, fallback.uid),
      gid: idOf(groups, group, fallback.gid),
    }),
  }
}

function idOf(ids: ReadonlyMap<string, number>, name: OwnerName, otherwise: number): number {
  return name === false ? otherwise : (ids.get(toHumanText(name)) ?? otherwise)
}

function namesOf(manifest: Manifest): {
  readonly users: readonly string[]
  readonly groups: readonly string[]
} {
  const users = new Set<string>()
  const groups = new Set<string>()
  for (const { user, group } of [...manifest.files, ...manifest.paths, ...manifest.links]) {
    if (user !== false) users.add(toHumanText(user))
    if (group !== false) groups.add(toHumanText(group))
  }
  return { users: [...users], groups: [...groups] }
}

async function ownerOfDirectory(
  path: string,
): Promise<{ readonly uid: number; readonly gid: number }> {
  try {
    const { uid, gid } = await stat(path)
    return { uid, gid }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return { uid: 0, gid: 0 }
    throw error
  }
}

/** Name → numeric id of a file in the format of passwd(5) or group(5). */
async function idsIn(path: string): Promise<ReadonlyMap<string, number>> {
  const ids = new Map<string, number>()
  for (const line of (await readFile(path, 'utf8')).split('\n')) {
    const [name = '', , id = ''] = line.split(':')
    if (name !== '' && /^\d+$/.test(id)) ids.set(name, Number(id))
  }
  return ids
}

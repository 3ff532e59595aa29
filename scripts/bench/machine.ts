/** What was measured on and with, as lines for people. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { GIB } from '../../src/base/units.ts'
import { checkout, runAs } from '../../test/harness/run.ts'
import { type Scene, SETTINGS } from './scene.ts'

export async function conditionsOf(scene: Scene): Promise<readonly string[]> {
  const [cpu] = cpus()
  const memory = `${Math.round(totalmem() / GIB)} GiB`
  const versions = [`pgsurety ${sourceVersion()}`, `Node ${process.versions.node}`]
  const theirs = scene.engines.get('pgbackrest')
  if (theirs !== undefined) versions.push((await runAs([theirs, 'version'])).stdout.trim())
  versions.push((await runAs([join(scene.pgBin, 'postgres'), '--version'])).stdout.trim())
  return [
    `Machine: ${cpu?.model ?? 'unknown processor'}, ${cpus().length} cores, ${memory}, Linux ${release()}, ${fileSystem(scene.folder)}`,
    `Versions: ${versions.join('; ')}`,
    'Data in the page cache, disk at rest before each run, the programs in turn',
    `Tuned alike: ${SETTINGS.alike.join(', ')}`,
    ...scene.missing.map((name) => `Missing: ${name}`),
  ]
}

function sourceVersion(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
      cwd: checkout,
      encoding: 'utf8',
    }).trim()
  } catch {
    return 'of unknown commit'
  }
}

/** Of the mount that holds the path. */
function fileSystem(path: string): string {
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, at = '-']) => at === '/' || path === at || path.startsWith(`${at}/`))
  const [, , kind = 'unknown file system'] =
    mounts.toSorted((left, right) => (left[1]?.length ?? 0) - (right[1]?.length ?? 0)).at(-1) ?? []
  return kind
}

/**
 * Bundles the program into dist/, which is all that a machine needs besides Node.
 *
 * One file per entry plus shared chunks that are loaded when they are needed: archive-push starts once per WAL segment and
 * must not read the code of a restore. The names are a contract with `workerUrl` in src/worker/worker.ts, and `main` with
 * build/start.ts.
 */
import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { rolldown } from 'rolldown'
import { lazyBuiltins } from './build/lazy-builtins.ts'
import { runSamples } from './build/samples.ts'

const root = join(import.meta.dirname, '..')
const dist = join(root, 'dist')

const ENTRIES = {
  pgsurety: 'scripts/build/start.ts',
  main: 'src/cli/main.ts',
  thread: 'src/worker/thread.ts',
  'backup-copy': 'src/command/backup/copy-job.ts',
  'restore-copy': 'src/command/restore/copy-job.ts',
  'verify-check': 'src/command/verify/check-job.ts',
}

/** Loaded at run time by a URL relative to the code: they lie beside it. */
const ASSETS = ['src/pipe/codecs.wasm', 'src/pipe/codecs.LICENSES.txt']

async function bundle(folder: string): Promise<readonly string[]> {
  await using build = await rolldown({
    input: ENTRIES,
    cwd: root,
    platform: 'node',
    // pg asks for its native sibling inside a try block, and only when told to.
    external: ['pg-native'],
    plugins: [{ name: 'lazy-builtins', renderChunk: lazyBuiltins }],
    onLog: (level, log) => {
      if (level === 'warn') throw new Error(log.message)
    },
  })
  // Readable output: stack traces of a backup tool are read by people, and smaller files do not start faster.
  const { output } = await build.write({
    dir: folder,
    // Half the start-up time of ECMAScript modules: archive-push runs once per WAL segment.
    format: 'cjs',
    minify: false,
    entryFileNames: '[name].js',
    chunkFileNames: '[name]-[hash].js',
  })
  return output.map((file) => file.fileName)
}

/** Readers see the old build or the new one, but for the instant between two renames. */
async function replaceDist(folder: string): Promise<void> {
  const old = `${dist}.${process.pid}-old.tmp`
  await rename(dist, old).catch((error: unknown) => {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
  })
  await rename(folder, dist)
  await rm(old, { recursive: true, force: true })
}

const started = performance.now()
const folder = `${dist}.${process.pid}.tmp`
await mkdir(folder)
try {
  const files = await bundle(folder)
  for (const asset of ASSETS) {
    await copyFile(join(root, asset), join(folder, asset.replace(/^.*\//, '')))
  }
  const { name, version }: Record<string, unknown> = JSON.parse(
    await readFile(join(root, 'package.json'), 'utf8'),
  )
  await writeFile(
    join(folder, 'package.json'),
    `${JSON.stringify({ name, version, type: 'commonjs' })}\n`,
  )
  runSamples(join(folder, 'pgsurety.js'))
  await replaceDist(folder)
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  console.log(`dist: ${files.length} files in ${seconds} s`)
} finally {
  await rm(folder, { recursive: true, force: true })
}

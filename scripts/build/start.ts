/**
 * The first file of the built program: loads the others with the code that V8 made of them at build time (`*.cache`), which
 * halves what a start costs us. V8 refuses code of another version or of other flags, and then compiles the file itself.
 *
 * Node's own compile cache is not for this: each user has one, and it is written when the program runs.
 */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { Script } from 'node:vm'

/** What has been loaded, by path. The build asks for it. */
export const loaded = new Map<string, Loaded>()

export interface Loaded {
  readonly script: Script
  readonly exports: object
}

function load(path: string): object {
  const known = loaded.get(path)
  if (known !== undefined) return known.exports
  const source = `(function (exports, require, __filename) {${readFileSync(path, 'utf8')}\n})`
  const script = new Script(source, { filename: path, cachedData: cachedCode(path) })
  const define: unknown = script.runInThisContext()
  if (typeof define !== 'function') throw new Error(`'${path}' is not a file of the build`)
  const exports = {}
  // Before it runs, as files may import each other.
  loaded.set(path, { script, exports })
  define(exports, requireFrom, path)
  return exports
}

function cachedCode(path: string): Buffer | undefined {
  try {
    return readFileSync(`${path}.cache`)
  } catch {
    return undefined
  }
}

/** All files of the build lie in one folder; whatever else they ask for is a part of Node. */
function requireFrom(name: string): unknown {
  if (name.startsWith('./')) return load(`${import.meta.dirname}/${basename(name)}`)
  const builtIn: unknown = process.getBuiltinModule(name)
  if (builtIn === undefined) throw new Error(`cannot find module '${name}'`)
  return builtIn
}

try {
  load(`${import.meta.dirname}/main.js`)
} catch (error) {
  // Node's own exit code is 1, which of archive-get means that the archive ends here.
  process.exitCode = 124
  console.error(error)
}

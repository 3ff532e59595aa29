/**
 * Line coverage of src/ from what V8 wrote (NODE_V8_COVERAGE), over every process and worker thread of a test run.
 *
 * A line counts when it has code left after types and comments are taken away. It is covered when some of that code ran
 * in some process. Files that nothing loaded count with all their lines.
 */
import { globSync, readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

export interface FileCoverage {
  /** Relative to the checkout. */
  readonly path: string
  readonly lineCount: number
  /** Line numbers from 1. */
  readonly uncoveredLines: readonly number[]
}

interface Range {
  readonly startOffset: number
  readonly endOffset: number
  readonly count: number
}

interface Line {
  readonly number: number
  /** Offsets in the file: from the first character that is not a blank to past the last. */
  readonly start: number
  readonly end: number
}

/** `dataFolder` holds V8's files; `checkout` is the folder that holds src/. */
export function readCoverage(dataFolder: string, checkout: string): readonly FileCoverage[] {
  const paths = globSync('src/**/*.ts', { cwd: checkout })
    .filter((path) => !/\.(?:test|arbitrary)\.ts$/.test(path))
    .toSorted()
  const linesOf = new Map(
    paths.map((path) => [path, codeLines(readFileSync(join(checkout, path), 'utf8'))] as const),
  )
  const covered = new Map(paths.map((path) => [path, new Set<Line>()] as const))
  const prefix = `${pathToFileURL(checkout).href}/`
  for (const file of globSync('*.json', { cwd: dataFolder })) {
    for (const { url, ranges } of readScripts(join(dataFolder, file))) {
      const path = url.startsWith(prefix) ? url.slice(prefix.length) : ''
      const done = covered.get(path)
      for (const line of runLines(linesOf.get(path) ?? [], ranges)) done?.add(line)
    }
  }
  return paths.map((path) => {
    const lines = linesOf.get(path) ?? []
    const uncovered = lines.filter((line) => covered.get(path)?.has(line) !== true)
    return { path, lineCount: lines.length, uncoveredLines: uncovered.map(({ number }) => number) }
  })
}

/** 0 to 100. */
export function percentCovered(files: readonly FileCoverage[]): number {
  const all = files.reduce((sum, { lineCount }) => sum + lineCount, 0)
  const uncovered = files.reduce((sum, { uncoveredLines }) => sum + uncoveredLines.length, 0)
  return (100 * (all - uncovered)) / all
}

/** Stripping puts blanks where the types were, so that V8's offsets are offsets in `source`. */
function codeLines(source: string): readonly Line[] {
  const lines: Line[] = []
  let offset = 0
  for (const [index, text] of stripTypeScriptTypes(source).split('\n').entries()) {
    const code = text.trim()
    const start = offset + text.indexOf(code)
    // A lone bracket says nothing: V8 may or may not give it to the block before it.
    if (/[\w$]/.test(code) && !/^(?:\/\/|\/?\*)/.test(code)) {
      lines.push({ number: index + 1, start, end: start + code.length })
    }
    offset += text.length + 1
  }
  return lines
}

/** The lines that do not lie wholly in ranges that never ran. */
function runLines(lines: readonly Line[], ranges: readonly Range[]): readonly Line[] {
  const sizeBytes = ranges.reduce((end, range) => Math.max(end, range.endOffset), 0)
  const ran = new Uint8Array(sizeBytes)
  // V8 nests ranges; the innermost, which is the shortest, tells the truth.
  const outermostFirst = ranges.toSorted(
    (left, right) => right.endOffset - right.startOffset - (left.endOffset - left.startOffset),
  )
  for (const { startOffset, endOffset, count } of outermostFirst) {
    ran.fill(count === 0 ? 0 : 1, startOffset, endOffset)
  }
  return lines.filter(({ start, end }) => ran.subarray(start, end).includes(1))
}

function* readScripts(file: string): Generator<{ url: string; ranges: readonly Range[] }> {
  for (const script of property(readCut(file), 'result')) {
    if (typeof script !== 'object' || script === null || !('url' in script)) continue
    const ranges = property(script, 'functions').flatMap((found) => property(found, 'ranges'))
    yield { url: String(script.url), ranges: ranges.filter(isRange) }
  }
}

/** Undefined for what a process that was killed had not written to its end. */
function readCut(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function property(value: unknown, name: string): readonly unknown[] {
  const found: unknown = Object.entries(Object(value)).find(([key]) => key === name)?.[1]
  return Array.isArray(found) ? found : []
}

function isRange(value: unknown): value is Range {
  return (
    typeof value === 'object' &&
    value !== null &&
    'startOffset' in value &&
    typeof value.startOffset === 'number' &&
    'endOffset' in value &&
    typeof value.endOffset === 'number' &&
    'count' in value &&
    typeof value.count === 'number'
  )
}

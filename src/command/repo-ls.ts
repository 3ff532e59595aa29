/** repo-ls: what lies below a path of a repository, told as pgBackRest 2.60 tells it. */
import { AppError } from '../base/error.ts'
import { compareBytes, toHumanText } from '../base/text.ts'
import { SECOND_MS } from '../base/units.ts'
import { type JsonObject, quoteJson, renderJson } from '../format/json.ts'
import type { Storage } from '../storage/storage.ts'
import type { Context } from './command.ts'
import { repoArgument } from './repo-argument.ts'

interface Entry {
  /** Relative to the path that is listed; `.` is that itself. */
  readonly name: string
  readonly facts: JsonObject
}

interface Listing {
  readonly recurse: 'one-level' | 'all-levels'
  readonly order: 'ascending' | 'descending'
}

export async function repoLs(context: Context): Promise<number> {
  const { config } = context
  const { repo, key } = repoArgument(context)
  const filter = filterOf(config.optionalText('filter'))
  const entries = entriesOf(repo.storage, key, {
    recurse: config.flag('recurse') ? 'all-levels' : 'one-level',
    order: config.text('sort') === 'desc' ? 'descending' : 'ascending',
  })
  const isJson = config.text('output') === 'json'
  let before = '{'
  for await (const { name, facts } of entries) {
    if (filter !== undefined && !filter.test(toHumanText(name))) continue
    if (isJson) {
      const members = Object.entries(facts).map(
        ([member, value]) => `${quoteJson(member)}:${renderJson(value)}`,
      )
      context.print(toHumanText(`${before}${quoteJson(name)}:{${members.join(',')}}`))
      before = ','
    } else if (name !== '.' || facts['type'] === 'file') {
      context.print(toHumanText(`${name}\n`))
    }
  }
  if (isJson) context.print(before === '{' ? '{}\n' : '}\n')
  return 0
}

/** Anywhere in the name, as with pgBackRest. */
function filterOf(text: string | undefined): RegExp | undefined {
  if (text === undefined) return undefined
  try {
    return new RegExp(text, 'u')
  } catch (cause) {
    throw new AppError('format', `'${text}' is not a regular expression`, { cause })
  }
}

async function* entriesOf(
  storage: Storage,
  key: string,
  listing: Listing,
): AsyncGenerator<Entry, void, undefined> {
  const object = key === '' ? undefined : await storage.stat(key)
  if (object === undefined) {
    yield { name: '.', facts: { type: 'path' } }
    yield* below(storage, { key, name: '' }, listing)
  } else {
    yield { name: '.', facts: fileFacts(object) }
  }
}

interface Place {
  readonly key: string
  readonly name: string
}

/** A directory comes before what is in it; descending, after it. */
async function* below(
  storage: Storage,
  place: Place,
  listing: Listing,
): AsyncGenerator<Entry, void, undefined> {
  const entries = await readLevel(storage, place.key)
  for (const { name, facts } of listing.order === 'ascending' ? entries : entries.toReversed()) {
    const whole = place.name === '' ? name : `${place.name}/${name}`
    const key = place.key === '' ? name : `${place.key}/${name}`
    const isOpened = facts['type'] === 'path' && listing.recurse === 'all-levels'
    if (listing.order === 'ascending') yield { name: whole, facts }
    if (isOpened) yield* below(storage, { key, name: whole }, listing)
    if (listing.order === 'descending') yield { name: whole, facts }
  }
}

async function readLevel(storage: Storage, key: string): Promise<readonly Entry[]> {
  const entries = (await storage.list(key)).map((entry) => ({
    name: entry.name,
    facts: entry.kind === 'object' ? fileFacts(entry) : { type: 'path' },
  }))
  const links = (await storage.links(key)).map(({ name, target }) => ({
    name,
    facts: { type: 'link', destination: target },
  }))
  return [...entries, ...links].toSorted((left, right) => compareBytes(left.name, right.name))
}

function fileFacts(object: {
  readonly sizeBytes: number
  readonly modifiedMs: number
}): JsonObject {
  return {
    type: 'file',
    size: object.sizeBytes,
    time: Math.floor(object.modifiedMs / SECOND_MS),
  }
}

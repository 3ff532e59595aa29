/**
 * The JSON of info files: byte strings, 64-bit integers without loss, nothing else that is not needed.
 *
 * `JSON.parse` cannot be used: system identifiers exceed 2^53 and bytes above 0x7f are not UTF-8 here. Fractions and
 * exponents are refused, as pgBackRest refuses them.
 */
import { AppError } from '../base/error.ts'
import { compareBytes } from '../base/text.ts'

export type JsonValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | readonly JsonValue[]
  | JsonObject

/** Look members up with `memberOf` (fields.ts): a plain read would also find what objects inherit. */
export interface JsonObject {
  readonly [member: string]: JsonValue
}

/** Info files nest three levels; the limit keeps hostile text from overflowing the stack. */
const DEPTH_MAX = 32
/** So many digits always fit a safe integer. */
const SAFE_DIGITS = 15
const INT64_MIN = -(2n ** 63n)
const UINT64_MAX = 2n ** 64n - 1n

const TAB = 0x09
const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const SPACE = 0x20
const QUOTE = 0x22
const COMMA = 0x2c
const MINUS = 0x2d
const DIGIT_0 = 0x30
const DIGIT_9 = 0x39
const COLON = 0x3a
const BRACKET_OPEN = 0x5b
const BACKSLASH = 0x5c
const BRACKET_CLOSE = 0x5d
const BRACE_OPEN = 0x7b
const BRACE_CLOSE = 0x7d

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
])

/** The value `text` consists of. Whole numbers beyond 2^53 are bigints. Throws `json-format`. */
export function parseJson(text: string): JsonValue {
  const value = readJson(text, 0)
  if (value === undefined) {
    // The text itself is not shown: it may hold a key.
    throw new AppError('json-format', `invalid JSON value of ${text.length} characters`)
  }
  return value
}

/** The value from `start` to the very end of `text`, or undefined when that is not exactly one value. */
export function readJson(text: string, start: number): JsonValue | undefined {
  return new JsonReader(text, start).whole()
}

/** `undefined` from any method but `end` means: not valid, stop. */
class JsonReader {
  readonly #text: string
  #at: number
  /** Where the next backslash is, so that text without one is sliced, not copied byte by byte. */
  #backslashAt: number

  constructor(text: string, start: number) {
    this.#text = text
    this.#at = start
    this.#backslashAt = findFrom(text, '\\', start)
  }

  whole(): JsonValue | undefined {
    const value = this.#value(0)
    if (value === undefined) return undefined
    this.#skipSpace()
    return this.#at === this.#text.length ? value : undefined
  }

  #value(depth: number): JsonValue | undefined {
    this.#skipSpace()
    if (depth > DEPTH_MAX) return undefined
    switch (this.#text.charCodeAt(this.#at)) {
      case BRACE_OPEN:
        return this.#object(depth)
      case BRACKET_OPEN:
        return this.#array(depth)
      case QUOTE:
        return this.#string()
      default:
        return this.#wordOrNumber()
    }
  }

  #object(depth: number): JsonObject | undefined {
    const object: Record<string, JsonValue> = {}
    this.#at += 1
    if (this.#take(BRACE_CLOSE)) return object
    do {
      this.#skipSpace()
      if (this.#text.charCodeAt(this.#at) !== QUOTE) return undefined
      const name = this.#string()
      if (name === undefined || !this.#take(COLON)) return undefined
      const value = this.#value(depth + 1)
      if (value === undefined || Object.hasOwn(object, name)) return undefined
      setMember(object, name, value)
    } while (this.#take(COMMA))
    return this.#take(BRACE_CLOSE) ? object : undefined
  }

  #array(depth: number): readonly JsonValue[] | undefined {
    const array: JsonValue[] = []
    this.#at += 1
    if (this.#take(BRACKET_CLOSE)) return array
    do {
      const value = this.#value(depth + 1)
      if (value === undefined) return undefined
      array.push(value)
    } while (this.#take(COMMA))
    return this.#take(BRACKET_CLOSE) ? array : undefined
  }

  #string(): string | undefined {
    const start = this.#at + 1
    const close = this.#text.indexOf('"', start)
    if (close === -1) return undefined
    if (this.#backslashAt > close) {
      this.#at = close + 1
      return this.#text.slice(start, close)
    }
    this.#at = start
    const text = this.#escapedString()
    this.#backslashAt = findFrom(this.#text, '\\', this.#at)
    return text
  }

  #escapedString(): string | undefined {
    let text = ''
    for (;;) {
      const from = this.#at
      let code = this.#text.charCodeAt(this.#at)
      while (code !== QUOTE && code !== BACKSLASH) {
        if (Number.isNaN(code)) return undefined
        this.#at += 1
        code = this.#text.charCodeAt(this.#at)
      }
      text += this.#text.slice(from, this.#at)
      this.#at += 1
      if (code === QUOTE) return text
      const escaped = this.#escape()
      if (escaped === undefined) return undefined
      text += escaped
    }
  }

  #escape(): string | undefined {
    const letter = this.#text.charAt(this.#at)
    this.#at += 1
    if (letter !== 'u') return ESCAPES.get(letter)
    const digits = this.#text.slice(this.#at, this.#at + 4)
    this.#at += 4
    // Only code points of one byte have a meaning here.
    return /^00[0-9a-f]{2}$/i.test(digits)
      ? String.fromCharCode(Number.parseInt(digits, 16))
      : undefined
  }

  #wordOrNumber(): boolean | number | bigint | null | undefined {
    if (this.#takeWord('true')) return true
    if (this.#takeWord('false')) return false
    return this.#takeWord('null') ? null : this.#number()
  }

  #number(): number | bigint | undefined {
    const start = this.#at
    if (this.#text.charCodeAt(start) === MINUS) this.#at += 1
    const first = this.#at
    let small = 0
    let code = this.#text.charCodeAt(this.#at)
    while (code >= DIGIT_0 && code <= DIGIT_9) {
      small = small * 10 + (code - DIGIT_0)
      this.#at += 1
      code = this.#text.charCodeAt(this.#at)
    }
    const digits = this.#at - first
    if (digits === 0) return undefined
    if (digits > 1 && this.#text.charCodeAt(first) === DIGIT_0) return undefined
    if (digits > SAFE_DIGITS) return largeInteger(this.#text.slice(start, this.#at))
    return start === first ? small : 0 - small
  }

  #take(code: number): boolean {
    this.#skipSpace()
    if (this.#text.charCodeAt(this.#at) !== code) return false
    this.#at += 1
    return true
  }

  #takeWord(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) return false
    this.#at += word.length
    return true
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      if (code !== SPACE && code !== TAB && code !== LINE_FEED && code !== CARRIAGE_RETURN) return
      this.#at += 1
    }
  }
}

function findFrom(text: string, wanted: string, start: number): number {
  const found = text.indexOf(wanted, start)
  return found === -1 ? Infinity : found
}

function largeInteger(digits: string): number | bigint | undefined {
  // 64 bits have at most 20 digits; the limit keeps BigInt from working on a megabyte of them.
  if (digits.length > 21) return undefined
  const value = BigInt(digits)
  if (value < INT64_MIN || value > UINT64_MAX) return undefined
  const small = Number(value)
  return Number.isSafeInteger(small) ? small : value
}

function setMember(object: Record<string, JsonValue>, name: string, value: JsonValue): void {
  if (name === '__proto__') {
    Object.defineProperty(object, name, {
      value,
      enumerable: true,
      writable: true,
      configurable: true,
    })
  } else {
    object[name] = value
  }
}

/** Text for `value`: no white space, members sorted by bytes. Throws RangeError for what is no 64-bit integer. */
export function renderJson(value: JsonValue): string {
  if (typeof value === 'string') return quoteJson(value)
  if (typeof value === 'number' || typeof value === 'bigint') return renderInteger(value)
  if (typeof value === 'boolean') return value ? 'true' : 'false'
  if (value === null) return 'null'
  if (isArray(value)) return `[${value.map(renderJson).join(',')}]`
  return renderObject(value)
}

/** One string that grows: a manifest has tens of thousands of small objects, whose members are sorted already. */
function renderObject(value: JsonObject): string {
  let text = ''
  for (const [name, member] of inOrder(Object.entries(value))) {
    text += `${text === '' ? '' : ','}${quoteJson(name)}:${renderJson(member)}`
  }
  return `{${text}}`
}

function inOrder(entries: [string, JsonValue][]): readonly (readonly [string, JsonValue])[] {
  const isSorted = entries.every(
    ([name], index) => index === 0 || (entries[index - 1]?.[0] ?? '') < name,
  )
  return isSorted ? entries : entries.toSorted(([left], [right]) => compareBytes(left, right))
}

function renderInteger(value: number | bigint): string {
  const fits =
    typeof value === 'number'
      ? Number.isSafeInteger(value)
      : value >= INT64_MIN && value <= UINT64_MAX
  if (!fits) throw new RangeError(`${value} is not a 64-bit integer`)
  return String(value)
}

/** `Array.isArray` does not narrow readonly arrays. */
export function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value)
}

const ESCAPED = /["\\\b\f\n\r\t]/
const LETTER_OF: ReadonlyMap<string, string> = new Map(
  Array.from(ESCAPES, ([letter, character]) => [character, `\\${letter}`]),
)

/** `text` in quotes. Only these seven bytes are escaped; all others stand as they are. Source: pgBackRest 2.60. */
export function quoteJson(text: string): string {
  if (!ESCAPED.test(text)) return `"${text}"`
  return `"${text.replaceAll(/["\\\b\f\n\r\t]/g, (character) => LETTER_OF.get(character) ?? character)}"`
}

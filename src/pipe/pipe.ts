/**
 * How bytes move: a source of chunks, a row of filters, a taker that pulls.
 *
 * Pulling gives back-pressure for nothing, one reused read buffer per copy, and one place where hash, size, compression
 * and encryption are chained. Not for: files, networks, or knowing what the bytes mean.
 */
import { createHash } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'

/**
 * Bytes in order. A chunk is valid only until the next one is asked for: a taker that keeps it must copy it. Sources
 * throw AppError; a taker that stops early must `return()` the iterator (`for await` does).
 */
export type ByteSource = AsyncIterable<Buffer>

/** Made while it is taken, so that a kilobyte that holds a gigabyte of zeros never is a gigabyte of memory. */
export type FilterOutput = Iterable<Buffer> | AsyncIterable<Buffer>

/**
 * One stage of a copy: compression, encryption, a hash. Used once, then closed. Every output must be taken to its end,
 * or the filter closed, before the next call; errors surface while it is taken.
 */
export interface Filter {
  /** The output that `chunk` makes possible, perhaps none. `chunk` is not kept after the output has been taken. */
  update(chunk: Buffer): FilterOutput | Promise<FilterOutput>
  /** Called once after the last chunk: the rest of the output. Throws when the input ended too early. */
  end(): FilterOutput | Promise<FilterOutput>
  /** Frees native memory; safe to call twice and after an error. */
  close(): void
}

/** A filter that never waits. */
export interface SyncFilter extends Filter {
  update(chunk: Buffer): Iterable<Buffer>
  end(): Iterable<Buffer>
}

/** The bytes of `source` after every filter in turn. Filters are closed when this ends, however it ends. */
export async function* through(
  source: ByteSource,
  ...filters: readonly Filter[]
): AsyncGenerator<Buffer, void, undefined> {
  try {
    for await (const chunk of source) yield* pass([chunk], filters, 0)
    for (const [index, filter] of filters.entries()) {
      yield* pass(await filter.end(), filters, index + 1)
    }
  } finally {
    for (const filter of filters) filter.close()
  }
}

async function* pass(
  chunks: FilterOutput,
  filters: readonly Filter[],
  from: number,
): AsyncGenerator<Buffer, void, undefined> {
  const filter = filters[from]
  for await (const chunk of chunks) {
    if (filter === undefined) yield chunk
    else yield* pass(await filter.update(chunk), filters, from + 1)
  }
}

/** A filter that passes bytes on unchanged, counting and hashing them. */
export interface Measure extends Filter {
  /** Bytes seen so far. */
  readonly sizeBytes: number
  /** Lower-case hex SHA-1 of the bytes seen. Call once, after the end. */
  sha1(): string
}

export function measure(): Measure {
  const hash = createHash('sha1')
  let sizeBytes = 0
  return {
    get sizeBytes() {
      return sizeBytes
    },
    sha1: () => hash.digest('hex'),
    update: (chunk) => {
      hash.update(chunk)
      sizeBytes += chunk.length
      return [chunk]
    },
    end: () => [],
    close: () => undefined,
  }
}

/**
 * The same bytes, drawn one chunk ahead: while the taker waits for native code (compression in libuv's pool), the next
 * chunk is read and hashed. `source` must keep each chunk valid until the next but one is asked for: two buffers in turn.
 */
export async function* ahead(source: ByteSource): AsyncGenerator<Buffer, void, undefined> {
  const iterator = source[Symbol.asyncIterator]()
  const draw = async (): Promise<IteratorResult<Buffer, unknown>> => await iterator.next()
  let coming = draw()
  try {
    for (;;) {
      const next = await coming
      if (next.done === true) return
      // Not before the taker had its turn to hand this chunk to native code.
      coming = nextTurn().then(draw)
      // Its failure is thrown when it is awaited; a taker that stops before never sees it.
      coming.catch(() => undefined)
      yield next.value
    }
  } finally {
    await coming.catch(() => undefined)
    await iterator.return?.()
  }
}

/** The same bytes, of which the first are drawn; undefined when there are none. */
export async function unlessEmpty(source: ByteSource): Promise<ByteSource | undefined> {
  const iterator = source[Symbol.asyncIterator]()
  const first = await iterator.next()
  return first.done === true ? undefined : resumed(first.value, iterator)
}

async function* resumed(
  first: Buffer,
  iterator: AsyncIterator<Buffer>,
): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield first
    for (;;) {
      const next = await iterator.next()
      if (next.done === true) return
      yield next.value
    }
  } finally {
    await iterator.return?.()
  }
}

/** A source of one chunk. */
export async function* single(bytes: Buffer): AsyncGenerator<Buffer, void, undefined> {
  if (bytes.length > 0) yield bytes
}

/** Everything a source gives, as one new buffer. Throws RangeError past `sizeBytesMax`: callers say what is sane. */
export async function collect(source: ByteSource, sizeBytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of source) {
    sizeBytes += chunk.length
    if (sizeBytes > sizeBytesMax) throw new RangeError(`more than ${sizeBytesMax} bytes`)
    chunks.push(Buffer.from(chunk))
  }
  return Buffer.concat(chunks)
}

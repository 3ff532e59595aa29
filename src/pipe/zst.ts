/** zst by `node:zlib`, as stages of a copy. For compress.ts, which has the contracts. */
import { type AppError, assertThat } from '../base/error.ts'
import { KIB, MIB } from '../base/units.ts'
import { compressChunkBytes, corrupt, startHeld } from './native-stream.ts'
import type { Filter, SyncFilter } from './pipe.ts'
import { type ZstContext, zstCompressContext, zstDecompressContext } from './zst-context.ts'
import { zstFrame } from './zst-frame.ts'

/** Input up to this size is compressed at once: libzstd then knows its size, and chooses tables that fit. */
const HELD_BYTES_MAX = 1 * MIB
/** Output of a filter at a time. */
const OUTPUT_BYTES = 256 * KIB
/** How many contexts of a kind are kept, each with up to a few MiB. */
const IDLE_MAX = 2

const NOTHING = Buffer.alloc(0)

/** Contexts between two frames, with nothing to do, by level. */
const idleCompressing = new Map<number, ZstContext[]>()
const idleDecompressing: ZstContext[] = []
/** Output of `zstCompressNow` until it is copied. */
let scratch = NOTHING

function idleOf(level: number): ZstContext[] {
  const idle = idleCompressing.get(level) ?? []
  idleCompressing.set(level, idle)
  return idle
}

function giveBack(idle: ZstContext[], context: ZstContext): void {
  if (idle.length < IDLE_MAX) idle.push(context)
  else context.close()
}

/** One frame. */
export function zstCompressNow(content: Buffer, level: number): Buffer {
  const idle = idleOf(level)
  const context = idle.pop() ?? zstCompressContext(level)
  // With room for the worst case, libzstd compresses from buffer to buffer.
  const roomBytes = compressChunkBytes(content.length)
  if (scratch.length < roomBytes) scratch = Buffer.allocUnsafeSlow(roomBytes)
  const { takenBytes, madeBytes } = context.step(content, scratch, 'end')
  assertThat(takenBytes === content.length && madeBytes < scratch.length, 'a frame fits its bound')
  giveBack(idle, context)
  const frame = Buffer.allocUnsafe(madeBytes)
  scratch.copy(frame)
  return frame
}

export function zstCompressor(level: number): Filter {
  return startHeld({
    heldBytesMax: HELD_BYTES_MAX,
    whole: (bytes) => [zstCompressNow(bytes, level)],
    open: () => compressStream(level),
  })
}

function compressStream(level: number): SyncFilter {
  const idle = idleOf(level)
  const context = idle.pop() ?? zstCompressContext(level)
  const output = Buffer.allocUnsafeSlow(OUTPUT_BYTES)
  let state: 'in a frame' | 'ended' | 'closed' = 'in a frame'
  return {
    update: (chunk) => stepThrough(context, { input: chunk, output, mode: 'continue' }),
    *end() {
      yield* stepThrough(context, { input: NOTHING, output, mode: 'end' })
      state = 'ended'
    },
    close: () => {
      if (state === 'ended') giveBack(idle, context)
      else if (state === 'in a frame') context.close()
      state = 'closed'
    },
  }
}

/** What `node:zlib` of Node 26 neither takes nor complains of. */
function noFrame(): AppError {
  return corrupt('zst', 'what follows is no frame')
}

interface Stepping {
  readonly input: Buffer
  /** Filled again and again. */
  readonly output: Buffer
  readonly mode: 'continue' | 'end'
}

function* stepThrough(
  context: ZstContext,
  { input, output, mode }: Stepping,
): Generator<Buffer, void, undefined> {
  for (let rest = input; ; ) {
    const { takenBytes, madeBytes } = context.step(rest, output, mode)
    rest = rest.subarray(takenBytes)
    if (madeBytes > 0) yield output.subarray(0, madeBytes)
    // Full to the last byte: there may be more.
    if (rest.length === 0 && madeBytes < output.length) return
    if (takenBytes === 0 && madeBytes === 0) throw noFrame()
  }
}

/** Gives libzstd one frame at a time: Node 24.21 and 26.10 take garbage after a frame for the end. */
export function zstDecompressor(): SyncFilter {
  let context: ZstContext | undefined
  let frame = zstFrame()
  let state: 'empty' | 'in a frame' | 'between frames' = 'empty'
  const output = Buffer.allocUnsafeSlow(OUTPUT_BYTES)
  return {
    *update(chunk) {
      for (let rest = chunk; rest.length > 0; ) {
        context ??= idleDecompressing.pop() ?? zstDecompressContext()
        if (state === 'between frames') frame = zstFrame()
        state = 'in a frame'
        const input = rest.subarray(0, frame.take(rest))
        yield* stepThrough(context, { input, output, mode: 'continue' })
        if (frame.isComplete()) state = 'between frames'
        rest = rest.subarray(input.length)
      }
    },
    end: () => {
      if (state === 'empty') throw corrupt('zst', 'it is empty')
      if (state === 'in a frame') throw corrupt('zst', 'it ends too early')
      return []
    },
    close: () => {
      if (context === undefined) return
      if (state === 'between frames') giveBack(idleDecompressing, context)
      else context.close()
      context = undefined
    },
  }
}

/** How many bytes of `into` the content of all frames fills; undefined when it has no room for them. */
export function zstDecompressInto(bytes: Buffer, into: Buffer): number | undefined {
  const context = idleDecompressing.pop() ?? zstDecompressContext()
  try {
    const madeBytes = decompressFrames(context, bytes, into)
    if (madeBytes === undefined) context.close()
    else giveBack(idleDecompressing, context)
    return madeBytes
  } catch (error) {
    context.close()
    throw error
  }
}

/** Takes what does not fit. */
const spill = Buffer.allocUnsafeSlow(64)

function decompressFrames(context: ZstContext, bytes: Buffer, into: Buffer): number | undefined {
  if (bytes.length === 0) throw corrupt('zst', 'it is empty')
  let madeBytes = 0
  for (let rest = bytes; rest.length > 0; ) {
    const frame = zstFrame()
    const input = rest.subarray(0, frame.take(rest))
    if (!frame.isComplete()) throw corrupt('zst', 'it ends too early')
    const made = context.step(input, into.subarray(madeBytes), 'continue')
    madeBytes += made.madeBytes
    let takenBytes = made.takenBytes
    if (madeBytes === into.length) {
      const more = context.step(input.subarray(takenBytes), spill, 'continue')
      if (more.madeBytes > 0) return undefined
      takenBytes += more.takenBytes
    }
    if (takenBytes < input.length) throw noFrame()
    rest = rest.subarray(input.length)
  }
  return madeBytes
}

/** The content of all frames, a new buffer; undefined when it is more than `sizeBytes`. */
export function zstDecompressNow(bytes: Buffer, sizeBytes: number): Buffer | undefined {
  const into = Buffer.allocUnsafeSlow(sizeBytes)
  const madeBytes = zstDecompressInto(bytes, into)
  return madeBytes === undefined ? undefined : into.subarray(0, madeBytes)
}

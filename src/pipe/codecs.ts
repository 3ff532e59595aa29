/**
 * The WebAssembly module: LZ4 frames, bzip2, XXH3-128 and PostgreSQL page checksums, none of which Node has.
 *
 * Built from scripts/codecs.c by scripts/build-codecs.sh. Loaded at the first use, once per thread; its memory is what
 * the open codecs need (bzip2 at most 8 MiB each) and never more than 128 MiB, shared by all codecs of the thread.
 */
import { readFileSync } from 'node:fs'
import { AppError } from '../base/error.ts'

// @types/node has no WebAssembly, and lib.dom would bring the whole browser along.
declare const WebAssembly: {
  readonly Module: new (bytes: Buffer) => object
  readonly Instance: new (module: object) => { readonly exports: Readonly<Record<string, unknown>> }
}

type NativeCall = (...args: readonly number[]) => number

interface NativeMemory {
  /** Replaced by another one when the memory grows. */
  readonly buffer: ArrayBuffer
}

interface NativeModule {
  readonly call: (name: string) => NativeCall
  /** Copies at most `inputSizeBytes` bytes to where the module reads its input. */
  readonly put: (bytes: Buffer) => void
  /** A copy of the first bytes of the module's output. */
  readonly take: (sizeBytes: number) => Buffer
  readonly inputSizeBytes: number
}

const isCall = (value: unknown): value is NativeCall => typeof value === 'function'

const isMemory = (value: unknown): value is NativeMemory =>
  typeof value === 'object' &&
  value !== null &&
  'buffer' in value &&
  value.buffer instanceof ArrayBuffer

let loaded: NativeModule | undefined

function native(): NativeModule {
  loaded ??= load()
  return loaded
}

function load(): NativeModule {
  const module = new WebAssembly.Module(readFileSync(new URL('./codecs.wasm', import.meta.url)))
  const { exports } = new WebAssembly.Instance(module)
  const { memory } = exports
  if (!isMemory(memory)) throw new AppError('assert', "'codecs.wasm' has no memory")
  const call = (name: string): NativeCall => {
    const found = exports[name]
    if (!isCall(found)) throw new AppError('assert', `'codecs.wasm' has no function '${name}'`)
    return found
  }
  call('_initialize')()
  const inputAddress = call('input_address')()
  const outputAddress = call('output_address')()
  return {
    call,
    put: (bytes) => {
      new Uint8Array(memory.buffer, inputAddress, bytes.length).set(bytes)
    },
    take: (sizeBytes) => Buffer.from(new Uint8Array(memory.buffer, outputAddress, sizeBytes)),
    inputSizeBytes: call('input_size')(),
  }
}

/** In the order of `enum kind` in codecs.c. */
const CODEC_KINDS = [
  'lz4-compress',
  'lz4-compress-raw',
  'lz4-decompress',
  'bz2-compress',
  'bz2-decompress',
] as const
export type CodecKind = (typeof CODEC_KINDS)[number]

/** In the order of `enum status` in codecs.c. */
const STATUSES = ['hungry', 'full', 'ended', 'corrupt', 'no-memory'] as const

interface CodecRun {
  /** `hungry`: everything was taken. `ended`: the frame is complete, and the codec done. */
  readonly status: 'hungry' | 'ended' | 'corrupt'
  readonly takenBytes: number
}

/** One frame being written or read. Output is made while it is taken; other codecs may be used in between. */
export interface Codec {
  run(bytes: Buffer): Generator<Buffer, CodecRun, undefined>
  /** Compression only: the rest of the frame. */
  finish(): Generator<Buffer, CodecRun, undefined>
  /** Frees the codec's memory. Safe to call twice. */
  close(): void
}

/** `level` as in COMPRESS_LEVELS; decompression ignores it. Throws `memory`. */
export function openCodec(kind: CodecKind, level: number): Codec {
  const { call, put, take, inputSizeBytes } = native()
  const step = call('codec_run')
  const consumed = call('codec_consumed')
  const produced = call('codec_produced')
  const outOfMemory = (): AppError => new AppError('memory', `out of memory for '${kind}'`)
  let handle = call('codec_open')(CODEC_KINDS.indexOf(kind), level)
  if (handle === 0) throw outOfMemory()

  function* runPiece(piece: Buffer, last: 0 | 1): Generator<Buffer, CodecRun, undefined> {
    for (let takenBytes = 0; ; ) {
      if (handle === 0) throw new AppError('assert', `'${kind}' is used after its end`)
      // Each time anew: all codecs of the thread share the input buffer, and the taker may have used one.
      const rest = piece.subarray(takenBytes)
      put(rest)
      const status = STATUSES[step(handle, rest.length, last)]
      takenBytes += consumed()
      if (produced() > 0) yield take(produced())
      if (status === undefined || status === 'no-memory') throw outOfMemory()
      if (status !== 'full') return { status, takenBytes }
    }
  }
  return {
    *run(bytes) {
      for (let takenBytes = 0; takenBytes < bytes.length; ) {
        const ran = yield* runPiece(bytes.subarray(takenBytes, takenBytes + inputSizeBytes), 0)
        takenBytes += ran.takenBytes
        if (ran.status !== 'hungry') return { status: ran.status, takenBytes }
      }
      return { status: 'hungry', takenBytes: bytes.length }
    },
    finish: () => runPiece(Buffer.alloc(0), 1),
    close: () => {
      if (handle !== 0) call('codec_close')(handle)
      handle = 0
    },
  }
}

export interface PageRules {
  readonly pageSizeBytes: number
  /** Number of the first page in its relation. */
  readonly firstBlock: number
  readonly headerCheck: 'on' | 'off'
}

/** Indexes, in `pages`, of the pages that are wrong. `pages` is a whole number of pages. */
export function findBadPages(pages: Buffer, rules: PageRules): readonly number[] {
  const { call, put, take, inputSizeBytes } = native()
  const check = call('pages_check')
  const { pageSizeBytes } = rules
  const bad: number[] = []
  for (let at = 0; at < pages.length; at += inputSizeBytes) {
    const piece = pages.subarray(at, at + inputSizeBytes)
    const first = at / pageSizeBytes
    put(piece)
    const badCount = check(
      piece.length / pageSizeBytes,
      pageSizeBytes,
      rules.firstBlock + first,
      rules.headerCheck === 'on' ? 1 : 0,
    )
    if (badCount === 0) continue
    const found = take(badCount * Uint32Array.BYTES_PER_ELEMENT)
    for (let index = 0; index < badCount; index += 1) {
      bad.push(first + found.readUInt32LE(index * Uint32Array.BYTES_PER_ELEMENT))
    }
  }
  return bad
}

/** XXH3 of 128 bits with seed 0, in canonical (big-endian) form: 16 bytes. */
export function xxh128(bytes: Buffer): Buffer {
  const { call, put, take, inputSizeBytes } = native()
  call('hash_reset')()
  for (let at = 0; at < bytes.length; at += inputSizeBytes) {
    const piece = bytes.subarray(at, at + inputSizeBytes)
    put(piece)
    call('hash_update')(piece.length)
  }
  call('hash_digest')()
  return take(16)
}

/**
 * The WebAssembly module: LZ4 frames, bzip2, XXH3-128, PostgreSQL page checksums and digests of rows, none of which Node has.
 *
 * Built from scripts/codecs.c and scripts/rows.c by scripts/build-codecs.sh. Loaded at the first use, once per thread and use. The memory of the
 * codecs is what the open ones need (bzip2 at most 8 MiB each) and never more than 128 MiB. Pages and blocks are looked at in
 * a memory of its own that never grows, so that files can be read straight into it.
 */
import { readFileSync } from 'node:fs'
import { AppError } from '../base/error.ts'
import { KIB } from '../base/units.ts'

// @types/node has no WebAssembly, and lib.dom would bring the whole browser along.
declare const WebAssembly: {
  readonly Module: new (bytes: Buffer) => object
  readonly Instance: new (module: object) => { readonly exports: Readonly<Record<string, unknown>> }
}

type NativeCall = (...args: readonly number[]) => number

interface NativeMemory {
  /** Replaced by another one when the memory grows. */
  readonly buffer: ArrayBuffer
  /** By pages; answers how many there were. */
  grow(pages: number): number
}

interface NativeModule {
  readonly call: (name: string) => NativeCall
  /** Address of these bytes, copied to where the module reads its input unless they are in its memory: at most `inputSizeBytes`. */
  readonly put: (bytes: Buffer) => number
  /** The first bytes of the module's output, until it is called again. */
  readonly output: (sizeBytes: number) => Buffer
  readonly inputSizeBytes: number
  readonly memory: NativeMemory
}

const isCall = (value: unknown): value is NativeCall => typeof value === 'function'

const isMemory = (value: unknown): value is NativeMemory =>
  typeof value === 'object' &&
  value !== null &&
  'buffer' in value &&
  value.buffer instanceof ArrayBuffer &&
  'grow' in value &&
  typeof value.grow === 'function'

let compiled: object | undefined
let codecs: NativeModule | undefined
let looks: NativeModule | undefined

/** For codecs, whose memory grows. */
function forCodecs(): NativeModule {
  codecs ??= load()
  return codecs
}

/** For what only looks at bytes. */
function forLooks(): NativeModule {
  looks ??= load()
  return looks
}

function load(): NativeModule {
  compiled ??= new WebAssembly.Module(readFileSync(new URL('./codecs.wasm', import.meta.url)))
  const { exports } = new WebAssembly.Instance(compiled)
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
      if (bytes.buffer === memory.buffer) return bytes.byteOffset
      new Uint8Array(memory.buffer, inputAddress, bytes.length).set(bytes)
      return inputAddress
    },
    output: (sizeBytes) => Buffer.from(memory.buffer, outputAddress, sizeBytes),
    inputSizeBytes: call('input_size')(),
    memory,
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
  const { call, put, output, inputSizeBytes } = forCodecs()
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
      if (produced() > 0) yield Buffer.from(output(produced()))
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
  const { call, put, output, inputSizeBytes } = forLooks()
  const check = call('pages_check')
  const { pageSizeBytes } = rules
  const bad: number[] = []
  for (let at = 0; at < pages.length; at += inputSizeBytes) {
    const piece = pages.subarray(at, at + inputSizeBytes)
    const first = at / pageSizeBytes
    const badCount = check(
      put(piece),
      piece.length / pageSizeBytes,
      pageSizeBytes,
      rules.firstBlock + first,
      rules.headerCheck === 'on' ? 1 : 0,
    )
    if (badCount === 0) continue
    const found = output(badCount * Uint32Array.BYTES_PER_ELEMENT)
    for (let index = 0; index < badCount; index += 1) {
      bad.push(first + found.readUInt32LE(index * Uint32Array.BYTES_PER_ELEMENT))
    }
  }
  return bad
}

const XXH128_BYTES = 16

/** XXH3 of 128 bits with seed 0, in canonical (big-endian) form: 16 bytes. */
export function xxh128(bytes: Buffer): Buffer {
  const { call, put, output, inputSizeBytes } = forLooks()
  call('hash_reset')()
  for (let at = 0; at < bytes.length; at += inputSizeBytes) {
    const piece = bytes.subarray(at, at + inputSizeBytes)
    call('hash_update')(put(piece), piece.length)
  }
  call('hash_digest')()
  return Buffer.from(output(XXH128_BYTES))
}

/** `xxh128` of each block, the last of which may be shorter: the first bytes of it, in hex. */
export function blockDigests(
  blocks: Buffer,
  { sizeBytes, checksumSizeBytes }: BlockSizes,
): readonly string[] {
  const { call, put, output, inputSizeBytes } = forLooks()
  const digests: string[] = []
  const stepBytes = Math.max(1, Math.floor(inputSizeBytes / sizeBytes)) * sizeBytes
  for (let at = 0; at < blocks.length; at += stepBytes) {
    const piece = blocks.subarray(at, at + stepBytes)
    const count = piece.length > inputSizeBytes ? 0 : Math.floor(piece.length / sizeBytes)
    if (count > 0) call('blocks_hash')(put(piece), count, sizeBytes)
    const found = output(count * XXH128_BYTES)
    for (let digest = 0; digest < found.length; digest += XXH128_BYTES) {
      digests.push(found.toString('hex', digest, digest + checksumSizeBytes))
    }
    const rest = piece.subarray(count * sizeBytes)
    if (rest.length > 0) digests.push(xxh128(rest).toString('hex', 0, checksumSizeBytes))
  }
  return digests
}

interface BlockSizes {
  readonly sizeBytes: number
  readonly checksumSizeBytes: number
}

/** Of what is lent at a time; what is larger is an ordinary buffer. */
const LENT_BYTES_MAX = 1536 * KIB
const LENT_MAX = 4
const WASM_PAGE_BYTES = 64 * KIB

export interface Lent extends Disposable {
  readonly buffer: Buffer
}

let toLend: Buffer[] | undefined

/** A buffer that pages and blocks are looked at in without a copy, if there is one. Its content is anybody's. */
export function lendBuffer(sizeBytes: number): Lent {
  const free = (toLend ??= makeBuffers())
  const lent = sizeBytes > LENT_BYTES_MAX ? undefined : free.pop()
  if (lent === undefined) {
    return { buffer: Buffer.allocUnsafeSlow(sizeBytes), [Symbol.dispose]: () => undefined }
  }
  return {
    buffer: lent.subarray(0, sizeBytes),
    [Symbol.dispose]: () => {
      free.push(lent)
    },
  }
}

/** The memory grows this once: whatever lies in it would be gone when it grew again. */
function makeBuffers(): Buffer[] {
  const { memory } = forLooks()
  const pages = memory.grow((LENT_MAX * LENT_BYTES_MAX) / WASM_PAGE_BYTES)
  return Array.from({ length: LENT_MAX }, (_, index) =>
    Buffer.from(memory.buffer, pages * WASM_PAGE_BYTES + index * LENT_BYTES_MAX, LENT_BYTES_MAX),
  )
}

/** What a table's fingerprint says about its rows; see format/fingerprint.ts. */
export interface RowsDigest {
  readonly rows: bigint
  /** 64 hex digits. */
  readonly digest: string
  /** Of all 256, by the first byte of a row's hash: how many rows, and the low 64 bits of their sum. Little-endian. */
  readonly buckets: Buffer
}

/** Lines as `COPY … TO STDOUT` gives them, cut anywhere. */
export interface RowDigester extends Disposable {
  update(chunk: Buffer): void
  /** Of all lines so far. Throws `protocol` when the last one has no end. */
  result(): RowsDigest
}

const COUNT_BYTES = 8
const SUM_BYTES = 32
const BUCKETS_BYTES = 256 * 16

export function openRowDigester(): RowDigester {
  const { call, put, inputSizeBytes, memory } = forCodecs()
  const update = call('rows_update')
  let handle = call('rows_open')()
  if (handle === 0) throw new AppError('memory', 'out of memory for the digest of rows')
  return {
    update: (chunk) => {
      for (let at = 0; at < chunk.length; at += inputSizeBytes) {
        const piece = chunk.subarray(at, at + inputSizeBytes)
        update(handle, put(piece), piece.length)
      }
    },
    result: () => {
      if (call('rows_unfinished')(handle) !== 0) {
        throw new AppError('protocol', 'the last row ends in its middle')
      }
      const found = Buffer.from(memory.buffer, handle, COUNT_BYTES + SUM_BYTES + BUCKETS_BYTES)
      return {
        rows: found.readBigUInt64LE(),
        digest: found.toString('hex', COUNT_BYTES, COUNT_BYTES + SUM_BYTES),
        buckets: Buffer.from(found.subarray(COUNT_BYTES + SUM_BYTES)),
      }
    },
    [Symbol.dispose]: () => {
      if (handle !== 0) call('rows_close')(handle)
      handle = 0
    },
  }
}

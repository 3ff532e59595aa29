/**
 * The block map: where the blocks of a block-incremental file are stored, one after the other.
 *
 * Blocks are stored in super blocks, each compressed and encrypted for itself, in the backup that saw them change. The map
 * is the tail of the file's stored bytes in the newest of these backups. Source: pgBackRest 2.60 (written since 2.46).
 */
import { AppError, assertThat } from '../base/error.ts'

/** A row of blocks stored as one. */
export interface SuperBlock {
  /** Place, in the manifest's `references`, of the backup that stores it. */
  readonly reference: number
  /** The bundle that holds it; 0 when the file is an object of its own there. */
  readonly bundleId: number
  /** Where it begins in that object. */
  readonly offsetBytes: number
  readonly storedBytes: number
  /** Size of its content: whole blocks, the last one perhaps short. */
  readonly sizeBytes: number
}

export interface MapBlock {
  readonly superBlock: SuperBlock
  /** Place of the block in its super block, from 0. */
  readonly index: number
  /** The first bytes of the block's XXH3-128, lower-case hex. */
  readonly checksum: string
}

export interface BlockSizes {
  readonly sizeBytes: number
  readonly checksumSizeBytes: number
}

// Bits of the header of a run of blocks with one reference.
const LAST = 1
/** At the first run of a reference. */
const BUNDLE_ID = 2
/** At later runs: more blocks of the super block at which the reference stopped. */
const CONTINUE = 2
const OFFSET = 4
/** With CONTINUE: the run has no other super block. */
const CONTINUE_LAST = 4

// Bits of the header of a run of blocks with one super block; LAST too.
const CHANGE = 2
const TOTAL = 4

/** Bits below a header's value. */
const FLAGS = 8

/** Where the runs of one reference have come to. */
interface Position {
  readonly superBlock: SuperBlock
  readonly nextIndex: number
}

/** Blocks in file order; those of one super block share the object. Throws `format`. */
export function decodeBlockMap(bytes: Buffer, sizes: BlockSizes): readonly MapBlock[] {
  const input = openInput(bytes)
  if (input.varint() % 2 !== 0) throw corrupt('its version is unknown')
  const decoder: Decoder = { input, sizes, blocks: [], positions: new Map(), lastStoredBytes: 0 }
  for (;;) {
    const header = input.varint()
    decodeRun(decoder, Math.floor(header / FLAGS), header % FLAGS)
    if ((header & LAST) !== 0) break
  }
  if (input.leftBytes() > 0) throw corrupt('something else follows its end')
  return decoder.blocks
}

interface Decoder {
  readonly input: Input
  readonly sizes: BlockSizes
  readonly blocks: MapBlock[]
  readonly positions: Map<number, Position>
  /** Stored size of the super block before, of whatever reference; 0 before the first. */
  lastStoredBytes: number
}

/** All blocks up to a change of the reference. */
function decodeRun(decoder: Decoder, reference: number, flags: number): void {
  const { input, positions, sizes } = decoder
  let position = positions.get(reference)
  let gapBytes = 0
  if (position === undefined) {
    const bundleId = (flags & BUNDLE_ID) === 0 ? 0 : input.varint()
    const offsetBytes = (flags & OFFSET) === 0 ? 0 : input.varint()
    position = startOf({ reference, bundleId, offsetBytes }, sizes)
  } else if ((flags & CONTINUE) === 0) {
    gapBytes = (flags & OFFSET) === 0 ? 0 : input.varint()
  } else {
    position = decodeBlocks(decoder, position, 'counted')
    if ((flags & CONTINUE_LAST) !== 0) {
      positions.set(reference, position)
      return
    }
  }
  for (;;) {
    const header = input.varint()
    const superBlock = decodeSuperBlock(decoder, position.superBlock, { header, gapBytes })
    gapBytes = 0
    const counted = (header & TOTAL) === 0 ? 'whole' : 'counted'
    position = decodeBlocks(decoder, { superBlock, nextIndex: 0 }, counted)
    if ((header & LAST) !== 0) break
  }
  positions.set(reference, position)
}

/** Before the first super block of a reference: an empty one that ends where that begins. */
function startOf(
  place: Pick<SuperBlock, 'reference' | 'bundleId' | 'offsetBytes'>,
  { sizeBytes }: BlockSizes,
): Position {
  return { superBlock: { ...place, storedBytes: 0, sizeBytes }, nextIndex: 0 }
}

interface SuperBlockHeader {
  readonly header: number
  /** Bytes of the object between the super block before and this one. */
  readonly gapBytes: number
}

function decodeSuperBlock(
  { input, sizes, lastStoredBytes }: Decoder,
  before: SuperBlock,
  { header, gapBytes }: SuperBlockHeader,
): SuperBlock {
  const value = Math.floor(header / FLAGS)
  const storedBytes = lastStoredBytes === 0 ? value : lastStoredBytes + signedOf(value)
  let { sizeBytes } = before
  if ((header & CHANGE) !== 0) {
    const size = input.varint()
    sizeBytes = Math.floor(size / 2) * sizes.sizeBytes + (size % 2 === 0 ? 0 : input.varint())
  }
  const offsetBytes = before.offsetBytes + before.storedBytes + gapBytes
  if (storedBytes < 1 || sizeBytes < 1 || !Number.isSafeInteger(offsetBytes + storedBytes)) {
    throw corrupt('a super block has an impossible size')
  }
  return { ...before, offsetBytes, storedBytes, sizeBytes }
}

/** Adds blocks of one super block: as many as it has, or as are counted. */
function decodeBlocks(
  decoder: Decoder,
  { superBlock, nextIndex }: Position,
  counted: 'whole' | 'counted',
): Position {
  const { input, blocks, sizes } = decoder
  const blockCount = Math.ceil(superBlock.sizeBytes / sizes.sizeBytes)
  let first = nextIndex
  let end = blockCount
  if (counted === 'counted') {
    const total = input.varint()
    if (total % 2 !== 0) first += input.varint()
    end = first + Math.floor(total / 2) + 1
  }
  if (end > blockCount) throw corrupt('a super block has fewer blocks than are used')
  for (let index = first; index < end; index += 1) {
    blocks.push({ superBlock, index, checksum: input.hex(sizes.checksumSizeBytes) })
  }
  decoder.lastStoredBytes = superBlock.storedBytes
  return { superBlock, nextIndex: end }
}

/** Blocks of one super block that follow each other in the file. */
interface SuperBlockRun {
  readonly superBlock: SuperBlock
  readonly firstIndex: number
  readonly checksums: string[]
}

/** `blocks`, at least one, are in file order; each reference's super blocks are in the order of their offsets. */
export function encodeBlockMap(blocks: readonly MapBlock[], sizes: BlockSizes): Buffer {
  assertThat(blocks.length > 0, 'a block map has blocks')
  const runs = runsOf(blocks)
  const output = openOutput()
  const encoder: Encoder = { output, sizes, positions: new Map(), lastStoredBytes: 0 }
  output.varint(0)
  for (const [index, run] of runs.entries()) {
    encodeRun(encoder, run, index === runs.length - 1 ? LAST : 0)
  }
  return output.bytes()
}

/** Runs of super blocks, grouped by reference. */
function runsOf(blocks: readonly MapBlock[]): readonly (readonly SuperBlockRun[])[] {
  const runs: SuperBlockRun[][] = []
  for (const { superBlock, index, checksum } of blocks) {
    const group = runs.at(-1)
    const run = group?.at(-1)
    if (run !== undefined && isSame(run.superBlock, superBlock)) {
      assertThat(index === run.firstIndex + run.checksums.length, 'blocks are stored in file order')
      run.checksums.push(checksum)
      continue
    }
    const next = { superBlock, firstIndex: index, checksums: [checksum] }
    if (group !== undefined && run?.superBlock.reference === superBlock.reference) group.push(next)
    else runs.push([next])
  }
  return runs
}

function isSame(left: SuperBlock, right: SuperBlock): boolean {
  return left.reference === right.reference && left.offsetBytes === right.offsetBytes
}

interface Encoder {
  readonly output: Output
  readonly sizes: BlockSizes
  readonly positions: Map<number, Position>
  lastStoredBytes: number
}

function encodeRun(encoder: Encoder, runs: readonly SuperBlockRun[], last: number): void {
  const [first] = runs
  assertThat(first !== undefined, 'a run is not empty')
  const { reference, bundleId, offsetBytes } = first.superBlock
  const { output, positions } = encoder
  const known = positions.get(reference)
  let position = known ?? startOf(first.superBlock, encoder.sizes)
  let rest = runs
  if (known === undefined) {
    const flags = bitOf(BUNDLE_ID, bundleId) + bitOf(OFFSET, offsetBytes)
    output.varint(reference * FLAGS + last + flags)
    output.unlessZero(bundleId)
    output.unlessZero(offsetBytes)
  } else if (isSame(known.superBlock, first.superBlock)) {
    rest = runs.slice(1)
    output.varint(reference * FLAGS + last + CONTINUE + (rest.length === 0 ? CONTINUE_LAST : 0))
    position = encodeBlocks(encoder, known, { run: first, counted: 'counted' })
  } else {
    const gapBytes = offsetBytes - endOf(known.superBlock)
    assertThat(gapBytes >= 0, 'super blocks are stored in file order')
    output.varint(reference * FLAGS + last + bitOf(OFFSET, gapBytes))
    output.unlessZero(gapBytes)
  }
  for (const [index, run] of rest.entries()) {
    const isLast = index === rest.length - 1 ? LAST : 0
    position = encodeSuperBlock(encoder, position.superBlock, { run, last: isLast })
  }
  positions.set(reference, position)
}

/** The bit that says that a number other than 0 follows. */
function bitOf(bit: number, value: number): number {
  return value > 0 ? bit : 0
}

function endOf({ offsetBytes, storedBytes }: SuperBlock): number {
  return offsetBytes + storedBytes
}

function encodeSuperBlock(
  encoder: Encoder,
  before: SuperBlock,
  { run, last }: { readonly run: SuperBlockRun; readonly last: number },
): Position {
  const { output, sizes, lastStoredBytes } = encoder
  const { superBlock, firstIndex, checksums } = run
  const { storedBytes, sizeBytes } = superBlock
  const blockCount = Math.ceil(sizeBytes / sizes.sizeBytes)
  const isWhole = firstIndex === 0 && checksums.length === blockCount
  const isChanged = sizeBytes !== before.sizeBytes
  const value = lastStoredBytes === 0 ? storedBytes : unsignedOf(storedBytes - lastStoredBytes)
  output.varint(value * FLAGS + last + (isChanged ? CHANGE : 0) + (isWhole ? 0 : TOTAL))
  if (isChanged) {
    const remainderBytes = sizeBytes % sizes.sizeBytes
    output.varint(Math.floor(sizeBytes / sizes.sizeBytes) * 2 + bitOf(1, remainderBytes))
    output.unlessZero(remainderBytes)
  }
  const counted = isWhole ? 'whole' : 'counted'
  return encodeBlocks(encoder, { superBlock, nextIndex: 0 }, { run, counted })
}

function encodeBlocks(
  encoder: Encoder,
  { superBlock, nextIndex }: Position,
  { run, counted }: { readonly run: SuperBlockRun; readonly counted: 'whole' | 'counted' },
): Position {
  const { output } = encoder
  if (counted === 'counted') {
    const skipped = run.firstIndex - nextIndex
    assertThat(skipped >= 0, 'blocks are stored in file order')
    output.varint((run.checksums.length - 1) * 2 + bitOf(1, skipped))
    output.unlessZero(skipped)
  }
  for (const checksum of run.checksums) output.hex(checksum)
  encoder.lastStoredBytes = superBlock.storedBytes
  return { superBlock, nextIndex: run.firstIndex + run.checksums.length }
}

/** Zigzag: 0, -1, 1, -2, 2 … are 0, 1, 2, 3, 4 … */
function unsignedOf(value: number): number {
  return value >= 0 ? value * 2 : -value * 2 - 1
}

function signedOf(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2
}

interface Input {
  /** Groups of 7 bits, the lowest first; bit 7 says that another one follows. */
  varint(): number
  /** The next bytes, as lower-case hex. */
  hex(sizeBytes: number): string
  leftBytes(): number
}

function openInput(bytes: Buffer): Input {
  let at = 0
  return {
    varint: () => {
      let value = 0
      for (let factor = 1; ; factor *= 128) {
        const byte = bytes[at]
        if (byte === undefined) throw corrupt('it ends too early')
        at += 1
        value += (byte & 127) * factor
        if (!Number.isSafeInteger(value)) throw corrupt('a number is too large')
        if (byte < 128) return value
      }
    },
    hex: (sizeBytes) => {
      if (sizeBytes > bytes.length - at) throw corrupt('it ends too early')
      at += sizeBytes
      return bytes.toString('hex', at - sizeBytes, at)
    },
    leftBytes: () => bytes.length - at,
  }
}

interface Output {
  varint(value: number): void
  unlessZero(value: number): void
  hex(text: string): void
  bytes(): Buffer
}

function openOutput(): Output {
  const written: number[] = []
  const varint = (value: number): void => {
    let rest = value
    for (; rest >= 128; rest = Math.floor(rest / 128)) written.push((rest % 128) + 128)
    written.push(rest)
  }
  return {
    varint,
    unlessZero: (value) => {
      if (value > 0) varint(value)
    },
    hex: (text) => {
      for (const byte of Buffer.from(text, 'hex')) written.push(byte)
    },
    bytes: () => Buffer.from(written),
  }
}

function corrupt(what: string): AppError {
  return new AppError('format', `block map is corrupt: ${what}`)
}

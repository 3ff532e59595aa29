/** Where a zstd frame ends: RFC 8878, without looking at the content. */
import { corrupt } from './native-stream.ts'

export interface ZstFrame {
  /** How many of these bytes, which follow the ones given before, belong to the frame. Throws `format`: no frame. */
  take(bytes: Buffer): number
  /** The last byte taken was the frame's last. */
  isComplete(): boolean
}

const FRAME_MAGIC = 0xfd2fb528
/** Skippable frames: the lowest four bits are free. */
const SKIPPABLE_MAGIC = 0x184d2a50
const CHECKSUM_BYTES = 4

/** The number that is read next, little-endian, after what is to be skipped. */
type Field = 'magic' | 'skippable-size' | 'descriptor' | 'block' | 'none'

const FIELD_BYTES: Readonly<Record<Field, number>> = {
  magic: 4,
  'skippable-size': 4,
  descriptor: 1,
  block: 3,
  none: 0,
}

interface Step {
  readonly skipBytes: number
  readonly field: Field
}

export function zstFrame(): ZstFrame {
  let step: Step = { skipBytes: 0, field: 'magic' }
  let checksumBytes = 0
  let value = 0
  let valueBytes = 0

  const follow = (): Step => {
    switch (step.field) {
      case 'magic':
        return afterMagic(value)
      case 'skippable-size':
        return { skipBytes: value, field: 'none' }
      case 'descriptor':
        checksumBytes = (value & 4) === 0 ? 0 : CHECKSUM_BYTES
        return { skipBytes: headerBytes(value), field: 'block' }
      case 'block':
        return afterBlockHeader(value, checksumBytes)
      case 'none':
        return step
    }
  }
  return {
    take: (bytes) => {
      let at = 0
      while (at < bytes.length && (step.skipBytes > 0 || step.field !== 'none')) {
        if (step.skipBytes > 0) {
          const skipped = Math.min(step.skipBytes, bytes.length - at)
          step = { skipBytes: step.skipBytes - skipped, field: step.field }
          at += skipped
          continue
        }
        value += (bytes[at] ?? 0) * 256 ** valueBytes
        valueBytes += 1
        at += 1
        if (valueBytes < FIELD_BYTES[step.field]) continue
        step = follow()
        value = 0
        valueBytes = 0
      }
      return at
    },
    isComplete: () => step.skipBytes === 0 && step.field === 'none',
  }
}

function afterMagic(magic: number): Step {
  if (magic === FRAME_MAGIC) return { skipBytes: 0, field: 'descriptor' }
  if (magic - (magic % 16) === SKIPPABLE_MAGIC) return { skipBytes: 0, field: 'skippable-size' }
  throw corrupt('zst', 'no frame where one must start')
}

/** Bytes of the frame's header after its descriptor: window, dictionary id, content size. */
function headerBytes(descriptor: number): number {
  const isSingleSegment = (descriptor & 0x20) !== 0
  const sizeFlag = descriptor >> 6
  const contentSizeBytes = sizeFlag === 0 ? (isSingleSegment ? 1 : 0) : 2 ** sizeFlag
  const dictionaryFlag = descriptor & 3
  const dictionaryBytes = dictionaryFlag === 0 ? 0 : 2 ** (dictionaryFlag - 1)
  return (isSingleSegment ? 0 : 1) + dictionaryBytes + contentSizeBytes
}

/** Bit 0: the last block. Bits 1 and 2: type, 1 being one byte to repeat. The rest: size. */
function afterBlockHeader(header: number, checksumBytes: number): Step {
  const contentBytes = ((header >> 1) & 3) === 1 ? 1 : header >> 3
  return (header & 1) === 1
    ? { skipBytes: contentBytes + checksumBytes, field: 'none' }
    : { skipBytes: contentBytes, field: 'block' }
}

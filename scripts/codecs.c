/*
 * What src/pipe/codecs.wasm is made of, with rows.c: LZ4 frames, bzip2, XXH3-128 and the PostgreSQL page checksum.
 *
 * Everything comes out of a fixed buffer, and what is compressed or decompressed comes in by another one: the caller writes
 * at most INPUT_SIZE bytes to `input`, calls, and copies what it wants out of `output` before the next call. What is only
 * looked at, pages and blocks, may lie anywhere in the memory. Calls never overlap: one instance belongs to one thread.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LZ4F_STATIC_LINKING_ONLY
#include "bzlib.h"
#include "lz4frame.h"
#define XXH_INLINE_ALL
#include <xxhash.h>

#define EXPORT(name) __attribute__((export_name(#name))) name

enum { INPUT_SIZE = 256 * 1024, OUTPUT_SIZE = 384 * 1024 };

_Alignas(64) static uint8_t input[INPUT_SIZE];
_Alignas(64) static uint8_t output[OUTPUT_SIZE];

uint8_t *EXPORT(input_address)(void) { return input; }
uint32_t EXPORT(input_size)(void) { return INPUT_SIZE; }
uint8_t *EXPORT(output_address)(void) { return output; }

/* Called by libbz2 built without stdio, for its own bugs only. */
void bz_internal_error(int code) {
  (void)code;
  __builtin_trap();
}

/* ---- Streams ---- */

/* Numbers shared with src/pipe/codecs.ts. */
enum kind { LZ4_COMPRESS, LZ4_COMPRESS_RAW, LZ4_DECOMPRESS, BZ2_COMPRESS, BZ2_DECOMPRESS };

/* HUNGRY: all input was taken, all output given. FULL: call again with the rest of the input, which may be nothing. */
enum status { HUNGRY, FULL, ENDED, CORRUPT, NO_MEMORY };

struct codec {
  enum kind kind;
  int begun;
  LZ4F_preferences_t preferences;
  LZ4F_cctx *lz4_compress;
  LZ4F_dctx *lz4_decompress;
  bz_stream bz;
};

static uint32_t consumed, produced;

uint32_t EXPORT(codec_consumed)(void) { return consumed; }
uint32_t EXPORT(codec_produced)(void) { return produced; }

void EXPORT(codec_close)(struct codec *codec) {
  LZ4F_freeCompressionContext(codec->lz4_compress);
  LZ4F_freeDecompressionContext(codec->lz4_decompress);
  if (codec->kind == BZ2_COMPRESS) BZ2_bzCompressEnd(&codec->bz);
  if (codec->kind == BZ2_DECOMPRESS) BZ2_bzDecompressEnd(&codec->bz);
  free(codec);
}

static int start(struct codec *codec, int level) {
  switch (codec->kind) {
  case LZ4_COMPRESS:
  case LZ4_COMPRESS_RAW:
    /* Zeros elsewhere mean 64 KiB linked blocks without content size: what pgBackRest 2.60 writes. */
    codec->preferences.compressionLevel = level;
    codec->preferences.frameInfo.contentChecksumFlag =
        codec->kind == LZ4_COMPRESS ? LZ4F_contentChecksumEnabled : LZ4F_noContentChecksum;
    if (LZ4F_compressBound(INPUT_SIZE, &codec->preferences) > OUTPUT_SIZE) __builtin_trap();
    return !LZ4F_isError(LZ4F_createCompressionContext(&codec->lz4_compress, LZ4F_VERSION));
  case LZ4_DECOMPRESS:
    return !LZ4F_isError(LZ4F_createDecompressionContext(&codec->lz4_decompress, LZ4F_VERSION));
  case BZ2_COMPRESS:
    return BZ2_bzCompressInit(&codec->bz, level, 0, 0) == BZ_OK;
  case BZ2_DECOMPRESS:
    return BZ2_bzDecompressInit(&codec->bz, 0, 0) == BZ_OK;
  }
  __builtin_trap();
}

/* 0 when there is no memory. `level` is used by the compressing kinds only. */
struct codec *EXPORT(codec_open)(enum kind kind, int level) {
  struct codec *codec = calloc(1, sizeof *codec);
  if (codec == NULL) return NULL;
  codec->kind = kind;
  if (start(codec, level)) return codec;
  codec_close(codec);
  return NULL;
}

static enum status lz4_compress(struct codec *codec, uint32_t in_size, int last) {
  size_t size;
  if (!codec->begun) {
    size = LZ4F_compressBegin(codec->lz4_compress, output, OUTPUT_SIZE, &codec->preferences);
  } else if (in_size > 0) {
    size = LZ4F_compressUpdate(codec->lz4_compress, output, OUTPUT_SIZE, input, in_size, NULL);
    consumed = in_size;
  } else if (last) {
    size = LZ4F_compressEnd(codec->lz4_compress, output, OUTPUT_SIZE, NULL);
  } else {
    return HUNGRY;
  }
  /* The output buffer holds the worst case, so only memory can be short. */
  if (LZ4F_isError(size)) return NO_MEMORY;
  produced = size;
  if (!codec->begun) {
    codec->begun = 1;
    return FULL;
  }
  return consumed > 0 ? (last ? FULL : HUNGRY) : ENDED;
}

static enum status lz4_decompress(struct codec *codec, uint32_t in_size) {
  size_t out_size = OUTPUT_SIZE, taken = in_size;
  const size_t hint = LZ4F_decompress(codec->lz4_decompress, output, &out_size, input, &taken, NULL);
  if (LZ4F_isError(hint))
    return LZ4F_getErrorCode(hint) == LZ4F_ERROR_allocation_failed ? NO_MEMORY : CORRUPT;
  consumed = taken;
  produced = out_size;
  if (hint == 0) return ENDED;
  return taken < in_size || out_size == OUTPUT_SIZE ? FULL : HUNGRY;
}

static enum status bz2(struct codec *codec, uint32_t in_size, int last) {
  bz_stream *bz = &codec->bz;
  bz->next_in = (char *)input;
  bz->avail_in = in_size;
  bz->next_out = (char *)output;
  bz->avail_out = OUTPUT_SIZE;
  int result;
  if (codec->kind == BZ2_DECOMPRESS) result = BZ2_bzDecompress(bz);
  else if (in_size > 0 || last) result = BZ2_bzCompress(bz, last ? BZ_FINISH : BZ_RUN);
  else return HUNGRY;
  consumed = in_size - bz->avail_in;
  produced = OUTPUT_SIZE - bz->avail_out;
  if (result == BZ_STREAM_END) return ENDED;
  if (result == BZ_MEM_ERROR) return NO_MEMORY;
  if (result < 0) return CORRUPT;
  return bz->avail_in > 0 || bz->avail_out == 0 ? FULL : HUNGRY;
}

/*
 * Works on the first `size` bytes of the input buffer; see codec_consumed and codec_produced for what it did. `last`
 * (compression only): nothing follows these bytes. After ENDED a decompressing codec must be closed.
 */
enum status EXPORT(codec_run)(struct codec *codec, uint32_t size, int last) {
  consumed = produced = 0;
  switch (codec->kind) {
  case LZ4_COMPRESS:
  case LZ4_COMPRESS_RAW:
    return lz4_compress(codec, size, last);
  case LZ4_DECOMPRESS:
    return lz4_decompress(codec, size);
  case BZ2_COMPRESS:
  case BZ2_DECOMPRESS:
    return bz2(codec, size, last);
  }
  __builtin_trap();
}

/* ---- XXH3, 128 bits, seed 0 ---- */

static XXH3_state_t hash;

void EXPORT(hash_reset)(void) { XXH3_128bits_reset(&hash); }
void EXPORT(hash_update)(const uint8_t *bytes, uint32_t size) { XXH3_128bits_update(&hash, bytes, size); }

/* Leaves the canonical (big-endian) form, 16 bytes, in the output buffer. */
void EXPORT(hash_digest)(void) {
  XXH128_canonicalFromHash((XXH128_canonical_t *)output, XXH3_128bits_digest(&hash));
}

/* Leaves the digests of `count` blocks of `block_size` in the output buffer; they are no more than INPUT_SIZE together. */
void EXPORT(blocks_hash)(const uint8_t *blocks, uint32_t count, uint32_t block_size) {
  for (uint32_t index = 0; index < count; index++)
    XXH128_canonicalFromHash((XXH128_canonical_t *)output + index, XXH3_128bits(blocks + index * block_size, block_size));
}

/* ---- PostgreSQL pages: bufpage.h and checksum_impl.h of PostgreSQL 9.3 to 18 ---- */

enum { LANES = 32, CHECKSUM_OFFSET = 8, UPPER_OFFSET = 14 };

static const uint32_t LANE_START[LANES] = {
    0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
    0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
    0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
    0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756};

static inline uint32_t mix(uint32_t lane, uint32_t value) {
  const uint32_t mixed = lane ^ value;
  return mixed * 16777619u ^ mixed >> 17;
}

/* `page` must have a zero in its checksum field. */
static uint16_t page_checksum(const uint32_t *page, uint32_t page_size, uint32_t block) {
  uint32_t lanes[LANES];
  memcpy(lanes, LANE_START, sizeof lanes);
  for (const uint32_t *row = page; row < page + page_size / 4; row += LANES)
    for (int lane = 0; lane < LANES; lane++) lanes[lane] = mix(lanes[lane], row[lane]);
  for (int round = 0; round < 2; round++)
    for (int lane = 0; lane < LANES; lane++) lanes[lane] = mix(lanes[lane], 0);
  uint32_t all = block;
  for (int lane = 0; lane < LANES; lane++) all ^= lanes[lane];
  return all % 65535 + 1;
}

static int is_zero(const uint8_t *page, uint32_t page_size) {
  return page[0] == 0 && memcmp(page, page + 1, page_size - 1) == 0;
}

/*
 * Checks `count` whole pages, the first being block `block` of its relation. Leaves the indexes of the bad ones in the
 * output buffer, as uint32, and returns how many they are. A page that says it is new (by pd_upper with `header_check`, else
 * by its checksum) must be all zero.
 */
uint32_t EXPORT(pages_check)(uint8_t *pages, uint32_t count, uint32_t page_size, uint32_t block, int header_check) {
  uint32_t *bad = (uint32_t *)output, bad_count = 0;
  for (uint32_t index = 0; index < count; index++) {
    uint8_t *page = pages + index * page_size;
    uint16_t *checksum = (uint16_t *)(page + CHECKSUM_OFFSET);
    const uint16_t stored = *checksum, upper = *(uint16_t *)(page + UPPER_OFFSET);
    int good;
    if ((header_check ? upper : stored) == 0) {
      good = is_zero(page, page_size);
    } else {
      *checksum = 0;
      good = page_checksum((const uint32_t *)page, page_size, block + index) == stored;
      *checksum = stored;
    }
    if (!good) bad[bad_count++] = index;
  }
  return bad_count;
}

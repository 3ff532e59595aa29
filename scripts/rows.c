/*
 * What src/pipe/codecs.wasm is made of, with codecs.c: digests of rows. The sum of the BLAKE2s-256 of every line, modulo 2^256, each
 * taken as a little-endian number; see src/format/fingerprint.ts.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wasm_simd128.h>

#define EXPORT(name) __attribute__((export_name(#name))) name

/* RFC 7693. Four lines are hashed at once, as the lanes of a vector; a line that spans chunks is hashed alone. */
static const uint32_t START[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
/* What the first word of the state begins with: no key, 32 bytes of digest. */
static const uint32_t PARAMETERS = 0x01010020;

static const uint8_t ORDER[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

enum { BLOCK = 64, WORDS = BLOCK / 4, VECTOR = 16, AT_ONCE = 4, BUCKETS = 256 };

#define ALL_4 255, 255, 255, 255
#define ALL_16 ALL_4, ALL_4, ALL_4, ALL_4

typedef uint32_t lanes_t __attribute__((vector_size(16)));
typedef uint8_t bytes_t __attribute__((vector_size(16)));

#define ROTATE(x, by) ((x) >> (by) | (x) << (32 - (by)))
#define BY_16(x) ROTATE(x, 16)
#define BY_8(x) ROTATE(x, 8)

static inline lanes_t lanes_by_16(lanes_t x) {
  return (lanes_t)__builtin_shufflevector((bytes_t)x, (bytes_t)x, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
}

static inline lanes_t lanes_by_8(lanes_t x) {
  return (lanes_t)__builtin_shufflevector((bytes_t)x, (bytes_t)x, 1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12);
}

#define MIX(a, b, c, d, x, y, by_16, by_8) \
  a += b + (x), d = by_16(d ^ a), c += d, b = ROTATE(b ^ c, 12); \
  a += b + (y), d = by_8(d ^ a), c += d, b = ROTATE(b ^ c, 7)

/*
 * Takes a block, as little-endian words, into the state; `word` is one line's or all lanes'. `size`: bytes of the line up to the
 * block's end, low and high word; `last`: all bits are set in the last block of a line.
 */
#define DEFINE_COMPRESS(name, word, by_16, by_8)                                                  \
  static void name(word h[8], const word m[WORDS], const word size[2], word last) {              \
    word a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], i = h[7];         \
    word j = h[0] ^ h[0], k = j, l = j, n = j, o = j, p = j, q = j, r = j;                       \
    j += START[0], k += START[1], l += START[2], n += START[3];                                  \
    o += START[4], p += START[5], q += START[6], r += START[7];                                  \
    o ^= size[0], p ^= size[1], q ^= last;                                                       \
    _Pragma("unroll") for (int round = 0; round < 10; round++) {                                 \
      const uint8_t *at = ORDER[round];                                                          \
      MIX(a, e, j, o, m[at[0]], m[at[1]], by_16, by_8);                                          \
      MIX(b, f, k, p, m[at[2]], m[at[3]], by_16, by_8);                                          \
      MIX(c, g, l, q, m[at[4]], m[at[5]], by_16, by_8);                                          \
      MIX(d, i, n, r, m[at[6]], m[at[7]], by_16, by_8);                                          \
      MIX(a, f, l, r, m[at[8]], m[at[9]], by_16, by_8);                                          \
      MIX(b, g, n, o, m[at[10]], m[at[11]], by_16, by_8);                                        \
      MIX(c, i, j, p, m[at[12]], m[at[13]], by_16, by_8);                                        \
      MIX(d, e, k, q, m[at[14]], m[at[15]], by_16, by_8);                                        \
    }                                                                                            \
    h[0] ^= a ^ j, h[1] ^= b ^ k, h[2] ^= c ^ l, h[3] ^= d ^ n;                                  \
    h[4] ^= e ^ o, h[5] ^= f ^ p, h[6] ^= g ^ q, h[7] ^= i ^ r;                                  \
  }

DEFINE_COMPRESS(compress_one, uint32_t, BY_16, BY_8)
DEFINE_COMPRESS(compress_lanes, lanes_t, lanes_by_16, lanes_by_8)

static uint32_t start_word(int word) { return word == 0 ? START[0] ^ PARAMETERS : START[word]; }

static uint32_t load(const uint8_t *bytes) {
  uint32_t value;
  memcpy(&value, bytes, sizeof value);
  return value;
}

struct rows {
  /* What the caller reads from here: how many rows, their sum, and for each first byte of a digest the number of rows and their sum. */
  uint64_t count, sum[4], buckets[BUCKETS][2];
  /* The line that has no end yet. */
  uint64_t line_size;
  uint32_t line_state[8];
  /* Its last bytes, at most a block, which is held back until it is known not to be the last. */
  uint8_t line_rest[BLOCK];
};

static void add_row(struct rows *rows, const uint32_t state[8]) {
  uint64_t carry = 0, low = 0;
  for (int limb = 0; limb < 4; limb++) {
    const uint64_t value = state[2 * limb] | (uint64_t)state[2 * limb + 1] << 32;
    if (limb == 0) low = value;
    uint64_t sum;
    const int over = __builtin_add_overflow(rows->sum[limb], value, &sum);
    carry = over | __builtin_add_overflow(sum, carry, &rows->sum[limb]);
  }
  rows->count++;
  rows->buckets[low % BUCKETS][0]++;
  rows->buckets[low % BUCKETS][1] += low;
}

static void start_line(struct rows *rows) {
  rows->line_size = 0;
  for (int word = 0; word < 8; word++) rows->line_state[word] = start_word(word);
}

static void block_into_line(struct rows *rows, uint32_t last) {
  uint32_t m[WORDS];
  const uint32_t size[2] = {rows->line_size, rows->line_size >> 32};
  for (int word = 0; word < WORDS; word++) m[word] = load(rows->line_rest + 4 * word);
  compress_one(rows->line_state, m, size, last);
}

/* How many bytes of the line are held back. */
static uint32_t held_of(const struct rows *rows) {
  return rows->line_size == 0 ? 0 : (rows->line_size - 1) % BLOCK + 1;
}

static void continue_line(struct rows *rows, const uint8_t *bytes, uint32_t size) {
  while (size > 0) {
    uint32_t held = held_of(rows);
    if (held == BLOCK) {
      block_into_line(rows, 0);
      held = 0;
    }
    const uint32_t taken = size < BLOCK - held ? size : BLOCK - held;
    memcpy(rows->line_rest + held, bytes, taken);
    rows->line_size += taken;
    bytes += taken, size -= taken;
  }
}

static void end_line(struct rows *rows) {
  const uint32_t held = held_of(rows);
  memset(rows->line_rest + held, 0, BLOCK - held);
  block_into_line(rows, UINT32_MAX);
  add_row(rows, rows->line_state);
  start_line(rows);
}

/* A line being hashed: first the blocks that are not the last, then a copy of the last. No blocks at all: the lane is idle. */
struct lane {
  const uint8_t *block;
  uint32_t blocks, size, size_before;
  uint8_t tail[BLOCK];
};

/* Where the line feed is that stands somewhere in `at` to `end`. */
static const uint8_t *line_end(const uint8_t *at, const uint8_t *end) {
  for (; end - at >= VECTOR; at += VECTOR) {
    const uint32_t feeds = wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load(at), wasm_i8x16_splat('\n')));
    if (feeds != 0) return at + __builtin_ctz(feeds);
  }
  while (*at != '\n') at++;
  return at;
}

/* The first `size` bytes of a block, and zeros; `end`: what may be read. Without a call for each, which costs as much as a block. */
static void copy_tail(uint8_t tail[BLOCK], const uint8_t *from, uint32_t size, const uint8_t *end) {
  static const uint8_t keep[2 * BLOCK] = {ALL_16, ALL_16, ALL_16, ALL_16};
  if (end - from < BLOCK) {
    memcpy(tail, from, size);
    memset(tail + size, 0, BLOCK - size);
    return;
  }
  for (int at = 0; at < BLOCK; at += VECTOR)
    wasm_v128_store(tail + at, wasm_v128_and(wasm_v128_load(from + at), wasm_v128_load(keep + BLOCK - size + at)));
}

static void take_line(struct lane *lane, const uint8_t *line, uint32_t size, const uint8_t *end) {
  const uint32_t before = size == 0 ? 0 : (size - 1) / BLOCK;
  lane->blocks = before + 1;
  lane->size = size;
  lane->size_before = 0;
  copy_tail(lane->tail, line + before * BLOCK, size - before * BLOCK, end);
  lane->block = before == 0 ? lane->tail : line;
}

static int is_idle(const struct lane lane) { return lane.blocks == 0; }

static uint32_t size_after(const struct lane lane) {
  return lane.blocks == 1 ? lane.size : lane.size_before + BLOCK;
}

static void next_block(struct lane *lane) {
  lane->size_before += BLOCK;
  lane->block += BLOCK;
  if (--lane->blocks == 1) lane->block = lane->tail;
}

/* Rows become columns: word by word of four lanes, or lane by lane of four words. */
static inline void transpose(lanes_t at[4]) {
  const lanes_t a = __builtin_shufflevector(at[0], at[1], 0, 4, 1, 5), b = __builtin_shufflevector(at[0], at[1], 2, 6, 3, 7);
  const lanes_t c = __builtin_shufflevector(at[2], at[3], 0, 4, 1, 5), d = __builtin_shufflevector(at[2], at[3], 2, 6, 3, 7);
  at[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5), at[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
  at[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5), at[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
}

#define OF_LANES(what) {what(lane[0]), what(lane[1]), what(lane[2]), what(lane[3])}
#define IS_FIRST(lane) -((lane).size_before == 0)
#define IS_LAST(lane) -((lane).blocks == 1)

/* Takes one block of every lane into the state. An idle lane computes something, which nobody looks at. */
static void step(lanes_t state[8], const struct lane lane[AT_ONCE]) {
  lanes_t m[WORDS];
  for (int word = 0; word < WORDS; word += 4) {
    for (int index = 0; index < AT_ONCE; index++)
      m[word + index] = (lanes_t)wasm_v128_load(lane[index].block + 4 * word);
    transpose(m + word);
  }
  const lanes_t first = OF_LANES(IS_FIRST);
  for (int word = 0; word < 8; word++) state[word] = (start_word(word) & first) | (state[word] & ~first);
  /* A chunk is below 4 GiB, so the high word is none. */
  const lanes_t size[2] = {OF_LANES(size_after)};
  compress_lanes(state, m, size, (lanes_t)OF_LANES(IS_LAST));
}

/* Whole lines, each with its line feed. */
static void add_lines(struct rows *rows, const uint8_t *line, const uint8_t *end) {
  static struct lane lane[AT_ONCE];
  lanes_t state[8] = {{0}};
  for (int index = 0; index < AT_ONCE; index++) lane[index].block = lane[index].tail;
  for (;;) {
    int busy = 0;
    for (int index = 0; index < AT_ONCE; index++) {
      if (is_idle(lane[index]) && line < end) {
        const uint8_t *feed = line_end(line, end);
        take_line(&lane[index], line, feed - line, end);
        line = feed + 1;
      }
      busy |= !is_idle(lane[index]);
    }
    if (!busy) return;
    step(state, lane);
    int ended = 0;
    for (int index = 0; index < AT_ONCE; index++) ended |= lane[index].blocks == 1;
    lanes_t digests[8];
    if (ended) {
      memcpy(digests, state, sizeof digests);
      transpose(digests), transpose(digests + 4);
    }
    for (int index = 0; index < AT_ONCE; index++) {
      if (is_idle(lane[index])) continue;
      next_block(&lane[index]);
      if (!is_idle(lane[index])) continue;
      uint32_t digest[8];
      memcpy(digest, &digests[index], sizeof digests[0]);
      memcpy(digest + 4, &digests[4 + index], sizeof digests[0]);
      add_row(rows, digest);
      lane[index].block = lane[index].tail;
    }
  }
}

/* 0 when there is no memory. The result of what was taken stands at its beginning. */
struct rows *EXPORT(rows_open)(void) {
  struct rows *rows = calloc(1, sizeof *rows);
  if (rows != NULL) start_line(rows);
  return rows;
}

void EXPORT(rows_close)(struct rows *rows) { free(rows); }

/* Lines, each with its line feed; the first and the last may be cut anywhere. */
void EXPORT(rows_update)(struct rows *rows, const uint8_t *bytes, uint32_t size) {
  const uint8_t *end = bytes + size, *last_end = end;
  while (last_end > bytes && last_end[-1] != '\n') last_end--;
  if (last_end > bytes && rows->line_size > 0) {
    const uint8_t *feed = line_end(bytes, last_end);
    continue_line(rows, bytes, feed - bytes);
    end_line(rows);
    bytes = feed + 1;
  }
  if (last_end > bytes) add_lines(rows, bytes, last_end);
  continue_line(rows, last_end, end - last_end);
}

/* Whether the last line has no end yet. */
int EXPORT(rows_unfinished)(const struct rows *rows) { return rows->line_size > 0; }

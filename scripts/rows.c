/*
 * What src/pipe/codecs.wasm is made of, with codecs.c: digests of rows. The sum of the SHA-256 of every line, modulo 2^256, each
 * taken as a little-endian number; see src/format/fingerprint.ts.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT(name) __attribute__((export_name(#name))) name

/* FIPS 180-4. Four lines are hashed at once, as the lanes of a vector; a line that spans chunks is hashed alone. */
static const uint32_t ROUND_KEYS[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static const uint32_t HASH_START[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

enum { BLOCK = 64, TAIL = 2 * BLOCK, WORDS = BLOCK / 4, AT_ONCE = 4, BUCKETS = 256 };

typedef uint32_t lanes_t __attribute__((vector_size(16)));

#define ROTATE(x, by) ((x) >> (by) | (x) << (32 - (by)))

/* Takes a block, as big-endian words in w[0..15], into the state; `word` is one line's or all lanes'. */
#define DEFINE_COMPRESS(name, word)                                                                 \
  static void name(word state[8], word w[64]) {                                                    \
    for (int t = WORDS; t < 64; t++) {                                                             \
      const word x = w[t - 15], y = w[t - 2];                                                      \
      w[t] = w[t - 16] + w[t - 7] + (ROTATE(x, 7) ^ ROTATE(x, 18) ^ x >> 3) +                      \
             (ROTATE(y, 17) ^ ROTATE(y, 19) ^ y >> 10);                                            \
    }                                                                                              \
    word a = state[0], b = state[1], c = state[2], d = state[3];                                   \
    word e = state[4], f = state[5], g = state[6], h = state[7];                                   \
    _Pragma("unroll 8") for (int t = 0; t < 64; t++) {                                             \
      const word one = h + (ROTATE(e, 6) ^ ROTATE(e, 11) ^ ROTATE(e, 25)) + (g ^ (e & (f ^ g))) +  \
                       ROUND_KEYS[t] + w[t];                                                       \
      const word two = (ROTATE(a, 2) ^ ROTATE(a, 13) ^ ROTATE(a, 22)) + ((a & b) | (c & (a | b))); \
      h = g, g = f, f = e, e = d + one, d = c, c = b, b = a, a = one + two;                        \
    }                                                                                              \
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;                                    \
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;                                    \
  }

DEFINE_COMPRESS(compress_one, uint32_t)
DEFINE_COMPRESS(compress_lanes, lanes_t)

static uint32_t load_big_endian(const uint8_t *bytes) {
  uint32_t value;
  memcpy(&value, bytes, sizeof value);
  return __builtin_bswap32(value);
}

/* Puts the last bytes of a message with their padding into `tail`: one block or two, as the result says. */
static uint32_t pad(uint8_t tail[TAIL], const uint8_t *rest, uint32_t rest_size, uint64_t line_size) {
  const uint32_t blocks = rest_size + 9 > BLOCK ? 2 : 1;
  const uint64_t bits = __builtin_bswap64(line_size * 8);
  memset(tail, 0, TAIL);
  memcpy(tail, rest, rest_size);
  tail[rest_size] = 0x80;
  memcpy(tail + blocks * BLOCK - sizeof bits, &bits, sizeof bits);
  return blocks;
}

struct rows {
  /* What the caller reads from here: how many rows, their sum, and for each first byte of a digest the number of rows and their sum. */
  uint64_t count, sum[4], buckets[BUCKETS][2];
  /* The line that has no end yet. */
  uint64_t line_size;
  uint32_t line_state[8];
  uint8_t line_rest[BLOCK];
};

static void add_row(struct rows *rows, const uint32_t state[8]) {
  uint64_t carry = 0, low = 0;
  for (int limb = 0; limb < 4; limb++) {
    const uint64_t value =
        __builtin_bswap32(state[2 * limb]) | (uint64_t)__builtin_bswap32(state[2 * limb + 1]) << 32;
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
  memcpy(rows->line_state, HASH_START, sizeof HASH_START);
}

static void block_into_line(struct rows *rows, const uint8_t *block) {
  uint32_t w[64];
  for (int word = 0; word < WORDS; word++) w[word] = load_big_endian(block + 4 * word);
  compress_one(rows->line_state, w);
}

static void continue_line(struct rows *rows, const uint8_t *bytes, uint32_t size) {
  while (size > 0) {
    const uint32_t held = rows->line_size % BLOCK;
    const uint32_t taken = size < BLOCK - held ? size : BLOCK - held;
    memcpy(rows->line_rest + held, bytes, taken);
    rows->line_size += taken;
    if (held + taken == BLOCK) block_into_line(rows, rows->line_rest);
    bytes += taken, size -= taken;
  }
}

static void end_line(struct rows *rows) {
  uint8_t tail[TAIL];
  const uint32_t blocks = pad(tail, rows->line_rest, rows->line_size % BLOCK, rows->line_size);
  for (uint32_t block = 0; block < blocks; block++) block_into_line(rows, tail + block * BLOCK);
  add_row(rows, rows->line_state);
  start_line(rows);
}

/* A line being hashed: first the blocks that are whole, then the tail. No blocks at all: the lane is idle. */
struct lane {
  const uint8_t *block;
  uint32_t whole_blocks, tail_blocks;
  uint8_t tail[TAIL];
};

static void take_line(struct lane *lane, const uint8_t *line, uint32_t size) {
  lane->block = line;
  lane->whole_blocks = size / BLOCK;
  lane->tail_blocks = pad(lane->tail, line + size / BLOCK * BLOCK, size % BLOCK, size);
  if (lane->whole_blocks == 0) lane->block = lane->tail;
}

static int is_idle(const struct lane *lane) { return lane->whole_blocks + lane->tail_blocks == 0; }

static void next_block(struct lane *lane) {
  lane->block += BLOCK;
  if (lane->whole_blocks == 0) lane->tail_blocks--;
  else if (--lane->whole_blocks == 0) lane->block = lane->tail;
}

/* Takes one block of every lane into the state. An idle lane computes something, which nobody looks at. */
static void step(lanes_t state[8], struct lane lane[AT_ONCE]) {
  lanes_t w[64];
  for (int word = 0; word < WORDS; word++)
    w[word] = (lanes_t){load_big_endian(lane[0].block + 4 * word), load_big_endian(lane[1].block + 4 * word),
                        load_big_endian(lane[2].block + 4 * word), load_big_endian(lane[3].block + 4 * word)};
  compress_lanes(state, w);
}

/* Whole lines, each with its line feed. */
static void add_lines(struct rows *rows, const uint8_t *line, const uint8_t *end) {
  static struct lane lane[AT_ONCE];
  lanes_t state[8];
  for (int index = 0; index < AT_ONCE; index++) lane[index].block = lane[index].tail;
  for (;;) {
    int busy = 0;
    for (int index = 0; index < AT_ONCE; index++) {
      if (is_idle(&lane[index]) && line < end) {
        const uint8_t *feed = memchr(line, '\n', end - line);
        take_line(&lane[index], line, feed - line);
        line = feed + 1;
        for (int word = 0; word < 8; word++) state[word][index] = HASH_START[word];
      }
      busy |= !is_idle(&lane[index]);
    }
    if (!busy) return;
    step(state, lane);
    for (int index = 0; index < AT_ONCE; index++) {
      if (is_idle(&lane[index])) continue;
      next_block(&lane[index]);
      if (!is_idle(&lane[index])) continue;
      uint32_t digest[8];
      for (int word = 0; word < 8; word++) digest[word] = state[word][index];
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
    const uint8_t *feed = memchr(bytes, '\n', last_end - bytes);
    continue_line(rows, bytes, feed - bytes);
    end_line(rows);
    bytes = feed + 1;
  }
  if (last_end > bytes) add_lines(rows, bytes, last_end);
  continue_line(rows, last_end, end - last_end);
}

/* Whether the last line has no end yet. */
int EXPORT(rows_unfinished)(const struct rows *rows) { return rows->line_size > 0; }

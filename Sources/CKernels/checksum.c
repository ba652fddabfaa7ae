#include "retort_checksum.h"

#include <string.h>

static uint32_t table[256];

__attribute__((constructor)) static void fill_table(void) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0x82F63B78u & (0u - (crc & 1)));
    table[byte] = crc;
  }
}

uint32_t retort_crc32c_scalar(uint32_t crc, const void *data, size_t length) {
  const uint8_t *bytes = data;
  crc = ~crc;
  while (length--) crc = table[(crc ^ *bytes++) & 0xFF] ^ (crc >> 8);
  return ~crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

// The instruction takes three cycles but one can begin in each, so long data is three streams of
// STREAM bytes at once. A checksum is linear: what a stream contributes to the end is its own
// checksum times a power of x, modulo the polynomial.
#define STREAM 8192

// x to the powers 8 * STREAM and 16 * STREAM.
static uint32_t one_stream, two_streams;

// a * b modulo the polynomial, both with x^0 in the highest bit.
static uint32_t multiply(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (int bit = 0; bit < 32; bit++) {
    product ^= b & (0u - (a >> 31));
    a <<= 1;
    b = (b >> 1) ^ (0x82F63B78u & (0u - (b & 1)));
  }
  return product;
}

__attribute__((constructor)) static void find_powers(void) {
  uint32_t power = 0x40000000;
  for (size_t exponent = 1; exponent < 8 * STREAM; exponent *= 2) power = multiply(power, power);
  one_stream = power;
  two_streams = multiply(power, power);
}

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const void *data,
                                                               size_t length) {
  const uint8_t *bytes = data;
  uint64_t state = ~crc;
  while (length >= 3 * STREAM) {
    uint64_t second = 0, third = 0;
    for (size_t i = 0; i < STREAM; i += 8) {
      uint64_t words[3];
      memcpy(&words[0], bytes + i, 8);
      memcpy(&words[1], bytes + STREAM + i, 8);
      memcpy(&words[2], bytes + 2 * STREAM + i, 8);
      state = _mm_crc32_u64(state, words[0]);
      second = _mm_crc32_u64(second, words[1]);
      third = _mm_crc32_u64(third, words[2]);
    }
    state = multiply((uint32_t)state, two_streams) ^ multiply((uint32_t)second, one_stream) ^
            (uint32_t)third;
    bytes += 3 * STREAM;
    length -= 3 * STREAM;
  }
  while (length >= 8) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    state = _mm_crc32_u64(state, word);
    bytes += 8;
    length -= 8;
  }
  uint32_t tail = (uint32_t)state;
  while (length--) tail = _mm_crc32_u8(tail, *bytes++);
  return ~tail;
}

uint32_t retort_crc32c(uint32_t crc, const void *data, size_t length) {
  if (__builtin_cpu_supports("sse4.2")) return crc32c_sse42(crc, data, length);
  return retort_crc32c_scalar(crc, data, length);
}
#else
uint32_t retort_crc32c(uint32_t crc, const void *data, size_t length) {
  return retort_crc32c_scalar(crc, data, length);
}
#endif

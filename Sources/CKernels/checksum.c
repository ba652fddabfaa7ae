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

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const void *data,
                                                               size_t length) {
  const uint8_t *bytes = data;
  uint64_t state = ~crc;
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

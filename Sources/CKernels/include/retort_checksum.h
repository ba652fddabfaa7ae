#ifndef RETORT_CHECKSUM_H
#define RETORT_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

// CRC-32C (polynomial 0x1EDC6F41, reflected) of `length` bytes, continuing from `crc` (0 to start).
uint32_t retort_crc32c(uint32_t crc, const void *data, size_t length);
// The same, byte by byte from a table: the reference.
uint32_t retort_crc32c_scalar(uint32_t crc, const void *data, size_t length);

#endif

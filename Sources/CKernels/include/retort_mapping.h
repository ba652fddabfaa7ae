#ifndef RETORT_MAPPING_H
#define RETORT_MAPPING_H

#include <stddef.h>

// Mapped files that others may cut while they are read.
//
// Touching a page that a file does not have any more, or that its disk cannot read, raises SIGBUS,
// which ends a process. In a watched mapping zeros take the place of the page and of all behind it,
// and the mapping is not intact from then on: whoever reads asks afterwards, and throws away what
// was read where it is not. SIGBUS anywhere else goes where it went before.
typedef struct retort_mapping retort_mapping;

// Watches a read-only mapping of `length` bytes, at least 1, of a whole file. NULL where memory is
// short or the signal cannot be handled.
retort_mapping *retort_mapping_watch(const void *start, size_t length);
// Ends that; the mapping must still be there.
void retort_mapping_unwatch(retort_mapping *mapping);
// Whether everything read from the mapping so far was the file's: 0 once a page was lost, or once
// bytes of the last page are.
int retort_mapping_is_intact(retort_mapping *mapping);

// Reads up to `length` bytes at `offset` that the system holds in memory, without waiting for a disk.
// The number of bytes, which is less than `length` where the rest is not held, or at the file's end; -1
// where none is, with errno EAGAIN, or where the system cannot tell.
ptrdiff_t retort_read_held(int file, void *target, size_t length, long long offset);
// Tells the system that single places of the file are going to be read, not what follows them.
void retort_expect_scattered_reads(int file);
// Has the system begin to read bytes that are going to be read, and does not wait for them.
void retort_read_ahead(int file, long long offset, size_t length);

#endif

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

#endif

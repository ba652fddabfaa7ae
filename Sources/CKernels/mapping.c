#define _GNU_SOURCE
#include "retort_mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#if !defined(MAP_ANONYMOUS)
#define MAP_ANONYMOUS MAP_ANON
#endif

// Slots are found by the handler, which may interrupt anything: they lie in chunks that are never
// freed or moved, and are read without a lock. A writer makes a slot's version odd before it changes
// where the mapping lies and even afterwards, so that the handler never joins the start of one
// mapping to the length of another.
struct retort_mapping {
  atomic_uint version;
  _Atomic(uintptr_t) start; // 0 where the slot is free
  _Atomic(size_t) length;
  atomic_int is_lost;
  // The last byte that is not zero. The kernel takes the last page away before any other, and fills
  // a page of which it keeps a part with zeros: in either case this byte tells.
  const volatile uint8_t *last;
  uint8_t value;
};

enum { SLOTS = 256 };

typedef struct chunk {
  retort_mapping slots[SLOTS];
  struct chunk *_Atomic next;
} chunk;

static chunk first;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int is_installed;
static uintptr_t page_size;
static struct sigaction previous;

// Puts zeros in the place of the page at `address`, and of all behind it, if it belongs to `slot`.
static int replace_in(retort_mapping *slot, uintptr_t address) {
  // A slot that changes meanwhile is not the one: that is watched for as long as it is read.
  const unsigned version = atomic_load(&slot->version);
  const uintptr_t start = atomic_load(&slot->start);
  const size_t length = atomic_load(&slot->length);
  if (version % 2 != 0 || atomic_load(&slot->version) != version) return 0;
  if (start == 0 || address < start || address - start >= length) return 0;
  // First the mark, then the zeros: nobody can read them and find the mapping intact.
  atomic_store(&slot->is_lost, 1);
  const uintptr_t page = address & ~(page_size - 1);
  const uintptr_t end = (start + length + page_size - 1) & ~(page_size - 1);
  return mmap((void *)page, end - page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
              0) != MAP_FAILED;
}

// The reader goes on where it was: no frame is jumped over, and what it holds is let go as ever. Only
// what a handler may do: loads, stores of atomics without locks, and mmap, which POSIX does not list
// but which is nothing but a system call.
static void replace_lost_page(int number, siginfo_t *info, void *context) {
  const int saved = errno;
  // Positive codes are faults, others were sent by somebody.
  if (info->si_code > 0) {
    for (chunk *part = &first; part; part = atomic_load(&part->next)) {
      for (int i = 0; i < SLOTS; i++) {
        if (!replace_in(&part->slots[i], (uintptr_t)info->si_addr)) continue;
        errno = saved;
        return;
      }
    }
  }
  errno = saved;
  if (previous.sa_flags & SA_SIGINFO) {
    previous.sa_sigaction(number, info, context);
  } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(number);
  } else if (info->si_code > 0 || previous.sa_handler == SIG_DFL) {
    // A fault happens again on return, and then ends the process as it would have.
    signal(number, SIG_DFL);
    if (info->si_code <= 0) raise(number);
  }
}

static int install(void) {
  if (is_installed) return 1;
  page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
  struct sigaction action = {0};
  action.sa_sigaction = replace_lost_page;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  sigemptyset(&action.sa_mask);
  is_installed = sigaction(SIGBUS, &action, &previous) == 0;
  return is_installed;
}

static retort_mapping *free_slot(void) {
  for (chunk *part = &first;; part = atomic_load(&part->next)) {
    for (int i = 0; i < SLOTS; i++) {
      if (atomic_load(&part->slots[i].start) == 0) return &part->slots[i];
    }
    if (!atomic_load(&part->next)) {
      chunk *more = calloc(1, sizeof *more);
      if (!more) return NULL;
      atomic_store(&part->next, more);
    }
  }
}

// Under the lock.
static void place(retort_mapping *slot, uintptr_t start, size_t length) {
  atomic_fetch_add(&slot->version, 1);
  atomic_store(&slot->start, start);
  atomic_store(&slot->length, length);
  atomic_fetch_add(&slot->version, 1);
}

retort_mapping *retort_mapping_watch(const void *start, size_t length) {
  pthread_mutex_lock(&lock);
  retort_mapping *slot = install() ? free_slot() : NULL;
  if (slot) {
    atomic_store(&slot->is_lost, 0);
    place(slot, (uintptr_t)start, length);
  }
  pthread_mutex_unlock(&lock);
  if (!slot) return NULL;
  // Looked for under watch: the file may be cut at any moment.
  const volatile uint8_t *bytes = start;
  size_t last = length - 1;
  const size_t page = last & ~(size_t)(page_size - 1);
  while (last > page && bytes[last] == 0) last--;
  slot->last = bytes + last;
  slot->value = bytes[last];
  return slot;
}

void retort_mapping_unwatch(retort_mapping *mapping) {
  pthread_mutex_lock(&lock);
  place(mapping, 0, 0);
  pthread_mutex_unlock(&lock);
}

int retort_mapping_is_intact(retort_mapping *mapping) {
  // For ever: somebody may put the bytes back, but what was read meanwhile stays what it is.
  if (*mapping->last != mapping->value) atomic_store(&mapping->is_lost, 1);
  // The mark is looked at after everything that was read, by the processor as well.
  atomic_thread_fence(memory_order_acquire);
  return !atomic_load(&mapping->is_lost);
}

ptrdiff_t retort_read_held(int file, void *target, size_t length, long long offset) {
#if defined(RWF_NOWAIT)
  const struct iovec part = {target, length};
  return preadv2(file, &part, 1, offset, RWF_NOWAIT);
#else
  (void)file, (void)target, (void)length, (void)offset;
  errno = ENOTSUP;
  return -1;
#endif
}

void retort_expect_scattered_reads(int file) {
#if defined(POSIX_FADV_RANDOM)
  posix_fadvise(file, 0, 0, POSIX_FADV_RANDOM);
#elif defined(F_RDAHEAD)
  fcntl(file, F_RDAHEAD, 0);
#else
  (void)file;
#endif
}

void retort_read_ahead(int file, long long offset, size_t length) {
#if defined(POSIX_FADV_WILLNEED)
  posix_fadvise(file, offset, (off_t)length, POSIX_FADV_WILLNEED);
#else
  (void)file, (void)offset, (void)length;
#endif
}

#include "retort_curl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

// libcurl's binary interface, which has been the same since version 7.16 of 2006: no header of it is
// needed to build. Numbers of options are their type (0 long, 10000 pointer, 20000 function) plus
// their own.
enum {
  OPT_WRITEDATA = 10001,
  OPT_URL = 10002,
  OPT_ERRORBUFFER = 10010,
  OPT_WRITEFUNCTION = 20011,
  OPT_HTTPHEADER = 10023,
  OPT_HEADERDATA = 10029,
  OPT_CONNECTTIMEOUT = 78,
  OPT_HEADERFUNCTION = 20079,
  OPT_NOSIGNAL = 99,
  OPT_PROTOCOLS = 181,
  OPT_SUPPRESS_CONNECT_HEADERS = 265,
  PROTOCOLS_HTTP_AND_HTTPS = 3,
  GLOBAL_ALL = 3,
  MESSAGE_DONE = 1,
};

// CURLcode
enum {
  OK = 0,
  UNSUPPORTED_PROTOCOL = 1,
  URL_MALFORMAT = 3,
  OUT_OF_MEMORY = 27,
  SSL_CONNECT_ERROR = 35,
  SSL_CERTPROBLEM = 58,
  SSL_CIPHER = 59,
  PEER_FAILED_VERIFICATION = 60,
  SSL_CACERT_BADFILE = 77,
  SSL_ISSUER_ERROR = 83,
};

struct list;

// CURLMsg
struct message {
  int kind;
  void *easy;
  union {
    void *pointer;
    int result;
  } data;
};

static struct {
  int (*global_init)(long);
  void *(*easy_init)(void);
  int (*easy_setopt)(void *, int, ...);
  void (*easy_cleanup)(void *);
  const char *(*easy_strerror)(int);
  struct list *(*slist_append)(struct list *, const char *);
  void (*slist_free_all)(struct list *);
  void *(*multi_init)(void);
  int (*multi_add_handle)(void *, void *);
  int (*multi_remove_handle)(void *, void *);
  int (*multi_perform)(void *, int *);
  int (*multi_wait)(void *, void *, unsigned, int, int *);
  struct message *(*multi_info_read)(void *, int *);
  int (*multi_cleanup)(void *);
} curl;

static int is_open;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void open_library(void) {
  static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.4.dylib",
                                      "libcurl.so"};
  void *library = NULL;
  for (size_t i = 0; i < sizeof names / sizeof *names && !library; i++) {
    library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
  }
  if (!library) return;
  const struct {
    void *place;
    const char *name;
  } functions[] = {
      {&curl.global_init, "curl_global_init"},
      {&curl.easy_init, "curl_easy_init"},
      {&curl.easy_setopt, "curl_easy_setopt"},
      {&curl.easy_cleanup, "curl_easy_cleanup"},
      {&curl.easy_strerror, "curl_easy_strerror"},
      {&curl.slist_append, "curl_slist_append"},
      {&curl.slist_free_all, "curl_slist_free_all"},
      {&curl.multi_init, "curl_multi_init"},
      {&curl.multi_add_handle, "curl_multi_add_handle"},
      {&curl.multi_remove_handle, "curl_multi_remove_handle"},
      {&curl.multi_perform, "curl_multi_perform"},
      {&curl.multi_wait, "curl_multi_wait"},
      {&curl.multi_info_read, "curl_multi_info_read"},
      {&curl.multi_cleanup, "curl_multi_cleanup"},
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    void *function = dlsym(library, functions[i].name);
    if (!function) return;
    memcpy(functions[i].place, &function, sizeof function);
  }
  is_open = curl.global_init(GLOBAL_ALL) == OK;
}

struct transfer {
  retort_http_handler handler;
  int stopped;
};

static size_t take_header(char *bytes, size_t size, size_t count, void *context) {
  struct transfer *transfer = context;
  if (transfer->handler.header(transfer->handler.context, bytes, size * count)) {
    transfer->stopped = 1;
    return 0;
  }
  return size * count;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context) {
  struct transfer *transfer = context;
  if (transfer->handler.body(transfer->handler.context, bytes, size * count)) {
    transfer->stopped = 1;
    // libcurl takes any number but that of the bytes for a refusal.
    return 0;
  }
  return size * count;
}

static retort_http_end end_of(int code) {
  switch (code) {
    case OK: return RETORT_HTTP_DONE;
    case UNSUPPORTED_PROTOCOL:
    case URL_MALFORMAT: return RETORT_HTTP_BAD_ADDRESS;
    case SSL_CONNECT_ERROR:
    case SSL_CERTPROBLEM:
    case SSL_CIPHER:
    case PEER_FAILED_VERIFICATION:
    case SSL_CACERT_BADFILE:
    case SSL_ISSUER_ERROR: return RETORT_HTTP_INSECURE;
    default: return RETORT_HTTP_LOST;
  }
}

// Runs until the one request of `multi` has ended; returns its CURLcode.
static int perform(void *multi, struct transfer *transfer) {
  for (;;) {
    int running = 0;
    if (curl.multi_perform(multi, &running)) return OUT_OF_MEMORY;
    if (!running) break;
    if (transfer->handler.waiting(transfer->handler.context)) {
      transfer->stopped = 1;
      return OK;
    }
    if (curl.multi_wait(multi, NULL, 0, 20, NULL)) return OUT_OF_MEMORY;
  }
  int left = 0;
  struct message *message = curl.multi_info_read(multi, &left);
  return message && message->kind == MESSAGE_DONE ? message->data.result : OUT_OF_MEMORY;
}

retort_http_end retort_http_get(const char *address, const char *const *headers, size_t count,
                                long connect_seconds, retort_http_handler handler,
                                char message[256]) {
  message[0] = 0;
  pthread_once(&once, open_library);
  if (!is_open) return RETORT_HTTP_NO_LIBRARY;
  struct transfer transfer = {handler, 0};
  int code = OUT_OF_MEMORY;
  struct list *lines = NULL;
  int complete = 1;
  for (size_t i = 0; i < count; i++) {
    struct list *longer = curl.slist_append(lines, headers[i]);
    complete = complete && longer;
    if (longer) lines = longer;
  }
  void *easy = curl.easy_init();
  void *multi = curl.multi_init();
  if (complete && easy && multi) {
    curl.easy_setopt(easy, OPT_URL, address);
    curl.easy_setopt(easy, OPT_HTTPHEADER, lines);
    curl.easy_setopt(easy, OPT_ERRORBUFFER, message);
    curl.easy_setopt(easy, OPT_NOSIGNAL, 1L);
    curl.easy_setopt(easy, OPT_PROTOCOLS, (long)PROTOCOLS_HTTP_AND_HTTPS);
    curl.easy_setopt(easy, OPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl.easy_setopt(easy, OPT_CONNECTTIMEOUT, connect_seconds);
    curl.easy_setopt(easy, OPT_HEADERFUNCTION, take_header);
    curl.easy_setopt(easy, OPT_HEADERDATA, &transfer);
    curl.easy_setopt(easy, OPT_WRITEFUNCTION, take_body);
    curl.easy_setopt(easy, OPT_WRITEDATA, &transfer);
    if (curl.multi_add_handle(multi, easy) == OK) {
      code = perform(multi, &transfer);
      curl.multi_remove_handle(multi, easy);
    }
  }
  if (easy) curl.easy_cleanup(easy);
  if (multi) curl.multi_cleanup(multi);
  curl.slist_free_all(lines);
  if (transfer.stopped) return RETORT_HTTP_STOPPED;
  if (code != OK && !message[0]) snprintf(message, 256, "%s", curl.easy_strerror(code));
  return end_of(code);
}

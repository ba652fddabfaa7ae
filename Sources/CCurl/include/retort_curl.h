// One HTTP GET through the system's libcurl.
//
// The library is opened when the first request is made, not linked: with everything it needs it is
// a third of what a process loads when it starts, and only downloads need it.
#ifndef RETORT_CURL_H
#define RETORT_CURL_H

#include <stddef.h>

/// What becomes of an answer. Each function returns 0 to go on and anything else to stop.
typedef struct retort_http_handler {
  void *context;
  /// A line of the head with its line break; an empty one ends the head.
  int (*header)(void *context, const char *line, size_t length);
  /// More of the body.
  int (*body)(void *context, const char *bytes, size_t length);
  /// Called some dozens of times a second while nothing arrives.
  int (*waiting)(void *context);
} retort_http_handler;

/// How a request ended.
typedef enum retort_http_end {
  /// The body is complete as far as the connection can tell.
  RETORT_HTTP_DONE = 0,
  /// A function of the handler stopped it.
  RETORT_HTTP_STOPPED,
  /// The connection could not be made or broke.
  RETORT_HTTP_LOST,
  /// No secure connection could be made.
  RETORT_HTTP_INSECURE,
  /// The address is none.
  RETORT_HTTP_BAD_ADDRESS,
  /// There is no libcurl, or it lacks what is needed.
  RETORT_HTTP_NO_LIBRARY,
} retort_http_end;

/// Performs a request for `address` (http or https); redirections are not followed.
///
/// `headers` are `count` lines "Name: value"; an attempt to connect is given up after
/// `connect_seconds`. On failure `message` (256 bytes) says what happened.
retort_http_end retort_http_get(const char *address, const char *const *headers, size_t count,
                                long connect_seconds, retort_http_handler handler,
                                char message[256]);

#endif

/* p2p/pipe.h - an ordered byte pipe to one other machine, as a link runs over: a socket, or a stream through a relay.
   What comes in is handed to the link by whoever made the pipe (aq_link_data, aq_link_writable, aq_link_broken in
   p2p/switch.h). All calls on the loop thread. */
#ifndef AQ_P2P_PIPE_H
#define AQ_P2P_PIPE_H

#include "base/bytes.h"

enum { AQ_PIPE_ADDR_LEN = 264 }; /* a name of 253 characters, brackets and port */

typedef struct {
  void *ctx;
  size_t (*write)(void *ctx, aq_bytes out); /* bytes taken (copied); less than asked: aq_link_writable follows */
  void (*close)(void *ctx);                 /* once, at the link's end; nothing is written after it */
  bool nested;                              /* a stream of the same switch carries it */
} aq_pipe;

#endif

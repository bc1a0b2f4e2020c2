/* fake/link.h - the messages of port/net.h between nodes in memory and virtual time, whole: what lies below (sockets,
   Noise, streams) is fake/net.h's. Each message or request is a letter, which arrives after a time; its sender is told
   then, or when it fails. A request has a limit, by default that of hosts, FAKE_LINK_LIMIT_NS.
   Faults are hooks: what is sent may be changed, lost, late, doubled, go to another instance or fail in any way; and a
   node may stop, with its callbacks (end) or without (drop). Without hooks every node that is up gets everything after
   delay_ns, and what is for others fails with AQ_E_CLOSED.
   Keeps: exactly one done or answer, never from inside send or request. Does not: bound what is under way. */
#ifndef AQ_FAKE_LINK_H
#define AQ_FAKE_LINK_H

#include "fake/env.h"
#include "port/net.h"

#define FAKE_LINK_LIMIT_NS AQ_SECONDS(7)

typedef struct fake_links fake_links;

/* A node's port. */
typedef struct {
  aq_net net; /* pass &link.net to the code under test */
  fake_links *all;
  uint32_t self; /* as peers know it */
  void *of;      /* its owner's */
  bool up;       /* without hooks: it gets what is for it */
  bool stopped;  /* what it sends goes nowhere, without a callback */
  uint32_t on_way;
  aq_net_handler handler[AQ_PROTO_CNT];
  aq_list node; /* private */
} fake_link;

/* A reply is its letter. One of a test's own is zeroed but for data and st: respond fills it, and no more happens. */
typedef struct {
  aq_list node;
  fake_links *all;
  fake_link *from, *to; /* from NULL: nobody waits for the answer any more; to NULL: nobody gets it */
  uint32_t peer;        /* that it is for */
  uint32_t to_life;     /* a hook's own */
  aq_net_proto proto;
  bool is_request, waits; /* waits: at the server, for its answer */
  aq_buf data;            /* the message; then the answer */
  aq_status st;
  /* Private. */
  aq_net_done done;
  aq_net_answer answer;
  void *arg;
  aq_timer timer, limit;
} fake_letter;

/* Hooks may be NULL. They are asked in the order of what happens. */
struct fake_links {
  fake_env *env;
  void *arg;
  uint64_t delay_ns;
  uint64_t limit_ns; /* of a request; AQ_NEVER: none */
  /* Sent: fill data, then fake_letter_go, fake_letter_tell, or neither: it is lost, and ends with its sender. */
  void (*post)(void *arg, fake_letter *l, aq_bytes msg);
  bool (*there)(void *arg, const fake_letter *l); /* does `to` get what arrives? */
  void (*arrive)(void *arg, fake_letter *l);      /* a message: fake_letter_deliver as often as it is to be */
  void (*serve)(void *arg, fake_letter *l);       /* a request is about to be served */
  uint64_t (*way_ns)(void *arg, fake_letter *l);  /* of an answer; AQ_NEVER: lost */
  bool slow_refusals;                             /* who is not there is known after the way back, else at once */
  bool (*connected)(void *arg, fake_link *from, uint32_t peer);
  void (*fault)(void *arg, fake_link *from, uint32_t peer, aq_net_proto proto, aq_status st);
  aq_list letters; /* to read: under way, in the order of sending */
  aq_list nodes;   /* private */
};

void fake_links_init(fake_links *all, fake_env *env, void *arg); /* env is borrowed; delay 10 ms */
void fake_links_free(fake_links *all);                           /* letters end without callbacks */

void fake_link_join(fake_links *all, fake_link *out, uint32_t self, void *of); /* up */
/* As a host that stops: what it has under way ends with AQ_E_CLOSED, whoever waits for an answer from it is told. */
void fake_link_end(fake_link *n);
void fake_link_drop(fake_link *n); /* once nobody is left to call back; it is out of `all` */

void fake_letter_go(fake_letter *l, uint64_t after_ns);                 /* it arrives */
void fake_letter_tell(fake_letter *l, uint64_t after_ns, aq_status st); /* its sender is told, now or then instead */
void fake_letter_deliver(fake_letter *l);                               /* to the handler, if it is there */
/* A message of nobody's making, whose sender is told nothing. */
void fake_letter_inject(fake_link *from, fake_link *to, aq_net_proto proto, uint64_t after_ns, aq_bytes msg);

#endif

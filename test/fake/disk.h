/* fake/disk.h - the rows of a store in memory: a disk that outlives the process that wrote on it. What it takes and
   refuses is the journal's (journal/journal.h), as with the database. It may fail; a test may look at rows, change and
   remove them. Addresses of peers are not kept. One thread. */
#ifndef AQ_FAKE_DISK_H
#define AQ_FAKE_DISK_H

#include "base/list.h"
#include "journal/journal.h"

typedef enum { FAKE_VOTE, FAKE_DECIDED, FAKE_SIGN, FAKE_BLOB } fake_row_kind;

typedef struct fake_row {
  aq_list link; /* on the disk */
  aq_list turn; /* among what is written with it */
  fake_row_kind kind;
  union {
    aq_store_vote vote;
    aq_store_decided decided;
    aq_store_sign sign;
    aq_store_blob blob;
  } u;
  uint8_t data[]; /* what the views of u are of */
} fake_row;

/* Copies. The caller's until they are written. */
fake_row *fake_row_vote(const aq_store_vote *v);
fake_row *fake_row_decided(const aq_store_decided *d);
fake_row *fake_row_sign(const aq_store_sign *s);
fake_row *fake_row_blob(const aq_store_blob *b);
aq_duty fake_row_duty(const fake_row *r);
void fake_rows_free(aq_list *rows); /* by turn */

typedef struct fake_mark fake_mark;

enum { FAKE_DISK_SLOTS = 512 }; /* with a list of their own; later slots share one */

typedef struct {
  aq_list slot[FAKE_DISK_SLOTS + 1];
  fake_mark *mark;
  size_t mark_cnt;
  uint64_t journal_slots; /* signed roots stay this many slots longer than the rest: as the database, until it is set */
  uint64_t since_ns;      /* port/store.h */
  bool fails;             /* every write and look-up ends with AQ_E_IO */
  bool missing;           /* nothing is there: the next start finds no database */
  bool pinned;
  uint8_t chain[32]; /* when pinned */
} fake_disk;

void fake_disk_init(fake_disk *d);
void fake_disk_free(fake_disk *d);
void fake_disk_lose(fake_disk *d, uint64_t now_ns); /* nothing is left; the next start finds it missing at this time */
void fake_disk_copy(fake_disk *out, const fake_disk *in); /* out: initialised */

/* All of the rows (by turn), in order, or none. Those that are new are the disk's then and have left the list; what
   is left is the caller's. why: of AQ_E_SLASH for a signed root; not NULL. wrote, unless NULL, is told of each row in
   order, once all are there: fresh: it was not there before. */
typedef void (*fake_wrote_fn)(void *arg, const fake_row *r, bool fresh);
AQ_NODISCARD aq_status fake_disk_write(fake_disk *d, aq_list *rows, aq_store_refusal *why, fake_wrote_fn wrote,
                                       void *arg);
void fake_disk_prune(fake_disk *d, uint64_t before_slot);
void fake_disk_over(fake_disk *d, const uint8_t pubkey[48], aq_duty duty); /* its partials go */

/* For tests: past the rules. */
void fake_disk_put(fake_disk *d, fake_row *r);
void fake_disk_drop(fake_row *r);
/* The row after `at` (NULL: the first), by slot, then in the order of writing; NULL: none. */
fake_row *fake_disk_next(const fake_disk *d, const fake_row *at);
size_t fake_disk_cnt(const fake_disk *d, fake_row_kind kind);
size_t fake_disk_size(const fake_disk *d); /* all rows */

/* NULL: it is not there. */
const aq_store_vote *fake_disk_vote(const fake_disk *d, aq_duty duty, uint8_t msg_type, uint64_t round);
const aq_store_decided *fake_disk_decided(const fake_disk *d, aq_duty duty);
const aq_store_blob *fake_disk_blob(const fake_disk *d, aq_duty duty, const uint8_t hash[32]);
/* root NULL: whichever. Of one key and duty there may be several, one a subcommittee. */
const aq_store_sign *fake_disk_sign(const fake_disk *d, aq_sign_kind kind, aq_duty duty, const uint8_t pubkey[48],
                                    const uint8_t *root);
bool fake_disk_has_vote(const fake_disk *d, aq_duty duty, aq_bytes msg);
bool fake_disk_has_partial(const fake_disk *d, aq_duty duty, const uint8_t pubkey[48]);

#endif

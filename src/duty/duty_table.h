/* duty/duty_table.h - duties as rows: the only place where the nature of a type stands. What a type does (payloads,
   requests, submissions, reasons) are rows of operations where that is done, made by the same list, so that a type
   without its row does not link. Spec: core.md 1, 2, 3.2 and 7; consensus.md 2.2. */
#ifndef AQ_DUTY_DUTY_TABLE_H
#define AQ_DUTY_DUTY_TABLE_H

/* Behind what its user hands through (a, b): id, name, number, start, window, definitions, needs, data, parent, slash,
   flags. Numbers are wire values and never change. needs: whose group signature is asked for first, at the fetch; data:
   what is fetched is about its result, for each validator that was selected; parent: the duty that it serves. */
#define AQ_DUTY_MAP(X, a, b)                                                                                         \
  X(a, b, PROPOSER, proposer, 1, SLOT, THIRD, PROPOSER, RANDAO, UNKNOWN, UNKNOWN, BLOCK,                             \
    AQ_DF_CONSENSUS | AQ_DF_SHARED | AQ_DF_AGREED | AQ_DF_ONE_ENTRY | AQ_DF_URGENT)                                  \
  X(a, b, ATTESTER, attester, 2, ATTEST, EPOCH, ATTESTER, UNKNOWN, UNKNOWN, UNKNOWN, ATTESTATION,                    \
    AQ_DF_CONSENSUS | AQ_DF_SHARED | AQ_DF_AGREED)                                                                   \
  X(a, b, SIGNATURE, signature, 3, SLOT, SLOT, NONE, UNKNOWN, UNKNOWN, UNKNOWN, NONE, 0)                             \
  X(a, b, EXIT, exit, 4, SLOT, NEVER, NONE, UNKNOWN, UNKNOWN, UNKNOWN, NONE, AQ_DF_SHARED)                           \
  X(a, b, BUILDER_PROPOSER, builder_proposer, 5, SLOT, SLOT, NONE, UNKNOWN, UNKNOWN, UNKNOWN, BLOCK, 0)              \
  X(a, b, BUILDER_REGISTRATION, builder_registration, 6, SLOT, NEVER, NONE, UNKNOWN, UNKNOWN, UNKNOWN, NONE,         \
    AQ_DF_SHARED)                                                                                                    \
  X(a, b, RANDAO, randao, 7, SLOT, THIRD, NONE, UNKNOWN, UNKNOWN, PROPOSER, NONE, AQ_DF_SHARED | AQ_DF_URGENT)       \
  X(a, b, PREPARE_AGGREGATOR, prepare_aggregator, 8, SLOT, EPOCHS_2, NONE, UNKNOWN, UNKNOWN, ATTESTER, NONE,         \
    AQ_DF_SHARED)                                                                                                    \
  X(a, b, AGGREGATOR, aggregator, 9, AGGREGATE, EPOCH, ATTESTER, PREPARE_AGGREGATOR, ATTESTER, UNKNOWN, NONE,        \
    AQ_DF_CONSENSUS | AQ_DF_SHARED)                                                                                  \
  X(a, b, SYNC_MESSAGE, sync_message, 10, SLOT, SLOT, NONE, UNKNOWN, UNKNOWN, SYNC_CONTRIBUTION, NONE, AQ_DF_SHARED) \
  X(a, b, PREPARE_SYNC_CONTRIBUTION, prepare_sync_contribution, 11, SLOT, EPOCHS_2, NONE, UNKNOWN, UNKNOWN,          \
    SYNC_CONTRIBUTION, NONE, AQ_DF_SHARED | AQ_DF_SUBCOMMITTEE)                                                      \
  X(a, b, SYNC_CONTRIBUTION, sync_contribution, 12, AGGREGATE, SLOT, SYNC, PREPARE_SYNC_CONTRIBUTION, SYNC_MESSAGE,  \
    UNKNOWN, NONE, AQ_DF_CONSENSUS | AQ_DF_SHARED | AQ_DF_SUBCOMMITTEE)                                              \
  X(a, b, INFO_SYNC, info_sync, 13, SLOT, SLOT, NONE, UNKNOWN, UNKNOWN, UNKNOWN, NONE, AQ_DF_CONSENSUS | AQ_DF_INFO)

/* How long after its slot's begin it may be done, but for a margin. Of proposals in short slots: the slot. */
typedef enum { AQ_WINDOW_SLOT, AQ_WINDOW_THIRD, AQ_WINDOW_EPOCH, AQ_WINDOW_EPOCHS_2, AQ_WINDOW_NEVER } aq_duty_window;

/* Which answer of the beacon node says who has it. */
typedef enum { AQ_DUTIES_ATTESTER, AQ_DUTIES_PROPOSER, AQ_DUTIES_SYNC, AQ_DUTIES_NONE } aq_duties_kind;

/* Which rule of EIP-3076 a second one breaks. */
typedef enum { AQ_SLASH_NONE, AQ_SLASH_BLOCK, AQ_SLASH_ATTESTATION } aq_duty_slash;

enum {
  AQ_DF_CONSENSUS = 1,     /* the cluster agrees on it */
  AQ_DF_SHARED = 2,        /* its partial signatures travel */
  AQ_DF_AGREED = 4,        /* what is signed is what was agreed, to the root; nodes vote from the trigger on */
  AQ_DF_ONE_ENTRY = 8,     /* a value has one validator's data */
  AQ_DF_URGENT = 16,       /* a block waits for it */
  AQ_DF_SUBCOMMITTEE = 32, /* up to one a subcommittee and validator */
  AQ_DF_INFO = 64          /* agreed on are the nodes' priorities, not data of validators */
};

#endif

/* adapter/workers.h - the worker pool of the loop: threads that run aq_job by priority, started when there is work for
   them. Submit, drain and free belong to the loop thread. */
#ifndef AQ_ADAPTER_WORKERS_H
#define AQ_ADAPTER_WORKERS_H

#include "port/env.h"

enum { AQ_WORKERS_MAX = 16, AQ_WORKER_STACK = 256 * 1024 };

typedef struct aq_workers aq_workers;
/* wake: called on a worker when a finished job waits for aq_workers_drain. */
aq_workers *aq_workers_new(uint32_t max, void (*wake)(void *arg), void *arg);
void aq_workers_submit(aq_workers *w, aq_job *job);
void aq_workers_drain(aq_workers *w); /* done of every finished job */
/* Runs what is queued, calls done of all, ends the threads. */
void aq_workers_free(aq_workers *w);

#endif

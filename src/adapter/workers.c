/* One queue a priority under one lock; a thread is started only when more jobs wait than threads are idle. */
#include "adapter/workers.h"

#include "base/assert.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

typedef struct {
  aq_job *head, **tail;
} queue;

struct aq_workers {
  pthread_mutex_t lock; /* guards what follows up to `started` */
  pthread_cond_t work;
  queue ready[AQ_JOB_PRIORITIES], finished;
  size_t waiting; /* jobs in ready */
  uint32_t idle;
  bool stopping;
  uint32_t started, max; /* loop thread */
  pthread_t thread[AQ_WORKERS_MAX];
  void (*wake)(void *arg);
  void *arg;
};

static void queue_init(queue *q) { q->head = NULL, q->tail = &q->head; }

static void queue_push(queue *q, aq_job *job) {
  job->next = NULL;
  *q->tail = job;
  q->tail = &job->next;
}

static aq_job *queue_pop(queue *q) {
  aq_job *job = q->head;
  if (!job) return NULL;
  q->head = job->next;
  if (!q->head) q->tail = &q->head;
  return job;
}

static aq_job *next_ready(aq_workers *w) {
  for (int i = 0; i < AQ_JOB_PRIORITIES; i++) {
    aq_job *job = queue_pop(&w->ready[i]);
    if (!job) continue;
    w->waiting--;
    return job;
  }
  return NULL;
}

static void *worker_main(void *arg) {
  aq_workers *w = arg;
  pthread_mutex_lock(&w->lock);
  for (;;) {
    aq_job *job = next_ready(w);
    if (!job) {
      if (w->stopping) break;
      w->idle++;
      pthread_cond_wait(&w->work, &w->lock);
      w->idle--;
      continue;
    }
    pthread_mutex_unlock(&w->lock);
    job->run(job);
    pthread_mutex_lock(&w->lock);
    bool first = w->finished.head == NULL;
    queue_push(&w->finished, job);
    if (first) w->wake(w->arg);
  }
  pthread_mutex_unlock(&w->lock);
  return NULL;
}

/* Signals stay with the loop thread: the worker inherits a full mask. */
static void start_worker(aq_workers *w) {
  pthread_attr_t attr;
  sigset_t all, old;
  sigfillset(&all);
  AQ_MUST(pthread_attr_init(&attr) == 0 && pthread_attr_setstacksize(&attr, AQ_WORKER_STACK) == 0);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  int rc = pthread_create(&w->thread[w->started], &attr, worker_main, w);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  pthread_attr_destroy(&attr);
  if (rc == 0) w->started++;
  AQ_ASSERT(w->started > 0);
}

aq_workers *aq_workers_new(uint32_t max, void (*wake)(void *arg), void *arg) {
  aq_workers *w = calloc(1, sizeof *w);
  AQ_ASSERT(w && max > 0);
  pthread_mutex_init(&w->lock, NULL);
  pthread_cond_init(&w->work, NULL);
  for (int i = 0; i < AQ_JOB_PRIORITIES; i++) queue_init(&w->ready[i]);
  queue_init(&w->finished);
  w->max = max < AQ_WORKERS_MAX ? max : AQ_WORKERS_MAX;
  w->wake = wake, w->arg = arg;
  return w;
}

void aq_workers_submit(aq_workers *w, aq_job *job) {
  AQ_ASSERT(job->priority < AQ_JOB_PRIORITIES);
  pthread_mutex_lock(&w->lock);
  queue_push(&w->ready[job->priority], job);
  w->waiting++;
  bool more = w->waiting > w->idle && w->started < w->max && !w->stopping;
  pthread_cond_signal(&w->work);
  pthread_mutex_unlock(&w->lock);
  if (more) start_worker(w);
}

void aq_workers_drain(aq_workers *w) {
  pthread_mutex_lock(&w->lock);
  aq_job *job = w->finished.head;
  queue_init(&w->finished);
  pthread_mutex_unlock(&w->lock);
  while (job) {
    aq_job *next = job->next; /* done may free the job */
    job->done(job);
    job = next;
  }
}

void aq_workers_free(aq_workers *w) {
  if (!w) return;
  pthread_mutex_lock(&w->lock);
  w->stopping = true;
  pthread_cond_broadcast(&w->work);
  pthread_mutex_unlock(&w->lock);
  for (uint32_t i = 0; i < w->started; i++) pthread_join(w->thread[i], NULL);
  aq_workers_drain(w);
  for (aq_job *job; (job = next_ready(w));) { /* handed in by a done above */
    job->run(job);
    job->done(job);
  }
  pthread_cond_destroy(&w->work);
  pthread_mutex_destroy(&w->lock);
  free(w);
}

/* The live table: redrawn in place on a terminal, one plain line a slot elsewhere. */
#include <unistd.h>

#include "lab/testnet_internal.h"

typedef unsigned long long ull;

static void duty_line(const aq_testnet *t, aq_duty_type type) {
  const aq_report_duty *d = &t->report.duty[type];
  printf("  %-12s %8llu done %6llu failed   p50 %7.1f ms   p99 %7.1f ms\n", aq_duty_name(type), (ull)d->ok,
         (ull)d->failed, aq_samples_quantile(&d->latency_ms, 0.5), aq_samples_quantile(&d->latency_ms, 0.99));
}

static uint32_t table(const aq_testnet *t) {
  uint32_t lines = 2;
  printf("slot %llu of epoch %llu, %u nodes, %u validators\n", (ull)t->slot,
         (ull)((t->first_slot + t->slot) / t->cfg->slots_per_epoch), t->cfg->nodes, t->cfg->validators);
  printf("  node  state    peers   memory      cpu   ok duties  failed\n");
  for (uint32_t i = 0; i < t->cfg->nodes; i++, lines++) {
    const aq_report_node *n = &t->report.node[i];
    printf("  %-5u %-8s %5u %5.1f MiB %5.1f s %11llu %7llu%s%s\n", i, t->node[i]->running ? "up" : "down", t->conns[i],
           (double)n->rss_kib_max / 1024, (double)n->cpu_ms / 1000, (ull)n->duties_ok, (ull)n->duties_failed,
           t->cfg->binary[i] ? "  " : "", t->cfg->binary[i] ? t->cfg->binary[i] : "");
  }
  for (int d = 0; d < AQ_DUTY_CNT; d++) {
    if (!t->report.duty[d].scheduled && !aq_duty_is((aq_duty_type)d, AQ_DF_AGREED)) continue;
    lines++;
    duty_line(t, (aq_duty_type)d);
  }
  printf("  wrong messages %llu, slashable %llu%s%s\n", (ull)t->report.bad, (ull)t->report.slashable,
         t->report.last_failure[0] ? "; last failure: " : "", t->report.last_failure);
  return lines + 1;
}

void aq_testnet_show(aq_testnet *t, bool last) {
  static uint32_t drawn; /* lines of the table on the terminal */
  if (isatty(STDOUT_FILENO)) {
    if (drawn) printf("\033[%uA\033[J", drawn);
    drawn = table(t);
  } else if (last) {
    table(t);
  } else {
    const aq_report_duty *a = &t->report.duty[AQ_DUTY_ATTESTER], *p = &t->report.duty[AQ_DUTY_PROPOSER];
    uint32_t up = 0;
    for (uint32_t i = 0; i < t->cfg->nodes; i++) up += t->node[i]->running;
    printf(
        "slot %llu: %u of %u nodes up; attestations %llu done, %llu failed; blocks %llu done, %llu failed; slashable "
        "%llu\n",
        (ull)t->slot, up, t->cfg->nodes, (ull)a->ok, (ull)a->failed, (ull)p->ok, (ull)p->failed,
        (ull)t->report.slashable);
  }
  fflush(stdout);
}

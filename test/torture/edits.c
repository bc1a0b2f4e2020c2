/* aequa-edits: the fuzz targets of the decoders over all small inputs; their asserts say that what decodes is written
   again as the same or as canonical bytes. Every byte string of length 0 to 2 (0 to 3 where the first byte chooses the
   type), and every replaced byte, every cut and every added byte of each file of the corpus. --budget RUNS takes evenly
   spread ones of a target instead of all. */
#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "torture.h"
static const struct {
  const char *name;
  size_t small; /* longest of the byte strings that are all tried */
} decoder[] = {
    {"codec_json_fuzz", 2},   {"codec_multiaddr_fuzz", 2},     {"codec_pb_fuzz", 3},
    {"codec_rlp_fuzz", 3},    {"codec_text_fuzz", 3},          {"eth_payload_fuzz", 2},
    {"eth_ssz_fuzz", 2},      {"eth_value_fuzz", 2},           {"cluster_identity_fuzz", 2},
    {"p2p_identify_fuzz", 2}, {"p2p_multistream_fuzz", 2},     {"p2p_peerinfo_fuzz", 2},
    {"p2p_yamux_fuzz", 2},    {"consensus_qbft_wire_fuzz", 2}, {"port_http_fuzz", 2},
    {"crypto_k1_fuzz", 2},
};

enum { FILE_MAX = 1 << 16 };
static uint8_t file[FILE_MAX + 1];
static struct {
  torture_run *run;
  const char *name, *input;
  uint64_t cnt, stride, runs;
} now;

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) {
  (void)data, (void)max_size;
  return size;
}

static void tell(const char *text) {
  if (write(2, text, strlen(text)) < 0) _exit(3);
}

static void on_abort(int sig) {
  tell(now.name);
  tell(", ");
  tell(now.input);
  tell("\n");
  signal(sig, SIG_DFL);
  raise(sig);
}

/* A block of its own, so that a sanitizer sees a byte read too far. */
static void give(const uint8_t *data, size_t len) {
  if (now.cnt++ % now.stride) return;
  uint8_t *copy = malloc(len ? len : 1);
  if (!copy) exit(1);
  if (len) memcpy(copy, data, len);
  (void)now.run(copy, len);
  free(copy);
  now.runs++;
}

static void all_small(size_t longest) {
  uint8_t text[3];
  now.input = "small";
  for (size_t len = 0; len <= longest; len++) {
    for (uint32_t v = 0; v < UINT32_C(1) << 8 * len; v++) {
      for (size_t i = 0; i < len; i++) text[i] = (uint8_t)(v >> 8 * i);
      give(text, len);
    }
  }
}

static void all_edits(size_t len) {
  for (size_t at = 0; at < len; at++) {
    uint8_t was = file[at];
    for (uint32_t v = 0; v < 256; v++) {
      file[at] = (uint8_t)v;
      give(file, len);
    }
    file[at] = was;
    give(file, at);
  }
  for (uint32_t v = 0; v < 256; v++) {
    file[len] = (uint8_t)v;
    give(file, len + 1);
  }
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

/* budget 0: all. The first pass only measures. */
static void one_target(const char *corpus, size_t small, uint64_t budget) {
  char dir[2048], path[4400];
  struct dirent **list;
  uint64_t total = 0;
  snprintf(dir, sizeof dir, "%s/%s", corpus, now.name);
  int cnt = scandir(dir, &list, NULL, by_name);
  for (int pass = budget ? 0 : 1; pass < 2; pass++) {
    now.cnt = now.runs = 0;
    now.stride = pass == 0 ? UINT64_MAX : budget && total > budget ? total / budget | 1 : 1;
    all_small(small);
    for (int i = 0; i < cnt; i++) {
      snprintf(path, sizeof path, "%s/%s", dir, list[i]->d_name);
      FILE *f = list[i]->d_name[0] == '.' ? NULL : fopen(path, "rb");
      if (!f) continue;
      size_t len = fread(file, 1, FILE_MAX, f);
      fclose(f);
      now.input = list[i]->d_name;
      all_edits(len);
    }
    total = now.cnt;
  }
  for (int i = 0; i < cnt; i++) free(list[i]);
  if (cnt >= 0) free(list);
  printf("%-26s %8" PRIu64 " of %" PRIu64 " inputs\n", now.name, now.runs, now.cnt);
  fflush(stdout);
}

int main(int argc, char **argv) {
  const char *corpus = NULL, *only = NULL;
  uint64_t budget = 0;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--budget") == 0 && i + 1 < argc) {
      budget = strtoull(argv[++i], NULL, 10);
    } else if (strcmp(argv[i], "--target") == 0 && i + 1 < argc) {
      only = argv[++i];
    } else {
      corpus = argv[i];
    }
  }
  if (!corpus) {
    fprintf(stderr, "usage: aequa-edits [--target NAME] [--budget RUNS] CORPUS\n");
    return 2;
  }
  signal(SIGABRT, on_abort);
  for (size_t d = 0; d < sizeof decoder / sizeof *decoder; d++) {
    if (only && strcmp(only, decoder[d].name) != 0) continue;
    for (size_t t = 0; t < sizeof target / sizeof *target; t++) {
      if (strcmp(target[t].name, decoder[d].name) != 0) continue;
      now.run = target[t].run;
      now.name = target[t].name;
      one_target(corpus, decoder[d].small, budget);
    }
  }
  return 0;
}

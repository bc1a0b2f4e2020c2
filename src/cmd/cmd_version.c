/* `aequa version`: one line, and with --verbose the build and the protocols. */
#include "cmd/cmd.h"

#include <stdio.h>

#include "base/version.h"

typedef struct {
  bool verbose;
} version_cfg;

static const aq_option options[] = {
    {.flag = "verbose",
     .kind = AQ_OPT_BOOL,
     .off = offsetof(version_cfg, verbose),
     .help = "build information and protocols"},
};

static int run(const aq_cmd_ctx *ctx, void *cfg) {
  (void)ctx;
  const version_cfg *c = cfg;
  printf("v%s [git_commit_hash=%s,git_commit_time=%s]\n", AQ_VERSION, AQ_GIT_HASH, AQ_GIT_TIME);
  if (!c->verbose) return AQ_EXIT_OK;
  printf("compiler: %s\n", __VERSION__);
  printf("consensus protocols:\n  /charon/consensus/qbft/2.0.0\n");
  printf("cluster lock versions: v1.0.0 to v1.11.0\n");
  return AQ_EXIT_OK;
}

const aq_command aq_cmd_version = {
    .name = "version",
    .summary = "print the version",
    .args_ignored = true,
    .option = options,
    .option_cnt = AQ_COUNT(options),
    .cfg_size = sizeof(version_cfg),
    .run = run,
};

/* `aequa create cluster`: flags and definition to a plan, then cluster/create.h; what Charon has and we have not is
   refused by name. */
#include <stdio.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/hex.h"
#include "cluster/create.h"
#include "cluster/eip712.h"
#include "cluster/rfc3339.h"
#include "cmd/cmd.h"
#include "cmd/network.h"
#include "crypto/aead.h"

typedef struct {
  const char *name, *network, *cluster_dir, *definition_file, *split_keys_dir, *consensus_protocol, *publish_address,
      *execution;
  uint64_t nodes, threshold, validators, target_gas_limit;
  bool insecure_keys, split_existing, compounding, publish, zipped, if_absent;
  aq_opt_list fee_recipients, withdrawals, deposit_amounts, keymanagers, keymanager_tokens;
  aq_network_flags custom;
} create_cfg;

#define OPT(f, k, member, d, h) \
  { .flag = (f), .kind = (k), .off = offsetof(create_cfg, member), .def = (d), .help = (h) }
static const aq_option options[] = {
    OPT("name", AQ_OPT_STR, name, NULL, "cosmetic cluster name"),
    OPT("nodes", AQ_OPT_U64, nodes, "0", "number of nodes, at least 3 (custom networks: 1)"),
    OPT("threshold", AQ_OPT_U64, threshold, "0",
        "shares that make a signature; 0: two thirds of the nodes, rounded up"),
    OPT("num-validators", AQ_OPT_U64, validators, "0", "number of validators to create"),
    OPT("network", AQ_OPT_STR, network, "mainnet", "mainnet, sepolia, hoodi, gnosis, chiado or goerli"),
    OPT("cluster-dir", AQ_OPT_PATH, cluster_dir, "./", "where node0, node1, ... are made"),
    OPT("if-absent", AQ_OPT_BOOL, if_absent, "false", "do nothing, successfully, when a cluster is there already"),
    OPT("fee-recipient-addresses", AQ_OPT_LIST, fee_recipients, NULL,
        "one address for all validators, or one for each"),
    OPT("withdrawal-addresses", AQ_OPT_LIST, withdrawals, NULL, "one address for all validators, or one for each"),
    OPT("deposit-amounts", AQ_OPT_LIST, deposit_amounts, NULL, "partial deposits in whole ETH"),
    OPT("compounding", AQ_OPT_BOOL, compounding, "false", "0x02 withdrawal credentials, deposits up to 2048 ETH"),
    OPT("target-gas-limit", AQ_OPT_U64, target_gas_limit, "60000000", "gas limit of the builder registrations"),
    OPT("consensus-protocol", AQ_OPT_STR, consensus_protocol, NULL, "preferred protocol: qbft"),
    OPT("insecure-keys", AQ_OPT_BOOL, insecure_keys, "false",
        "keystores that open fast and protect nothing, for tests"),
    OPT("definition-file", AQ_OPT_PATH, definition_file, NULL, "cluster definition that decides everything above"),
    OPT("split-existing-keys", AQ_OPT_BOOL, split_existing, "false", "split the keys of --split-keys-dir"),
    OPT("split-keys-dir", AQ_OPT_PATH, split_keys_dir, NULL, "keystores to split, with their passwords as .txt"),
    OPT("keymanager-addresses", AQ_OPT_LIST, keymanagers, NULL,
        "not supported: import the keystores of node<i> yourself"),
    OPT("keymanager-auth-tokens", AQ_OPT_LIST, keymanager_tokens, NULL, "not supported"),
    OPT("publish", AQ_OPT_BOOL, publish, "false", "not supported: nothing is sent anywhere"),
    OPT("publish-address", AQ_OPT_STR, publish_address, NULL, "accepted, has no effect"),
    OPT("execution-client-rpc-endpoint", AQ_OPT_STR, execution, NULL, "accepted, has no effect"),
    OPT("zipped", AQ_OPT_BOOL, zipped, "false", "not supported: pack node<i> with tar"),
    AQ_NETWORK_OPTIONS(create_cfg, custom),
};

typedef struct {
  const create_cfg *c;
  const aq_cmd_ctx *ctx;
  aq_network custom;
  const aq_network *custom_network; /* NULL: none */
  const aq_network *network;
  aq_lock *from; /* the definition that was given; NULL: none */
  aq_definition def;
  aq_keys keys; /* of --split-existing-keys */
  char uuid[37], timestamp[AQ_RFC3339_MAX];
  uint64_t now_ns;
  aq_err err;
} job;

static aq_status refuse(job *j, const char *text) { return aq_fail(&j->err, AQ_E_FORMAT, "%s", text); }

/* ---- what is asked for ---- */

static aq_status check_unsupported(job *j) {
  const create_cfg *c = j->c;
  if (c->keymanagers.cnt || c->keymanager_tokens.cnt) {
    return refuse(j,
                  "--keymanager-addresses is not supported: import the keystores of node<i>/validator_keys yourself");
  }
  if (c->publish) return refuse(j, "--publish is not supported: the lock is only written to the node directories");
  if (c->zipped) return refuse(j, "--zipped is not supported: pack the node directories with tar");
  if (strncasecmp(c->definition_file, "http://", 7) == 0 || strncasecmp(c->definition_file, "https://", 8) == 0) {
    return refuse(j, "--definition-file takes a file here: download the definition first, for example with curl -o");
  }
  if (c->split_existing && !*c->split_keys_dir) return refuse(j, "--split-existing-keys needs --split-keys-dir");
  if (!c->split_existing && *c->split_keys_dir) return refuse(j, "--split-keys-dir needs --split-existing-keys");
  return AQ_OK;
}

static aq_status choose_network(job *j) {
  aq_status st = aq_network_of_flags(&j->custom_network, &j->custom, &j->c->custom, &j->err);
  if (st != AQ_OK) return st;
  j->network = j->custom_network ? j->custom_network : aq_network_by_name(j->c->network);
  return j->network ? AQ_OK : aq_fail(&j->err, AQ_E_FORMAT, "--network: \"%.40s\" is not known", j->c->network);
}

/* An address text with upper and lower case carries a checksum, and a wrong one is a typing mistake. */
static aq_status check_address(job *j, const char *text, const char *what, bool zero_ok) {
  uint8_t b[20];
  bool lower = false, upper = false;
  if (aq_address_parse(b, text) != AQ_OK) {
    return aq_fail(&j->err, AQ_E_FORMAT, "%s \"%.60s\" is not 0x and 40 hex digits", what, text);
  }
  for (const char *p = text + 2; *p; p++) lower |= *p >= 'a' && *p <= 'f', upper |= *p >= 'A' && *p <= 'F';
  if (lower && upper && !aq_address_is_checksummed(text)) {
    return aq_fail(&j->err, AQ_E_FORMAT, "%s %s has a wrong checksum (mistyped?)", what, text);
  }
  if (!zero_ok && aq_bytes_is_zero(aq_bytes_of(b, sizeof b)))
    return aq_fail(&j->err, AQ_E_FORMAT, "%s is the zero address", what);
  return AQ_OK;
}

static aq_status take_addresses(job *j) {
  aq_definition *d = &j->def;
  const aq_opt_list *fee = &j->c->fee_recipients, *to = &j->c->withdrawals;
  if ((fee->cnt != 1 && fee->cnt != d->validator_cnt) || fee->cnt == 0) {
    return aq_fail(&j->err, AQ_E_FORMAT, "--fee-recipient-addresses needs one address, or %u", d->validator_cnt);
  }
  if ((to->cnt != 1 && to->cnt != d->validator_cnt) || to->cnt == 0) {
    return aq_fail(&j->err, AQ_E_FORMAT, "--withdrawal-addresses needs one address, or %u", d->validator_cnt);
  }
  d->addresses = aq_arena_array(j->ctx->arena, d->validator_cnt, sizeof *d->addresses);
  if (!d->addresses) return refuse(j, "out of memory");
  for (uint32_t i = 0; i < d->validator_cnt; i++) {
    aq_validator_address *a = &d->addresses[i];
    a->fee_recipient = fee->item[fee->cnt == 1 ? 0 : i];
    a->withdrawal = to->item[to->cnt == 1 ? 0 : i];
    aq_status st = check_address(j, a->fee_recipient, "fee recipient", true);
    if (st == AQ_OK) st = check_address(j, a->withdrawal, "withdrawal address", !j->network->valuable);
    if (st != AQ_OK) return st;
  }
  return AQ_OK;
}

static aq_status take_amounts(job *j) {
  const aq_opt_list *list = &j->c->deposit_amounts;
  uint64_t *gwei = aq_arena_array(j->ctx->arena, list->cnt + 1, sizeof *gwei);
  if (!gwei) return refuse(j, "out of memory");
  for (size_t i = 0; i < list->cnt; i++) {
    uint64_t eth;
    if (aq_u64_parse(&eth, aq_bytes_str(list->item[i])) != AQ_OK || eth > 1000000) {
      return aq_fail(&j->err, AQ_E_FORMAT, "--deposit-amounts: \"%.40s\" is no whole number of ETH", list->item[i]);
    }
    gwei[i] = eth * AQ_GWEI_PER_ETH;
  }
  j->def.deposit_amounts = gwei;
  j->def.deposit_amount_cnt = (uint32_t)list->cnt;
  return aq_deposit_amounts_check(gwei, list->cnt, j->def.compounding, &j->err);
}

static aq_status check_protocol(job *j, const char *name) {
  if (!*name || strcasecmp(name, "qbft") == 0) return AQ_OK;
  return aq_fail(&j->err, AQ_E_FORMAT, "--consensus-protocol: \"%.40s\" is not known (qbft is)", name);
}

static aq_status check_counts(job *j) {
  aq_definition *d = &j->def;
  const create_cfg *c = j->c;
  uint64_t min = j->custom_network ? 1 : 3;
  if (c->nodes == 0) return refuse(j, "--nodes is missing");
  if (c->nodes < min || c->nodes > AQ_OPERATORS_MAX) {
    return aq_fail(&j->err, AQ_E_FORMAT, "--nodes: %llu is not between %llu and %d", (unsigned long long)c->nodes,
                   (unsigned long long)min, AQ_OPERATORS_MAX);
  }
  if (c->threshold && (c->threshold < 2 || c->threshold > c->nodes))
    return refuse(j, "--threshold is not between 2 and --nodes");
  if (c->split_existing && c->validators)
    return refuse(j, "--num-validators cannot be given with --split-existing-keys");
  if (!c->split_existing && (c->validators == 0 || c->validators > AQ_VALIDATORS_MAX)) {
    return aq_fail(&j->err, AQ_E_FORMAT, "--num-validators is not between 1 and %d", AQ_VALIDATORS_MAX);
  }
  d->operator_cnt = (uint32_t)c->nodes;
  d->threshold = c->threshold ? (uint32_t)c->threshold : aq_threshold_default(d->operator_cnt);
  aq_err why = {AQ_OK, ""};
  if (aq_threshold_check(d->operator_cnt, d->threshold, &why) != AQ_OK)
    return aq_fail(&j->err, AQ_E_FORMAT, "--threshold: %.220s", why.text);
  d->validator_cnt = c->split_existing ? j->keys.cnt : (uint32_t)c->validators;
  return AQ_OK;
}

static aq_status definition_of_flags(job *j) {
  const create_cfg *c = j->c;
  if (strlen(c->name) > 256) return refuse(j, "--name is over 256 bytes");
  if (c->target_gas_limit == 0) return refuse(j, "--target-gas-limit must not be 0");
  aq_uuid_random(j->uuid);
  aq_rfc3339_print(j->timestamp, j->now_ns, true);
  j->def = (aq_definition){.name = c->name,
                           .uuid = j->uuid,
                           .timestamp = j->timestamp,
                           .dkg_algorithm = "default",
                           .consensus_protocol = c->consensus_protocol,
                           .compounding = c->compounding,
                           .target_gas_limit = c->target_gas_limit};
  aq_status st = check_counts(j);
  if (st == AQ_OK) st = check_protocol(j, c->consensus_protocol);
  if (st == AQ_OK) st = take_amounts(j);
  return st == AQ_OK ? take_addresses(j) : st;
}

/* ---- a definition that was given ---- */

static aq_status check_definition(job *j) {
  const aq_definition *d = &j->def;
  if (d->validator_cnt == 0) return refuse(j, "the definition has no validators");
  if (d->operator_cnt < (j->custom_network ? 1u : 3u)) return refuse(j, "the definition has fewer than 3 operators");
  aq_err why = {AQ_OK, ""};
  if (aq_threshold_check(d->operator_cnt, d->threshold, &why) != AQ_OK)
    return aq_fail(&j->err, AQ_E_FORMAT, "the definition's %.220s", why.text);
  if (!*d->name) return refuse(j, "the definition has no name");
  if (j->c->split_existing && j->keys.cnt != d->validator_cnt) {
    return aq_fail(&j->err, AQ_E_FORMAT, "%u keys for the %u validators of the definition", j->keys.cnt,
                   d->validator_cnt);
  }
  for (uint32_t i = 0; i < d->validator_cnt; i++) {
    const char *to = d->addresses[i].withdrawal;
    if (!aq_address_is_checksummed(to))
      return aq_fail(&j->err, AQ_E_FORMAT, "withdrawal address \"%.60s\" is not in EIP-55 form", to);
    aq_status st = check_address(j, to, "withdrawal address", !j->network->valuable);
    if (st == AQ_OK) st = check_address(j, d->addresses[i].fee_recipient, "fee recipient", true);
    if (st != AQ_OK) return st;
  }
  return check_protocol(j, d->consensus_protocol);
}

static aq_status definition_of_file(job *j) {
  aq_buf json = AQ_BUF(AQ_LOCK_BYTES_MAX);
  aq_err why = {AQ_OK, ""};
  const aq_lock_opts opts = {.network = j->custom_network};
  aq_status st = aq_file_read(&json, j->c->definition_file, &j->err);
  if (st == AQ_OK) {
    st = aq_definition_load_with(&j->from, aq_buf_bytes(&json), &opts, &why);
    if (st != AQ_OK) (void)aq_fail(&j->err, st, "%s: %s", j->c->definition_file, why.text);
  }
  aq_buf_free(&json);
  if (st != AQ_OK) return st;
  j->def = j->from->def;
  j->network = aq_definition_network(&j->def, j->custom_network);
  if (!j->network) return refuse(j, "the network of the definition is not known");
  return check_definition(j);
}

/* ---- existing keys ---- */

static bool several(const aq_opt_list *l) { return l->cnt > 1; }

/* With more than one address, key i must be the one that gets address i. */
static aq_status load_keys(job *j) {
  const create_cfg *c = j->c;
  if (!c->split_existing) return AQ_OK;
  bool ordered = *c->definition_file || several(&c->fee_recipients) || several(&c->withdrawals);
  aq_status st = ordered ? aq_keys_load(&j->keys, c->split_keys_dir, &j->err)
                         : aq_keys_load_any(&j->keys, c->split_keys_dir, &j->err);
  if (st != AQ_OK) return st;
  if (ordered && !j->keys.sequenced)
    return refuse(j, "with more than one address the keystores must be keystore-0.json, keystore-1.json, ...");
  for (uint32_t i = 0; i < j->keys.cnt; i++) {
    for (uint32_t k = 0; k < i; k++) {
      if (aq_ct_eq(j->keys.secret[i], j->keys.secret[k], 32))
        return refuse(j, "two keystores of --split-keys-dir hold the same key");
    }
  }
  return AQ_OK;
}

/* ---- running ---- */

static aq_status check_target(job *j) {
  char path[4096];
  for (unsigned i = 0; i < AQ_OPERATORS_MAX; i++) {
    int len = snprintf(path, sizeof path, "%s/node%u/" AQ_LOCK_FILE, j->c->cluster_dir, i);
    if (len < 0 || (size_t)len >= sizeof path) return refuse(j, "--cluster-dir is too long");
    if (access(path, F_OK) == 0) return aq_fail(&j->err, AQ_E_EXISTS, "%s: there is a cluster already", path);
  }
  return AQ_OK;
}

static aq_status prepare(job *j) {
  aq_status st = check_unsupported(j);
  if (st == AQ_OK) st = choose_network(j);
  if (st == AQ_OK) st = check_target(j);
  if (st == AQ_OK) st = load_keys(j);
  if (st == AQ_OK) st = *j->c->definition_file ? definition_of_file(j) : definition_of_flags(j);
  if (st == AQ_OK && j->c->insecure_keys && j->network->valuable) {
    st = aq_fail(&j->err, AQ_E_FORMAT, "--insecure-keys is refused on %s", j->network->name);
  }
  return st;
}

static void print_summary(const job *j, const aq_cluster *made) {
  const aq_definition *d = &made->lock->def;
  char hash[65];
  aq_hex_encode(hash, aq_bytes_of(made->lock->lock_hash, 32));
  printf("Created a cluster of %u nodes, threshold %u, with %u validator%s on %s.\n", d->operator_cnt, d->threshold,
         d->validator_cnt, d->validator_cnt == 1 ? "" : "s", j->network->name);
  char unusual[160];
  if (!aq_threshold_usual(d->operator_cnt, d->threshold, unusual)) printf("WARNING: %s\n", unusual);
  printf("lock hash: 0x%s\n", hash);
  printf("%s/\n", j->c->cluster_dir);
  for (uint32_t i = 0; i < d->operator_cnt; i++)
    printf("  node%u/  %s, %s, %s/, deposit data\n", i, AQ_KEY_FILE, AQ_LOCK_FILE, AQ_KEYS_DIR);
  printf("Give each directory to one operator only, and back it up.\n");
  if (j->c->split_existing) {
    printf(
        "\nWARNING: stop every validator client that has the old keys, and wait two epochs before this cluster "
        "starts.\n"
        "Signing with both at the same time is slashable.\n");
  }
}

static aq_status create(job *j) {
  aq_cluster *made = NULL;
  aq_cluster_cfg cfg = {.def = &j->def,
                        .network = j->network,
                        .secret = (const uint8_t(*)[32])j->keys.secret,
                        .registration_s = j->c->split_existing ? j->now_ns / 1000000000 : j->network->genesis_time_s};
  aq_status st = aq_cluster_make(&made, &cfg, &j->err);
  if (st == AQ_OK) st = aq_cluster_write(made, j->c->cluster_dir, j->c->insecure_keys, &j->err);
  if (st == AQ_OK) print_summary(j, made);
  aq_cluster_free(made);
  return st;
}

static int run(const aq_cmd_ctx *ctx, void *cfg) {
  struct timespec now;
  job j = {.c = cfg, .ctx = ctx};
  clock_gettime(CLOCK_REALTIME, &now);
  j.now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
  if (j.c->if_absent && check_target(&j) == AQ_E_EXISTS) {
    puts(j.err.text);
    return AQ_EXIT_OK;
  }
  aq_status st = prepare(&j);
  if (st == AQ_OK) st = create(&j);
  aq_keys_free(&j.keys);
  aq_lock_free(j.from);
  return st == AQ_OK ? AQ_EXIT_OK : aq_cmd_fail("%s", j.err.text);
}

const aq_command aq_cmd_create_cluster = {
    .name = "create cluster",
    .summary = "make all keys and files of a cluster on this machine",
    .args_ignored = true,
    .text =
        "Writes node0, node1, ... below --cluster-dir: identity key, cluster lock, key shares and deposit data of "
        "each\n"
        "node. Who runs this command has seen every key: for clusters between strangers use a key generation ceremony.",
    .option = options,
    .option_cnt = AQ_COUNT(options),
    .cfg_size = sizeof(create_cfg),
    .run = run,
};

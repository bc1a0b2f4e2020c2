/* Only whole PEM certificates count: a file that names none would trust nobody, and says so at the start. */
#include "adapter/ca.h"

#include <curl/curl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>

#include "cluster/datadir.h"

/* How many certificates; 0 also when one of them is broken. */
static size_t count_certificates(aq_bytes text) {
  size_t cnt = 0;
  BIO *bio = BIO_new_mem_buf(text.ptr, (int)text.len);
  for (X509 *x; bio && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)); cnt++) X509_free(x);
  bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  BIO_free(bio);
  return at_end ? cnt : 0;
}

static aq_status take(aq_buf *out, const char *path, const char *by, aq_err *err) {
  aq_err why = {AQ_OK, ""};
  aq_buf text = AQ_BUF(AQ_CA_FILE_MAX);
  aq_status st = aq_file_read(&text, path, &why);
  if (st != AQ_OK) {
    st = aq_fail(err, st, "%s: %s", by, why.text);
  } else if (count_certificates(aq_buf_bytes(&text)) == 0) {
    st = aq_fail(err, AQ_E_FORMAT,
                 "%s: %.100s has no certificates in PEM form (-----BEGIN CERTIFICATE-----), or a broken one", by, path);
  } else {
    aq_buf_put_bytes(out, aq_buf_bytes(&text));
    aq_buf_put_u8(out, '\n');
    st = aq_buf_status(out);
  }
  aq_buf_free(&text);
  return st;
}

aq_status aq_ca_load(aq_buf *out, const char *file, bool need, aq_err *err) {
  const char *env = getenv("SSL_CERT_FILE");
  bool has_env = env && *env, has_file = file && *file;
  if (has_env) {
    aq_status st = take(out, env, "SSL_CERT_FILE", need ? err : NULL);
    if (st != AQ_OK && need) return st;
  }
  if (!has_file) return AQ_OK;
  const char *machine = curl_version_info(CURLVERSION_NOW)->cainfo;
  if (!has_env && machine && take(out, machine, "the machine's certificates", NULL) != AQ_OK)
    aq_buf_reset(out); /* a machine without any, as in a bare container */
  return take(out, file, "--beacon-node-ca", err);
}

/* adapter/ca.h - whose certificates are believed besides those that the machine trusts. Read once, at the start. */
#ifndef AQ_ADAPTER_CA_H
#define AQ_ADAPTER_CA_H

#include "base/bytes.h"

enum { AQ_CA_FILE_MAX = 4 << 20 };

/* Appends the certificates (PEM) to be believed, for libcurl: those of SSL_CERT_FILE, or where it is not set the
   machine's, and those of `file`, NULL or "": none. Nothing is appended where libcurl's own way does. need: TLS will be
   spoken, so an SSL_CERT_FILE that cannot be used is an error, as one in `file` always is; err names who gave it. */
AQ_NODISCARD aq_status aq_ca_load(aq_buf *out, const char *file, bool need, aq_err *err);

#endif

/* crypto/password.h - the two forms of a keystore password that is not plain ASCII. EIP-2335, "Password requirements";
   the tables are libutf8proc's. out of both: AQ_PASSWORD_FORM_MAX bytes, guarded; the caller wipes it. */
#ifndef AQ_CRYPTO_PASSWORD_H
#define AQ_CRYPTO_PASSWORD_H

#include "base/bytes.h"

/* No code point's NFKD form has more than 18 code points, or 11 bytes for each of its own (U+FDFA). */
enum { AQ_PASSWORD_MAX = 1024, AQ_PASSWORD_FORM_MAX = 11 * AQ_PASSWORD_MAX };

/* NFKD, then without C0, C1 and Delete. A byte order mark at the start is an editor's and no part of the password.
   Length and content may show in the time unless all is ASCII, then only the places of control characters.
   AQ_E_FORMAT: not UTF-8. At most AQ_PASSWORD_MAX bytes go in (asserted). */
AQ_NODISCARD aq_status aq_password_eip2335(uint8_t *out, size_t *len, aq_bytes password);
/* As the bytes that they are, without the control characters of ASCII: what programs use that do not normalise. */
void aq_password_plain(uint8_t *out, size_t *len, aq_bytes password);
/* Does it begin with the byte order mark of UTF-16, of either order? Editors on Windows save so; no program decodes it
   (EIP-2335: passwords are UTF-8), so that it can only be told. */
bool aq_password_is_utf16(aq_bytes password);

#endif

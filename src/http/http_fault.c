/* The sentences. */
#include "http/http_fault.h"

#include <stdio.h>

#include "base/assert.h"

static const char *const texts[AQ_HTTP_FAULT_CNT] = {
    [AQ_HTTP_FAULT_OTHER] = "it cannot be asked",
    [AQ_HTTP_FAULT_NAME] =
        "this name has no address: check how it is spelt, and that this machine or container can resolve it",
    [AQ_HTTP_FAULT_REFUSED] =
        "connection refused: nothing listens there; is the server running, and is this the port of its HTTP API?",
    [AQ_HTTP_FAULT_UNREACHABLE] = "there is no way to this address: check it, the network and the firewalls",
    [AQ_HTTP_FAULT_NO_CONNECTION] =
        "no connection in time: check the address, and that no firewall drops what goes to this port",
    [AQ_HTTP_FAULT_SLOW] = "connected, but there was no answer in time: it hangs or has too much to do",
    [AQ_HTTP_FAULT_UNTRUSTED] =
        "its certificate is of no authority trusted here: name its CA's file with --beacon-node-ca or SSL_CERT_FILE",
    [AQ_HTTP_FAULT_EXPIRED] =
        "its certificate has expired: it must be renewed there, unless the clock of this machine is wrong",
    [AQ_HTTP_FAULT_NOT_YET] = "its certificate is not valid yet: is the clock of this machine right?",
    [AQ_HTTP_FAULT_OTHER_NAME] =
        "its certificate is for another name: write a name that the certificate has, or mend the certificate",
    [AQ_HTTP_FAULT_PLAIN] = "this port speaks plain HTTP: write http:// instead of https://",
    [AQ_HTTP_FAULT_WANTS_TLS] = "this port wants TLS: write https:// instead of http://",
    [AQ_HTTP_FAULT_TLS] =
        "the TLS handshake failed: does this port speak TLS (else write http://), and want no client certificate?",
    [AQ_HTTP_FAULT_NOT_HTTP] =
        "what came back is no HTTP: is this the port of the HTTP API, and does it want TLS (then write https://)?",
    [AQ_HTTP_FAULT_SILENT] =
        "it closed the connection without an answer: it restarts, or this port wants TLS (then write https://)",
    [AQ_HTTP_FAULT_BROKEN] = "the connection broke off before the answer was whole",
    [AQ_HTTP_FAULT_TOO_LONG] = "its answer is longer than any that is taken",
};

void aq_http_fault_text(char out[AQ_HTTP_WHY_MAX], const char *site, aq_http_fault fault) {
  AQ_ASSERT(fault < AQ_HTTP_FAULT_CNT);
  snprintf(out, AQ_HTTP_WHY_MAX, "%s%s%s", site, *site ? ": " : "", texts[fault]);
}

static const char *code_text(int code) {
  switch (code) {
    case 401: return "it wants credentials: user:password@ before the host, or a header";
    case 403: return "it refuses the credentials, or that there are none: user:password@ before the host, or a header";
    case 404:
    case 405:
      return "it has no such route: is the base path right, the part before /eth/v1? (A beacon node without a "
             "genesis answers so, too)";
    case 429: return "it takes no more requests for now: its limit for this account or address is too low";
    case 502:
    case 503:
    case 504: return "it cannot answer now: it is starting, or a gateway without a beacon node behind it";
    default: break;
  }
  if (code >= 300 && code <= 399) return "it sends on to another address: name that one";
  return code >= 500 ? "it failed: its own log says why" : "it refused";
}

void aq_http_code_text(char out[AQ_HTTP_WHY_MAX], const char *site, int code, aq_bytes body) {
  /* As nginx and Go say it; both speak of the port's HTTPS to somebody who came without. */
  if (code == 400 && body.len && memmem(body.ptr, body.len, "HTTPS", 5)) {
    aq_http_fault_text(out, site, AQ_HTTP_FAULT_WANTS_TLS);
    return;
  }
  snprintf(out, AQ_HTTP_WHY_MAX, "%s%sHTTP %d, %s", site, *site ? ": " : "", code, code_text(code));
}
